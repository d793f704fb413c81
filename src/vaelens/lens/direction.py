"""Directions of a site's activation space, which can stand wherever units do.

Their numbers are checked here when they are made, and their width when they meet a site.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens import direction_sources as sources
from vaelens.lens.basis import Basis
from vaelens.lens.sites import Site, Sites
from vaelens.lens.vectors import check_independent, checked_rows

if TYPE_CHECKING:
    from vaelens.lens.context import ContextLike
    from vaelens.lens.example import ImagesLike
    from vaelens.lens.lens import Lens


class Direction:
    """Directions w_1 … w_k in the space of a site's units, which can stand wherever units do.

    An activation a has the coordinates

        y = argmin ‖a − Σ y_i w_i‖₂ = (W Wᵀ)⁻¹ W a,   W the rows w_i at length 1,

    by least squares, jointly: of orthonormal directions y_i = <a, w_i>; of others, setting one coordinate leaves the
    others as they are. An intervention on them, do(y_i := v), is a := a + (v − y_i) w_i, and nothing orthogonal to the
    directions changes. Only where a vector points counts: a coordinate is in the activation's own units, so that
    effects along different directions compare. What length each vector had is kept as `lengths`, by which a difference
    of two means is added: `vl.Add(site, direction, direction.lengths)`.

    At a site with positions the vectors are over channels, and act at every position (or at those that an
    intervention names).

    `vl.Direction(site, vectors)` names its site; `vl.Direction(vectors)` is of whatever site it is used at.

    Args:
        site: a site's name; it can be left out, and the vectors given in its place.
        vectors: (k, units), or (units,) for one direction; linearly independent, of any length.
        names: of the directions, for results; "0", "1" … by default.
        together: whether effects take the directions as one unit, a subspace patched together, and not one by one.

    Attributes:
        site: the name as given, or None.
        vectors: at length 1, float64 (k, units).
        lengths: that the vectors had, float64 (k,).
        names: of the directions.
        together: as given.

    Raises:
        VaelensError: no table of finite numbers, a zero vector, vectors that depend on each other linearly, or names
            that are not one for each.

    References:
        Finding alignments between interpretable causal variables and distributed neural representations (Geiger, Wu,
        Potts, Icard, Goodman, 2024), for interchange along directions. Is this the subspace you are looking for? An
        interpretability illusion for subspace activation patching (Makelov, Lange, Nanda, 2023), for what has to stand
        beside it: `Lens.unseen_share`, and `unseen_change` of `patching_effects`.

    Example:
        >>> import torch, vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=2))
        >>> diagonal = vl.Direction("latent", [3.0, 4.0])
        >>> diagonal.vectors.tolist(), diagonal.lengths.tolist()
        ([[0.6, 0.8]], [5.0])
        >>> run = lens.run(torch.rand(1, 1, 32, 32), vl.Set("latent", diagonal, 2.0))
        >>> round(float(run.code @ torch.tensor([0.6, 0.8])), 5)
        2.0
    """

    def __init__(
        self,
        site: str | ArrayLike | Tensor | None = None,
        vectors: ArrayLike | Tensor | None = None,
        *,
        names: Sequence[str] | None = None,
        together: bool = False,
    ):
        if vectors is None and not isinstance(site, str):
            site, vectors = None, site
        if site is not None and not isinstance(site, str):
            raise VaelensError(f"site is {site!r}; expected a site's name, as Direction(site, vectors) takes it")
        rows = checked_rows(vectors)
        self.site, self.together = site, bool(together)
        self.lengths = rows.norm(dim=1)
        if not bool((self.lengths > 0).all()):
            raise VaelensError(
                f"vector {int((self.lengths == 0).nonzero()[0, 0])} of the directions is zero and points nowhere; "
                "leave it out"
            )
        self.vectors = rows / self.lengths[:, None]
        check_independent(self.vectors)
        self.names = tuple(str(k) for k in range(len(rows))) if names is None else tuple(map(str, names))
        if len(self.names) != len(rows):
            raise VaelensError(f"{len(self.names)} names were given for {len(rows)} directions; give one for each")

    @classmethod
    def principal(
        cls,
        lens: "Lens",
        x: "ImagesLike",
        site: str = "latent",
        k: int | None = None,
        context: "ContextLike | None" = None,
    ) -> "Direction":
        """Returns the first principal components of a site's activations, orthonormal, the largest variance first.

        At a site with positions every position of every image is a sample. Each component points where its largest
        entry is positive. Memory does not grow with the number of images.

        Args:
            lens: the lens.
            x: observations, at least 2.
            site: a site's name.
            k: how many; by default all whose variance is not rounding.
            context: what encoder and decoder are given besides.

        Raises:
            VaelensError: an unknown site, observations that the lens does not take, or more components than vary.
        """
        place = lens.sites[site]
        vectors = sources.principal_components(lens, lens.batch(x, context), place.name, k)
        return cls(place.name, vectors, names=[f"PC {number}" for number in range(1, len(vectors) + 1)])

    @classmethod
    def from_probe(cls, site: str, probe: Any, label: Any = None) -> "Direction":
        """Returns the weights of a linear probe, along which a change of the activation changes its prediction fastest.

        Args:
            site: the site whose activations, (n, units), the probe was fitted on.
            probe: a fitted estimator of scikit-learn with `coef_`, such as LogisticRegression or Ridge; or a pipeline
                of a StandardScaler and one, whose weights are taken back to the activation's units.
            label: of a classifier of several classes the one whose weights are wanted; all by default.

        Raises:
            VaelensError: an estimator without weights, a step of a pipeline that is not linear, an unknown label, or
                weights of all classes that depend on each other, as those of a softmax do: take them one by one.
        """
        weights, names = sources.probe_weights(probe, label)
        return cls(site, weights, names=names)

    @classmethod
    def difference(
        cls,
        lens: "Lens",
        x: "ImagesLike",
        x2: "ImagesLike",
        site: str = "latent",
        context: "ContextLike | None" = None,
        context2: "ContextLike | None" = None,
    ) -> "Direction":
        """Returns the difference of the mean activations of two sets of observations, from the first to the second.

        At a site with positions the mean is over them too. `lengths` says how far apart the means are.

        Args:
            lens: the lens.
            x: observations of one kind.
            x2: of the other.
            site: a site's name.
            context: of the first, where the lens takes one.
            context2: of the second.

        Raises:
            VaelensError: an unknown site, observations that the lens does not take, or equal means.
        """
        place = lens.sites[site]
        first, second = (
            sources.mean_activation(lens, lens.batch(rows, given), place.name)
            for rows, given in ((x, context), (x2, context2))
        )
        if torch.equal(first, second):
            raise VaelensError(f"both sets have the same mean activation at {place.name}, so no direction between them")
        return cls(place.name, second - first, names=["difference"])

    @classmethod
    def between(
        cls,
        lens: "Lens",
        ds: Any,
        factor: str,
        values: tuple[int, int],
        site: str = "latent",
        n: int = 1024,
        seed: int = 0,
    ) -> "Direction":
        """Returns the difference of two class means, from one value of a factor to another.

        Args:
            lens: the lens.
            ds: a dataset with factors.
            factor: the factor's name.
            values: the two values, by index.
            site: a site's name.
            n: how many observations are sampled, of which those with either value count.
            seed: draws them.

        Raises:
            VaelensError: an unknown factor, values that it has not or that are the same, or no observation of one.
        """
        x, context = sources.observations_by_value(lens, ds, factor, values, n, seed)
        direction = cls.difference(lens, x[0], x[1], site, context[0], context[1])
        direction.names = (f"{factor} {values[0]} to {values[1]}",)
        return direction

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, which: int | slice | Sequence[int]) -> "Direction":
        """Selects some of the directions by their numbers."""
        numbers = np.atleast_1d(np.arange(len(self))[which])
        rows = self.vectors[numbers] * self.lengths[numbers, None]
        return Direction(self.site, rows, names=[self.names[k] for k in numbers], together=self.together)

    def at(self, site: str) -> "Direction":
        """Returns the same directions, assigned to a site."""
        rows = self.vectors * self.lengths[:, None]
        return Direction(site, rows, names=self.names, together=self.together)

    def orthonormal(self) -> "Direction":
        """Returns orthonormal directions that span the same subspace, the first as it is, by Gram and Schmidt."""
        columns, upper = torch.linalg.qr(self.vectors.T)
        signs = torch.where(upper.diagonal() < 0, -1.0, 1.0).to(columns)
        return Direction(self.site, (columns * signs).T, names=self.names, together=self.together)

    @cached_property
    def basis(self) -> Basis:
        """The directions as a basis of what they span."""
        return Basis(self.vectors)

    def basis_of(self, site: Site, checked: bool = False) -> Basis:
        """Returns the directions as a basis of part of a site's activation space.

        Args:
            site: the site.
            checked: whether it is known that they are of this site.

        Raises:
            VaelensError: they are of another site, or of another width than its units are many.
        """
        if not checked and self.site not in (None, site.name, site.module):
            raise _of_another(self, site)
        if self.vectors.shape[1] != site.units:
            raise VaelensError(
                f"the directions have {self.vectors.shape[1]} entries and {site.name} has {site.units} units; give "
                "vectors of one entry for each unit"
            )
        return self.basis

    @property
    def fingerprint(self) -> str:
        """The first 12 digits of the SHA-256 of the vectors, for the record beside a number."""
        return hashlib.sha256(self.vectors.contiguous().numpy().tobytes()).hexdigest()[:12]

    def __repr__(self) -> str:
        where = "any site" if self.site is None else self.site
        kind = "a subspace of " if self.together else ""
        return f"Direction({kind}{len(self)} in {self.vectors.shape[1]} units of {where})"


def direction_at(sites: Sites, direction: Any, site: str | None = None) -> tuple[Site, Basis]:
    """Finds the site that directions are of, and returns it and them as a basis there.

    Args:
        sites: of the lens.
        direction: the directions.
        site: where they are, if they do not say it.

    Raises:
        VaelensError: no directions, no site named at all, an unknown one, or one that they do not fit.
    """
    if not isinstance(direction, Direction):
        raise VaelensError(f"{direction!r} is not a Direction; give vl.Direction(site, vectors)")
    name = site or direction.site
    if name is None:
        raise VaelensError(f"{direction!r} names no site; give vl.Direction(site, vectors)")
    place = sites[name]
    if direction.site is not None and sites[direction.site].name != place.name:
        raise _of_another(direction, place)
    return place, direction.basis_of(place, checked=True)


def _of_another(direction: Direction, site: Site) -> VaelensError:
    return VaelensError(
        f"the directions are of {direction.site}, and {site.name} was asked for; leave the site out of "
        "Direction(vectors) where it serves several"
    )
