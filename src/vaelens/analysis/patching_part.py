"""The part of an analysis that patches every unit, site by site, which can be ended after any site."""

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import xarray as xr

from vaelens.analysis.choice import Share
from vaelens.analysis.cost import Clock, Cost, Moved, measure
from vaelens.analysis.part import Late, Part
from vaelens.analysis.subject import Subject
from vaelens.effects import patching_effects
from vaelens.lens import LATENT

_LEAST_TRIAL = 0.1  # seconds for a site
_TIMED_SITES = 5  # on which patching is timed; the cost of others is read off between them


def patching_part(subject: Subject, full: int) -> Part:
    """Patches every unit, the latent first, then of sites spread over encoder and decoder."""
    lens, x, seed = subject.lens, subject.x, subject.seed
    in_order = [name for name in lens.sites if name != lens.sites.output]
    sites = spread(in_order)

    def patched(pairs: int, names: Sequence[str], moved: Moved) -> xr.Dataset:
        return patching_effects(lens, x[:pairs], x[pairs : 2 * pairs], names, seed=seed, progress=moved)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        taken = set(sites[: share.pieces])
        return patched(share.images, [name for name in in_order if name in taken], moved)

    def run_until(share: Share, moved: Moved) -> xr.Dataset:
        parts: dict[str, xr.Dataset] = {}
        with suppress(Late):
            for k, name in enumerate(sites[: share.pieces]):
                # The first is measured in any case: without it there is nothing.
                within = _between(moved, k / share.pieces, (k + 1) / share.pieces) if parts else lambda *_: None
                parts[name] = patched(share.images, [name], within)
        in_place = [parts[name] for name in in_order if name in parts]
        joined = xr.concat(in_place, "unit", combine_attrs="override")
        return joined.assign_attrs(outcomes=[outcome for part in in_place for outcome in part.attrs["outcomes"]])

    def seconds_a_unit(names: Sequence[str], patience: float, clock: Clock) -> tuple[float, bool]:
        """Seconds for a unit of a pair, and whether that was judged by a run that was ended early."""
        cost = measure(lambda pairs, moved: patched(pairs, names, moved), (min(2, full), full), patience, clock)
        return cost.seconds(full) / full / sum(lens.sites[name].units for name in names), cost.is_cut

    def cost(patience: float, clock: Clock) -> tuple[Cost, ...]:
        mean, is_cut = seconds_a_unit(in_order, patience / 2, clock)
        each = np.full(len(in_order), mean)
        if is_cut:  # the sites that it came to need not be like the others
            places = np.unique(np.linspace(0, len(in_order) - 1, _TIMED_SITES).round().astype(int))
            trial = max(patience / 2 / len(places), _LEAST_TRIAL)
            timed = [seconds_a_unit([in_order[k]], trial, clock)[0] for k in places]
            each = np.interp(np.arange(len(in_order)), places, timed)
        seconds = {name: each[k] * lens.sites[name].units for k, name in enumerate(in_order)}
        return tuple(Cost(0.0, float(seconds[name])) for name in sites)

    return Part("patching", full, run, "pairs", sites, cost, run_until)


def _between(moved: Moved, begin: float, end: float) -> Moved:
    """Tells the progress of a piece as that of the whole, of which it is what lies between two fractions."""
    return lambda done, total: moved(begin + (end - begin) * done / total, 1.0)


def spread(names: Sequence[str]) -> list[str]:
    """Orders names so that every beginning of the order is spread over all, the latent first."""
    order, gap = [names.index(LATENT), 0, len(names) - 1], len(names) - 1
    while gap > 1:
        gap = -(-gap // 2)
        order += range(0, len(names), gap)
    return [names[place] for place in dict.fromkeys(order)]
