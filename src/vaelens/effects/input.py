"""Level 1: what a change of the input, do(x := x'), does to every latent, every unit and the output.

Costs two forwards of the model for each factor and pair; of manipulations one for each image, and one for each image
and manipulation. Memory does not grow with the number of pairs: their images are made a few at a time.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed, whole_number
from vaelens.data import FactorDataset
from vaelens.effects.manipulations import BLOCK, MANIPULATIONS, changing, checked_strength
from vaelens.effects.precision import with_precision
from vaelens.effects.reading import Reading, reading_of
from vaelens.effects.record import Array, random_unit, record, unit_coords, with_interval
from vaelens.effects.sweep import chunks
from vaelens.effects.worlds import World, world
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.lens.sites import LATENT
from vaelens.progress import check_progress, reporting
from vaelens.statistics import BootstrapMean

# Some images, and what each change (by its number) makes of them.
Changes = Iterator[tuple[Tensor, Mapping[int, Tensor]]]


@with_precision("unit_effect", images=(), count="n")
def input_effects(
    lens: Lens,
    ds: FactorDataset,
    factors: Sequence[str] | str | None = None,
    n: int = 256,
    seed: Any = 0,
    manipulations: Mapping[str, float | None] | Sequence[str] | str | None = None,
    progress: Any = True,
    reader: Any = None,
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

    Memory does not grow with the number of pairs.

    Args:
        lens: the lens.
        ds: a dataset of images like the model's.
        factors: names of factors; all of them by default.
        n: pairs for each factor.
        seed: draws the pairs and the bootstrap resamples.
        manipulations: instead of factors, pixel manipulations by name, with their strength or None for the default
            one (see `manipulate`). All six at their defaults when the dataset has no factors.
        progress: whether to show a bar on standard error, or a function of (pairs done, pairs in all).
        reader: reads factors off the model's output, as `vl.factor_reader(ds)` does: which of them change is then
            measured too.

    Returns:
        A Dataset with `latent_effect` (factor, latent), `unit_effect` (factor, unit; coordinates `site`, `index`),
        `output_effect` (factor), for a quantised latent `codes_changed` (factor) and, with a reader, `factor_read`
        (factor, read_factor), the mean total-variation distance in [0, 1] between what is read off D(mu(x')) and off
        D(mu(x)) (see `latent_effects`), each with `_low` and `_high`, a 95 % interval over pairs; as baselines
        `latent_effect_chance` and `unit_effect_chance`, those of a latent, or of a unit of the same site, drawn at
        random; and `matched` (factor), how many pairs agree on all other factors exactly. With
        manipulations the dimension is `manipulation`, with the coordinate `strength`, and there is no `matched`.

    Raises:
        VaelensError: an unknown factor or manipulation; factors and manipulations at once; factors asked of a dataset
            that has none; a reader without factors or of images of another shape.

    Example:
        >>> import vaelens as vl
        >>> ds = vl.load_dataset("sprites")
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=ds.image_shape, latent_dim=3))
        >>> effects = vl.input_effects(lens, ds, factors=["shape", "scale"], n=8)
        >>> effects.latent_effect.dims, effects.factor.values.tolist()
        (('factor', 'latent'), ['shape', 'scale'])
    """
    n, seed = whole_number("n", n, low=1), check_seed(seed)
    check_progress(progress)
    if factors is not None and manipulations is not None:
        raise VaelensError("factors and manipulations were both given; a call changes one or the other")
    strengths: dict[str, float] = {}
    if manipulations is None and len(ds.factors):
        names = list(ds.factors.names) if factors is None else [factors] if isinstance(factors, str) else list(factors)
        axis = "factor"
    elif factors is not None:
        raise VaelensError(f"{ds.name} has no factors, so none can be changed; leave factors out for manipulations")
    else:
        chosen = MANIPULATIONS if manipulations is None else manipulations
        chosen = [chosen] if isinstance(chosen, str) else chosen
        asked = dict(manipulations) if isinstance(manipulations, Mapping) else dict.fromkeys(chosen)
        strengths = {name: checked_strength(name, strength) for name, strength in asked.items()}
        names = list(strengths)
        axis = "manipulation"
    if not names:
        raise VaelensError(f"no {axis} was named; name at least one, or leave the argument out")
    coords: dict[str, Any] = {axis: names}
    known: dict[str, Any] = {}
    if axis == "factor":
        for name in names:
            ds.factors.index(name)  # all are known before anything is drawn
        matched: list[int] = []
        known["matched"] = ((axis,), matched)
        lens.posterior(ds.images_at([0]))  # a lens on a foreign module finds its sites now, before they are asked for
        changes = _factor_changes(ds, names, n, seed, lens.rows, matched)
    else:
        drawn = ds.draw(n, seed)
        coords["strength"] = (axis, list(strengths.values()))
        lens.posterior(ds.images_at(drawn[:1]))
        changes = _manipulations(ds, drawn, strengths, seed, lens.rows)
    reading = reading_of(reader, lens)
    tally = _Tally(lens, n, seed, reading)
    with reporting(progress, n * len(names), "input effects") as report:
        for images, changed in changes:
            for rows in chunks(len(images), lens.rows):
                before = tally.base(images[rows], times=len(changed))
                for change, others in changed.items():
                    tally.add(change, before, others[rows])
                    report.advance(len(before.images))
    others = [site for site in lens.sites if site != LATENT]
    coords |= {"latent": np.arange(lens.latents), **unit_coords(others, [lens.sites[site].units for site in others])}
    made: dict[str, Any] = {"pairs": n, "seed": seed, "dataset": ds.name}
    if reading is not None:
        coords["read_factor"] = list(reading.factors)
        made |= reading.made()
    return record(lens, tally.variables(axis) | known, coords, **made)


def _factor_changes(
    ds: FactorDataset, names: Sequence[str], n: int, seed: int, rows: int, matched: list[int]
) -> Changes:
    for change, name in enumerate(names):
        draw = ds.pair_draw(name, n, seed)
        matched.append(int(draw.matched.sum()))
        for part in chunks(len(draw), rows):
            pairs = draw[part]
            yield pairs.x, {change: pairs.x2}


def _manipulations(ds: FactorDataset, drawn: Array, strengths: Mapping[str, float], seed: int, rows: int) -> Changes:
    changes = [changing(name, strength, seed) for name, strength in strengths.items()]
    for part in chunks(len(drawn), BLOCK * math.ceil(rows / BLOCK)):
        images = ds.images_at(drawn[part])
        yield images, {number: change(images) for number, change in enumerate(changes)}


class _Tally:
    """What each of several changes does to every unit, the image and the codes, summed over images."""

    def __init__(self, lens: Lens, n: int, seed: int, reading: Reading | None = None):
        self._lens, self._n, self._seed, self._reading = lens, n, seed, reading
        self._sites = list(lens.sites)
        self._of_latent = np.repeat([site == LATENT for site in self._sites], [s.units for s in lens.sites.values()])
        self._spread = _Spread()
        self._sums: dict[int, dict[str, BootstrapMean]] = {}  # of the changes under way
        self._found: dict[int, dict[str, tuple[Array, Array, Array]]] = {}  # mean, low and high of those that are done

    def base(self, images: Tensor, times: int) -> World:
        """Images before any change, `times` pairs each."""
        seen = world(self._lens, images, self._sites)
        self._spread.add(seen, times)
        return seen

    def add(self, change: int, before: World, images: Tensor) -> None:
        """The same images after a change."""
        after = world(self._lens, images, self._sites)
        self._spread.add(after)
        if change not in self._sums:
            shapes: dict[str, tuple[int, ...]] = {"unit": (len(self._of_latent),), "output": ()}
            shapes |= {"codes": ()} if self._lens.quantised else {}
            shapes |= {} if self._reading is None else {"read": (len(self._reading.factors),)}
            self._sums[change] = {name: BootstrapMean(shape, seed=self._seed) for name, shape in shapes.items()}
        sums = self._sums[change]
        differences = [_by_unit(after.activation(site) - before.activation(site)).norm(dim=2) for site in self._sites]
        sums["unit"].update(torch.cat(differences, dim=1).cpu().numpy())  # (c, units)
        sums["output"].update((after.image - before.image).double().flatten(1).norm(dim=1).cpu().numpy())
        if self._lens.quantised:
            other = self._lens.quantise(before.code).indices != self._lens.quantise(after.code).indices
            sums["codes"].update(other.double().reshape(len(other), -1).mean(dim=1).cpu().numpy())
        if self._reading is not None:
            read, other = (self._reading.probabilities(seen.image) for seen in (before, after))
            sums["read"].update(self._reading.distances(other, read).double().cpu().numpy())
        if sums["unit"].count == self._n:  # a done change's resamples are not kept beside those of the others
            self._found[change] = {name: (one.mean, *one.interval()) for name, one in sums.items()}
            del self._sums[change]

    def variables(self, axis: str) -> dict[str, Any]:
        """The variables of the result, over the changes in order."""
        rows = [self._found[change] for change in sorted(self._found)]
        every = [np.stack([row["unit"][end] for row in rows]) for end in range(3)]  # 3 × (changes, units)
        scale = self._spread.of(self._sites)
        safe = np.where(scale > 0, scale, 1.0)  # a unit that never changes has effect 0, whatever its scale
        found = {}
        units = {site: self._lens.sites[site].units for site in self._sites}
        others = [count for site, count in units.items() if site != LATENT]
        for name, dim, at, counts in (
            ("latent_effect", "latent", self._of_latent, [units[LATENT]]),
            ("unit_effect", "unit", ~self._of_latent, others),
        ):
            mean, low, high = (values[:, at] / safe[at] for values in every)
            found |= with_interval(name, (axis, dim), mean, (low, high))
            found[f"{name}_chance"] = (axis, dim), random_unit(mean, counts)
        for name, what, dims in (
            ("output_effect", "output", ()),
            ("codes_changed", "codes", ()),
            ("factor_read", "read", ("read_factor",)),
        ):
            if what in rows[0]:
                mean, low, high = (np.stack([row[what][end] for row in rows]) for end in range(3))
                found |= with_interval(name, (axis, *dims), mean, (low, high))
        return found


class _Spread:
    """Every unit's standard deviation over images, summed over positions, in one pass."""

    def __init__(self) -> None:
        self._images = 0
        self._sums: dict[str, Tensor] = {}
        self._squares: dict[str, Tensor] = {}
        self._origin: dict[str, Tensor] = {}

    def add(self, seen: World, times: int = 1) -> None:
        """Images that count so many times."""
        self._images += times * len(seen.images)
        for site, activation in seen.activations.items():
            values = _by_unit(activation)  # (c, units, positions)
            if site not in self._origin:  # sums of differences to the first image lose no digits
                self._origin[site] = values[0].clone()
                self._sums[site] = torch.zeros_like(values[0])
                self._squares[site] = torch.zeros_like(values[0])
            values = values - self._origin[site]
            self._sums[site] += times * values.sum(dim=0)
            self._squares[site] += times * values.square().sum(dim=0)

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
