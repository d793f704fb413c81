"""The sweep of level 1, which runs every change of the input over its pairs of images, a chunk at a time."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.data import FactorDataset
from vaelens.effects.change_sums import ChangeSums
from vaelens.effects.chunks import chunks
from vaelens.effects.factor_levels import FactorLevels
from vaelens.effects.options import SweepOptions
from vaelens.effects.outcomes import numbers
from vaelens.effects.record import Array, Variables, record, unit_coords
from vaelens.effects.schema import Schema
from vaelens.effects.stopping import GroupStopping
from vaelens.errors import VaelensError
from vaelens.lens import LATENT, Batch, Lens


@dataclass(frozen=True, eq=False)
class ChangedImages:
    """Some images, and what they are after each change.

    Attributes:
        first_row: where in the order of a change's pairs they begin.
        images: before any change, in their context.
        changed: after each change, by its number, (c, *shape).
    """

    first_row: int
    images: Batch
    changed: Mapping[int, Tensor]

    def after(self, change: int) -> Batch:
        """Returns the images after a change, in the context that they had before."""
        return self.images.with_values(self.changed[change])


@dataclass(frozen=True, eq=False)
class InputChanges:
    """The changes of one kind.

    Attributes:
        axis: the dimension of the results, "factor" or "manipulation".
        names: of the changes.
        pairs: how many there are of each.
        images: the pairs of the changes that are still wanted, whose numbers it is given.
        levels: what stands beside the effects, of factors.
    """

    axis: str
    names: Sequence[str]
    pairs: int
    images: Callable[[Collection[int]], Iterator[ChangedImages]]
    levels: FactorLevels | None = None


@dataclass(frozen=True, eq=False)
class InputSweep:
    """What a sweep measured.

    Attributes:
        variables: of the result, over the changes.
        used: how many pairs were taken of each change.
        attributes: how it was computed.
    """

    variables: Variables
    used: Array
    attributes: Mapping[str, Any]


def checked_names(axis: str, names: Sequence[str]) -> list[str]:
    """Refuses an empty list of changes, and a change that is named twice.

    Raises:
        VaelensError: see above.
    """
    if not names:
        raise VaelensError(f"no {axis} was named; name at least one, or leave the argument out")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise VaelensError(f"{axis} {twice[0]!r} was named {names.count(twice[0])} times; name each once")
    return list(names)


def input_sweep(lens: Lens, ds: FactorDataset, changes: InputChanges, options: SweepOptions) -> InputSweep:
    """Runs every change over its pairs, or until its effect on the output is known within the tolerance."""
    pairs, names = changes.pairs, changes.names
    wanted = set(range(len(names)))  # the changes of which more pairs are needed
    sums = ChangeSums(lens, options.seed, options.predictions)
    stopping = None
    if options.tolerance is not None:
        units = dict.fromkeys(names, 1)
        stopping = GroupStopping(pairs, units, lens.observation, options.tolerance, options.seed)
    rows_at_once = lens.engine.rows if stopping is None else min(lens.engine.rows, stopping.rows)
    levels = changes.levels
    total = pairs * len(names) + (0 if levels is None else levels.runs)
    used = np.full(len(names), pairs)
    with options.reporting(total, "input effects") as report:
        if levels is not None:
            levels.prepare(report.advance)
        for block in changes.images(wanted):
            for rows in chunks(len(block.images), rows_at_once):
                active = [change for change in block.changed if change in wanted]
                if not active:
                    break
                first_row = block.first_row + rows.start
                before = sums.before(block.images[rows], first_row, times=len(active))
                for change in active:
                    after, sizes = sums.add(change, before, block.after(change)[rows], first_row)
                    if levels is not None:
                        levels.observe(change, first_row, before, after, sizes)
                    report.advance(len(sizes.output))
                    if stopping is not None:
                        stopping.update(names[change], numbers(sizes.output[:, None]))
                    enough = stopping is not None and not stopping.going([names[change]])
                    if enough or sums.pairs(change) == pairs:
                        wanted.discard(change)
                        report.advance(pairs - sums.pairs(change))
                        sums.close(change)
        used = used if stopping is None else stopping.used
        if levels is not None:
            levels.finish(used, report.advance)
    variables, attributes = sums.variables(changes.axis), {"pairs": pairs, "dataset": ds.name, **options.attributes()}
    if levels is not None:
        variables |= levels.variables(sums.latent_scale)
    if stopping is None:
        return InputSweep(variables, used, attributes)
    low, high = stopping.interval
    variables |= {"output_effect_low": ((changes.axis,), low), "output_effect_high": ((changes.axis,), high)}
    variables["pairs_used"] = (changes.axis,), used
    stopping.warn("output effect of {group}", "pairs")
    return InputSweep(variables, used, {**attributes, **stopping.attributes("output_effect", "pairs")})


def input_record(
    lens: Lens,
    schema: Schema,
    changes: InputChanges,
    swept: InputSweep,
    options: SweepOptions,
    coords: Mapping[str, Any],
    **variables: Any,
) -> xr.Dataset:
    """Builds the result of a sweep, with further coordinates and variables."""
    sites = [site for site in lens.sites if site != LATENT]
    all_coords = {
        changes.axis: list(changes.names),
        **coords,
        "latent": np.arange(lens.latents),
        **unit_coords(sites, [lens.sites[site].units for site in sites]),
    }
    if options.predictions is not None:
        all_coords["read_factor"] = list(options.predictions.factors)
    return record(lens, schema, swept.variables | variables, all_coords, **swept.attributes)
