"""The mediators of level 4, which are units of a site, groups of them, or the site as a whole."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from vaelens.effects.along import direction_groups
from vaelens.errors import VaelensError
from vaelens.lens import Direction, Group, Region, Regions, Site, regions, resolve_units

Mediators = int | Sequence[int] | Sequence[Sequence[int]] | Literal["all"] | Direction | None


def mediators(
    units: Any, site: Site, unit: Any, direction: Direction | None = None
) -> tuple[Sequence[Group], dict[str, Any]]:
    """Returns the mediators, each a unit, a group or the whole site, and their coordinates.

    Args:
        units: None for every unit by itself; indices, each by itself; lists of indices, each a group; "all".
        site: where they are.
        unit: what counts as one unit.
        direction: the directions that the site's units are along; their mediators are they, or they together.

    Raises:
        VaelensError: unknown units, or indices and groups at once.
    """
    if direction is not None:
        groups, names = direction_groups(direction)
        return groups, {
            "site": ("unit", [site.name] * len(groups)),
            "index": ("unit", list(range(len(groups)))),
            "direction": ("unit", names),
        }
    site_units, places = regions(site, unit)
    counted = replace(site, units=len(site_units))  # by which indices of units are checked
    members = None
    if isinstance(units, str):
        resolve_units(units, counted)  # pyright: ignore[reportArgumentType]: any text but "all" is refused
        groups, index, members = [Region(tuple(range(site.units)))], [0], [units]
    elif isinstance(units, Sequence) and any(isinstance(group, Sequence) for group in units):
        if not all(isinstance(group, Sequence) for group in units):
            raise VaelensError(f"units {units!r} mixes indices and groups; give a list of indices or a list of lists")
        inside = [resolve_units(group, counted) for group in units]
        groups = [Region(g) if unit == "channel" else Regions(tuple(site_units[k] for k in g)) for g in inside]
        index = [group[0] if len(group) == 1 else k for k, group in enumerate(inside)]
        members = [",".join(map(str, group)) for group in inside]
    else:
        index = list(resolve_units(units, counted))
        groups = [site_units[k] for k in index]
    coords: dict[str, Any] = {"site": ("unit", [site.name] * len(groups)), "index": ("unit", index)}
    if members is not None:
        return groups, coords | {"members": ("unit", members)}
    return groups, coords | {name: ("unit", [where[k] for k in index]) for name, where in places.items()}
