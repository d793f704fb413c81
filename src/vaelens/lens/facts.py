"""What a lens says of its model, from sites, observations, latents and codebook to device, precision and execution."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vaelens.lens.adapters import Adapter
from vaelens.lens.description import describe, in_html, printed
from vaelens.lens.direction import Direction, direction_at
from vaelens.lens.engine import Engine
from vaelens.lens.noise import DRAWN
from vaelens.lens.sites import LATENT, Sites
from vaelens.lens.unseen import unseen_share
from vaelens.observation import Observation


class Facts:
    """What there is to know of a model under a lens."""

    module: nn.Module
    _engine: Engine
    _adapter: Adapter
    _directions: Mapping[str, Direction]
    _noise: str

    @property
    def engine(self) -> Engine:
        """The engine that runs the model for effects, without checking what it is given."""
        return self._engine

    @property
    def sites(self) -> Sites:
        """The sites in the order of the data, as an ordered mapping from name to `Site`."""
        return self._engine.sites

    @property
    def observation(self) -> Observation:
        """What goes into the model and comes out of it, with its shape, axes, range and names of features."""
        return self._engine.observation

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The shape of one observation, (C, H, W) of an image."""
        return self._engine.observation.shape

    @property
    def takes_context(self) -> bool:
        """Whether encoder and decoder are also given a context."""
        return self._engine.parts.form is not None

    def target(self, x: Tensor) -> Tensor:
        """Returns what decoded values are compared with, which are observations in the same units, (n, *shape)."""
        return x if self._adapter.target is None else self._adapter.target(x)

    def observed(self, decoded: Tensor) -> Tensor:
        """Turns decoded values into observations, (n, *shape), that can be encoded again. Counts sum to 10,000 each."""
        return decoded if self._adapter.observed is None else self._adapter.observed(decoded)

    @property
    def takes_any_size(self) -> bool:
        """Whether images may have another height and width than the example's."""
        return self._adapter.any_size

    @property
    def latents(self) -> int:
        """The number of latent units d."""
        return self.sites[LATENT].units

    @property
    def quantised(self) -> bool:
        """Whether codes are quantised before they are decoded."""
        return self._engine.parts.quantisation is not None

    @property
    def codebook(self) -> Tensor | None:
        """The codes of a quantised latent, (K, d), or None for any other."""
        return self._engine.parts.codebook

    @property
    def directions(self) -> dict[str, Direction]:
        """The directions along which units are counted, by site, of a lens made by `along`."""
        return dict(self._directions)

    def unseen_share(self, direction: Direction, site: str | None = None) -> NDArray[np.float64]:
        """Measures how much of each direction lies in what nothing behind its site sees.

            unseen_share_i = ‖P w_i‖² / ‖w_i‖²,

        P the orthogonal projector on the null space of the linear layers that read the site (of a convolution: what
        no place of its kernel sees). A patch along a direction moves its unseen part in vain, and moves the seen part
        by what the unseen one tells of the source: a large effect of a direction that is mostly unseen is made by the
        patch, and no path of the model's own (`unseen_change` of `patching_effects` says whether it is so on data).

        Args:
            direction: the directions.
            site: their site, where they name none.

        Returns:
            Shares in [0, 1], (k,), or (1,) of directions taken together, tr(P P_W) / k. NaN where the site is read by
            something else than linear layers, or the part runs under hooks.

        Raises:
            VaelensError: an unknown site, or directions that do not fit it.

        References:
            Is this the subspace you are looking for? An interpretability illusion for subspace activation patching
            (Makelov, Lange, Nanda, 2023).
        """
        place, basis = direction_at(self.sites, direction, site)
        projector = self._engine.parts.unseen(place.name)
        groups = [basis.vectors] if direction.together else basis.vectors.split(1)
        if projector is None:
            return np.full(len(groups), np.nan)
        return np.array([unseen_share(projector, vectors) for vectors in groups])

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return self._engine.parts.like.device

    @property
    def precision(self) -> str:
        """What sweeps compute in, "fp32" (the model's own type) or "bf16"."""
        return self._engine.precision

    @property
    def execution(self) -> dict[str, str]:
        """How sweeps run each part, by "torch.fx", "torch.export", or "forward hooks" with the reason.

        It is "none" with the reason where a module was replaced since the lens was made.
        """
        parts = self._engine.parts
        return {"encoder": parts.encoder.described, "decoder": parts.decoder.described}

    def describe(self) -> dict[str, Any]:
        """Describes what is under the lens by class, configuration, size and hash of the weights.

        The description is recorded beside every number. `latent` says "continuous" or "quantised", and `codes` how many
        there are of a quantised one; `noise` is there where it is not drawn.
        """
        record = describe(self.module, None if self.codebook is None else len(self.codebook))
        return record if self._noise == DRAWN else {**record, "noise": self._noise}

    def __repr__(self) -> str:
        shown = printed(self.module, self.sites, self.execution, None if self.codebook is None else len(self.codebook))
        return shown if self._noise == DRAWN else f"{shown}\nGaussian noise that the model draws is its mean"

    _repr_html_ = in_html
