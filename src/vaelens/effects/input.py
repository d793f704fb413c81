"""Level 1: what a change of the input, do(x := x'), does to every latent, every unit and the output.

Costs four forwards of the model for each factor and pair; memory does not grow with the number of pairs.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed
from vaelens.data import FactorDataset
from vaelens.effects.manipulations import MANIPULATIONS, checked_strength, manipulate
from vaelens.effects.record import Array, record, unit_coords, with_interval
from vaelens.effects.sweep import chunks
from vaelens.effects.worlds import World, world
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.lens.sites import LATENT
from vaelens.statistics import BootstrapMean


def input_effects(
    lens: Lens,
    ds: FactorDataset,
    factors: Sequence[str] | str | None = None,
    n: int = 256,
    seed: Any = 0,
    manipulations: Mapping[str, float | None] | Sequence[str] | str | None = None,
) -> xr.Dataset:
    """Change one factor of the image at a time and measure what changes inside and at the output.

    Over pairs (x, x') that differ in factor k only,

        latent_effect_kj = E ‖mu_j(x') − mu_j(x)‖₂ / s_j, the norm over positions where the latent has any,
        unit_effect_ku = E ‖a_u(x') − a_u(x)‖₂ / s_u, the norm over positions,
        output_effect_k = E ‖D(mu(x')) − D(mu(x))‖₂, in pixel-L2,

    s the standard deviation (for a unit with positions, the root of the summed variances) over all images of all the
    pairs; 0 for a unit that never changes. The intervals take s as given. Of a quantised latent mu is the embedding
    before quantisation, of which a change need not change a code; how many it changes is

        codes_changed_k = E of the fraction of positions that take another code in x' than in x, in [0, 1].

    Args:
        lens: the lens.
        ds: a dataset of images like the model's.
        factors: names of factors; all of them by default.
        n: pairs for each factor.
        seed: draws the pairs and the bootstrap resamples.
        manipulations: instead of factors, pixel manipulations by name, with their strength or None for the default
            one (see `manipulate`). All six at their defaults when the dataset has no factors.

    Returns:
        A Dataset with `latent_effect` (factor, latent), `unit_effect` (factor, unit; coordinates `site`, `index`),
        `output_effect` (factor) and, for a quantised latent, `codes_changed` (factor), each with `_low` and `_high`, a
        95 % interval over pairs; and `matched` (factor), how many pairs agree on all other factors exactly. With
        manipulations the dimension is `manipulation`, with the coordinate `strength`, and there is no `matched`.

    Raises:
        VaelensError: an unknown factor or manipulation; factors and manipulations at once; factors asked of a dataset
            that has none.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> effects = vl.input_effects(lens, ds, factors=["shape", "scale"], n=8)
        >>> effects.latent_effect.dims, effects.factor.values.tolist()
        (('factor', 'latent'), ['shape', 'scale'])
    """
    seed = check_seed(seed)
    if factors is not None and manipulations is not None:
        raise VaelensError("factors and manipulations were both given; a call changes one or the other")
    if manipulations is None and len(ds.factors):
        names = list(ds.factors.names) if factors is None else [factors] if isinstance(factors, str) else list(factors)
        changes = _factor_changes(ds, names, n, seed)
        axis = "factor"
        extra: dict[str, Any] = {}
    elif factors is not None:
        raise VaelensError(f"{ds.name} has no factors, so none can be changed; leave factors out for manipulations")
    else:
        chosen = MANIPULATIONS if manipulations is None else manipulations
        chosen = [chosen] if isinstance(chosen, str) else chosen
        asked = dict(manipulations) if isinstance(manipulations, Mapping) else dict.fromkeys(chosen)
        strengths = {name: checked_strength(name, strength) for name, strength in asked.items()}
        names = list(strengths)
        changes = _manipulations(ds, strengths, n, seed)
        axis = "manipulation"
        extra = {"strength": (axis, list(strengths.values()))}
    if not names:
        raise VaelensError(f"no {axis} was named; name at least one, or leave the argument out")
    return _measured(lens, changes, axis, names, extra, n, seed, dataset=ds.name)


def _factor_changes(ds: FactorDataset, names: list[str], n: int, seed: int) -> Iterator[tuple[Tensor, Tensor, int]]:
    for name in names:
        ds.factors.index(name)  # all are known before anything runs
    for name in names:
        pairs = ds.pairs(name, n, seed=seed)
        x, changed, _, _ = pairs
        yield x, changed, int(pairs.matched.sum())


def _manipulations(
    ds: FactorDataset, strengths: Mapping[str, float], n: int, seed: int
) -> Iterator[tuple[Tensor, Tensor, int]]:
    x, _ = ds.sample(n, seed=seed)
    for name, strength in strengths.items():
        yield x, manipulate(x, name, strength, seed), n


def _measured(
    lens: Lens,
    changes: Iterator[tuple[Tensor, Tensor, int]],
    axis: str,
    names: list[str],
    coords: dict[str, Any],
    n: int,
    seed: int,
    **made: Any,
) -> xr.Dataset:
    spread = _Spread()
    latent, unit, output, chosen, matched = [], [], [], [], []
    for x, changed, exact in changes:
        tallies: dict[str, BootstrapMean] = {}
        whole, recoded = BootstrapMean((), seed=seed), BootstrapMean((), seed=seed)
        lens.posterior(x[:1])  # a lens on a foreign module finds its sites now, before they are asked for
        sites = list(lens.sites)
        for rows in chunks(len(x), lens.rows):
            before, after = world(lens, x[rows], sites), world(lens, changed[rows], sites)
            spread.add(before)
            spread.add(after)
            for site in sites:
                difference = _by_unit(after.activations[site] - before.activations[site]).norm(dim=2)  # (c, units)
                tally = tallies.setdefault(site, BootstrapMean((difference.shape[1],), seed=seed))
                tally.update(difference.cpu().numpy())
            whole.update((after.image - before.image).double().flatten(1).norm(dim=1).cpu().numpy())
            if lens.quantised:
                other = lens.quantise(before.code).indices != lens.quantise(after.code).indices
                recoded.update(other.double().reshape(len(other), -1).mean(dim=1).cpu().numpy())
        latent.append(_three([tallies[LATENT]]))
        unit.append(_three([tallies[site] for site in sites if site != LATENT]))
        output.append(_three([whole]))
        chosen.append(_three([recoded]))
        matched.append(exact)
    others = [site for site in lens.sites if site != LATENT]
    variables = {
        **_scaled("latent_effect", (axis, "latent"), latent, spread.of([LATENT])),
        **_scaled("unit_effect", (axis, "unit"), unit, spread.of(others)),
        **_scaled("output_effect", (axis,), output, np.ones(())),
    }
    if lens.quantised:
        variables |= _scaled("codes_changed", (axis,), chosen, np.ones(()))
    if axis == "factor":
        variables["matched"] = ((axis,), matched)
    coords = coords | {axis: names, "latent": np.arange(lens.latents)}
    coords |= unit_coords(others, [lens.sites[site].units for site in others])
    return record(lens, variables, coords, pairs=n, seed=seed, **made)


class _Spread:
    """Every unit's standard deviation over images, summed over positions, in one pass."""

    def __init__(self) -> None:
        self._images = 0
        self._sums: dict[str, Tensor] = {}
        self._squares: dict[str, Tensor] = {}
        self._origin: dict[str, Tensor] = {}

    def add(self, seen: World) -> None:
        self._images += len(seen.images)
        for site, activation in seen.activations.items():
            values = _by_unit(activation)  # (c, units, positions)
            if site not in self._origin:  # sums of differences to the first image lose no digits
                self._origin[site] = values[0]
                self._sums[site] = torch.zeros_like(values[0])
                self._squares[site] = torch.zeros_like(values[0])
            values = values - self._origin[site]
            self._sums[site] += values.sum(dim=0)
            self._squares[site] += values.square().sum(dim=0)

    def of(self, sites: Sequence[str]) -> Array:
        """s of every unit of some sites, one after the other."""
        parts = []
        for site in sites:
            mean = self._sums[site] / self._images
            variance = (self._squares[site] / self._images - mean.square()).clamp(min=0)
            parts.append(variance.sum(dim=1).sqrt().cpu().numpy())
        return np.concatenate(parts)


def _by_unit(activation: Tensor) -> Tensor:
    return activation.double().reshape(*activation.shape[:2], -1)  # (c, units, positions)


def _three(tallies: Sequence[BootstrapMean]) -> tuple[Array, Array, Array]:
    intervals = [tally.interval() for tally in tallies]
    parts = [tally.mean for tally in tallies], [low for low, _ in intervals], [high for _, high in intervals]
    mean, low, high = (np.concatenate(part) if part[0].ndim else part[0] for part in parts)
    return mean, low, high


def _scaled(name: str, dims: Sequence[str], rows: list[tuple[Array, Array, Array]], scale: Array) -> dict[str, Any]:
    safe = np.where(scale > 0, scale, 1.0)  # a unit that never changes has effect 0, whatever its scale
    mean, low, high = (np.stack([row[k] for row in rows]) / safe for k in range(3))
    return with_interval(name, dims, mean, (low, high))
