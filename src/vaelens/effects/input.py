"""Level 1: what a change of the input, do(x := x'), does to every latent, every unit and the output.

Costs two forwards of the model for each factor and pair; of manipulations one for each image, and one for each image
and manipulation. Memory does not grow with the number of pairs: their images are made a few at a time.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor

from vaelens.arguments import check_seed, whole_number
from vaelens.data import FactorDataset
from vaelens.effects.manipulations import BLOCK, MANIPULATIONS, changing, checked_strength
from vaelens.effects.outcomes import numbers, run_cached
from vaelens.effects.precision import with_precision
from vaelens.effects.reading import Reading, reading_of
from vaelens.effects.record import Array, random_unit, record, unit_coords, with_interval
from vaelens.effects.spread import Spread, by_unit
from vaelens.effects.stopping import GroupStopping, check_tolerance
from vaelens.effects.sweep import chunks
from vaelens.errors import VaelensError
from vaelens.float64 import to_float64
from vaelens.lens import LATENT, CachedRun, Lens
from vaelens.progress import check_progress, reporting
from vaelens.statistics import BootstrapMean

# Some images, and what each change (by its number) makes of them.
# Where in the order of all pairs some begin, images before a change, and what they are after each change.
Changes = Iterator[tuple[int, Tensor, Mapping[int, Tensor]]]


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
    tolerance: Any = None,
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
        tolerance: how far, in pixel-L2, an output effect may be from its estimate: pairs are taken until that of a
            factor, or manipulation, is known that well, and no further of this one. None for all n pairs of each.

    Returns:
        A Dataset with `latent_effect` (factor, latent), `unit_effect` (factor, unit; coordinates `site`, `index`),
        `output_effect` (factor), for a quantised latent `codes_changed` (factor) and, with a reader, `factor_read`
        (factor, read_factor), the mean total-variation distance in [0, 1] between what is read off D(mu(x')) and off
        D(mu(x)) (see `latent_effects`), each with `_low` and `_high`, a 95 % interval over pairs; as baselines
        `latent_effect_chance` and `unit_effect_chance`, those of a latent, or of a unit of the same site, drawn at
        random; and `matched` (factor), how many pairs agree on all other factors exactly. With
        manipulations the dimension is `manipulation`, with the coordinate `strength`, and there is no `matched`.

        With a `tolerance`, `output_effect_low` and `output_effect_high` are a 95 % confidence sequence instead, which
        holds for all factors at once and at whatever number of pairs each stops, if the model draws images in [0, 1];
        `pairs_used` (factor) says after how many that was, and everything else is of these pairs. The attributes are as
        those of `latent_effects`.

    Raises:
        VaelensError: an unknown factor or manipulation; factors and manipulations at once; factors asked of a dataset
            that has none; a reader without factors or of images of another shape; a tolerance that is not positive.

    Warns:
        VaelensWarning: n pairs do not suffice for the tolerance.

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
    tolerance = check_tolerance(tolerance)
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
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise VaelensError(f"{axis} {twice[0]!r} was named {names.count(twice[0])} times; name each once")
    coords: dict[str, Any] = {axis: names}
    until, going = None, set(range(len(names)))  # the changes of which more pairs are wanted
    if tolerance is not None:
        pixels = math.prod(ds.image_shape)
        until = GroupStopping(n, dict.fromkeys(names, 1), pixels, tolerance, seed)
    matches: list[Array] = []
    if axis == "factor":
        for name in names:
            ds.factors.index(name)  # all are known before anything is drawn
        lens.check_images(ds.images_at([0]))
        changes = _factor_changes(ds, names, n, seed, lens.engine.rows, matches, going)
    else:
        drawn = ds.draw(n, seed)
        coords["strength"] = (axis, list(strengths.values()))
        lens.check_images(ds.images_at(drawn[:1]))
        changes = _manipulations(ds, drawn, strengths, seed, lens.engine.rows, going)
    reading = reading_of(reader, lens)
    tally = _Tally(lens, seed, reading)
    at_once = lens.engine.rows if until is None else min(lens.engine.rows, until.rows)
    with reporting(progress, n * len(names), "input effects") as report:
        for start, images, changed in changes:
            for rows in chunks(len(images), at_once):
                wanted = [change for change in changed if change in going]
                if not wanted:
                    break
                before = tally.base(images[rows], start + rows.start, times=len(wanted))
                for change in wanted:
                    sizes = tally.add(change, before, changed[change][rows], start + rows.start)
                    report.advance(len(sizes))
                    if until is not None:
                        until.update(names[change], numbers(sizes[:, None]))
                    if tally.pairs(change) == n or (until is not None and not until.going([names[change]])):
                        going.discard(change)
                        report.advance(n - tally.pairs(change))
                        tally.close(change)
    others = [site for site in lens.sites if site != LATENT]
    coords |= {"latent": np.arange(lens.latents), **unit_coords(others, [lens.sites[site].units for site in others])}
    made: dict[str, Any] = {"pairs": n, "seed": seed, "dataset": ds.name}
    if reading is not None:
        coords["read_factor"] = list(reading.factors)
        made |= reading.made()
    variables = tally.variables(axis)
    if until is not None:
        low, high = until.interval
        variables |= {"output_effect_low": ((axis,), low), "output_effect_high": ((axis,), high)}
        variables["pairs_used"] = (axis,), until.used
        made |= until.made("output_effect", "pairs")
        until.warn("output effect of {group}", "pairs")
    if axis == "factor":
        used = [n] * len(names) if until is None else until.used
        variables["matched"] = (axis,), [int(one[:count].sum()) for one, count in zip(matches, used, strict=True)]
    return record(lens, variables, coords, **made)


def _factor_changes(
    ds: FactorDataset,
    names: Sequence[str],
    n: int,
    seed: int,
    rows: int,
    matches: list[Array],
    going: Collection[int],
) -> Changes:
    """Pairs of one factor after the other, of each as long as it is going; `matches` takes which match exactly."""
    for change, name in enumerate(names):
        draw = ds.pair_draw(name, n, seed)
        matches.append(draw.matched)
        for part in chunks(len(draw), rows):
            if change not in going:
                break
            pairs = draw[part]
            yield part.start, pairs.x, {change: pairs.x2}


def _manipulations(
    ds: FactorDataset, drawn: Array, strengths: Mapping[str, float], seed: int, rows: int, going: Collection[int]
) -> Changes:
    """Images with what each manipulation that is going makes of them."""
    changes = [changing(name, strength, seed) for name, strength in strengths.items()]
    for part in chunks(len(drawn), BLOCK * math.ceil(rows / BLOCK)):
        if not going:
            break
        images = ds.images_at(drawn[part])
        yield part.start, images, {number: change(images) for number, change in enumerate(changes) if number in going}


class _Tally:
    """What each of several changes does to every unit, the image and the codes, summed over images."""

    def __init__(self, lens: Lens, seed: int, reading: Reading | None = None):
        self._lens, self._seed, self._reading = lens, seed, reading
        self._sites = list(lens.sites)
        self._of_latent = np.repeat([site == LATENT for site in self._sites], [s.units for s in lens.sites.values()])
        self._spread = Spread()
        self._sums: dict[int, dict[str, BootstrapMean]] = {}  # of the changes under way
        self._found: dict[int, dict[str, tuple[Array, Array, Array]]] = {}  # mean, low and high of those that are done

    def base(self, images: Tensor, first_row: int, times: int) -> CachedRun:
        """Images before any change, `times` pairs each."""
        seen = run_cached(self._lens, images, first_row, self._sites)
        self._spread.add(seen, times)
        return seen

    def add(self, change: int, before: CachedRun, images: Tensor, first_row: int) -> Tensor:
        """The same images after a change; gives its effect on the output of each, (c,), where the model is."""
        after = run_cached(self._lens, images, first_row, self._sites)
        self._spread.add(after)
        if change not in self._sums:
            shapes: dict[str, tuple[int, ...]] = {"unit": (len(self._of_latent),), "output": ()}
            shapes |= {"codes": ()} if self._lens.quantised else {}
            shapes |= {} if self._reading is None else {"read": (len(self._reading.factors),)}
            self._sums[change] = {name: BootstrapMean(shape, seed=self._seed) for name, shape in shapes.items()}
        sums = self._sums[change]
        differences = [by_unit(after.activation(site) - before.activation(site)).norm(dim=2) for site in self._sites]
        sums["unit"].update(torch.cat(differences, dim=1))  # (c, units)
        sizes = to_float64(after.image - before.image).flatten(1).norm(dim=1)
        sums["output"].update(sizes)
        if self._lens.quantised:
            quantise = self._lens.engine.quantise
            other = quantise(before.code).indices != quantise(after.code).indices
            sums["codes"].update(to_float64(other).reshape(len(other), -1).mean(dim=1))
        if self._reading is not None:
            read, other = (self._reading.probabilities(seen.image) for seen in (before, after))
            sums["read"].update(self._reading.distances(other, read))
        return sizes

    def pairs(self, change: int) -> int:
        """How many pairs of a change have been added."""
        return self._sums[change]["unit"].count

    def close(self, change: int) -> None:
        """No more pairs of a change come: its resamples are not kept beside those of the others."""
        self._found[change] = {name: (one.mean, *one.interval()) for name, one in self._sums.pop(change).items()}

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
