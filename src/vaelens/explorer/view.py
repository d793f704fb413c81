"""What is chosen in the explorer, as a record of plain values from which whatever is on the screen follows.

It goes to and from the query of an address, so that a link shows the same, and to and from JSON.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from vaelens.errors import VaelensError, unknown

Unit = tuple[str, int]  # site and index

HOWS = ("patch", "zero", "mean", "scale")
ALONE = ("", "circuit", "pins")  # besides the names of groups
_UNIT = re.compile(r"(\d{1,9})@(.+)")
_NAME = re.compile(r"[^|]{1,60}")
_MOST = 12_000  # characters of a query


@dataclass(frozen=True)
class Edit:
    """What units of a site are set to.

    Attributes:
        site: the site's name.
        units: their indices, ascending.
        how: "patch": their values on the source; "zero"; "mean": their mean over the images shown; "scale": their own
            values times `factor`.
        factor: of "scale".
    """

    site: str
    units: tuple[int, ...]
    how: str = "patch"
    factor: float = 0.5

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise unknown("way to change units", self.how, HOWS)
        _finite("factor", self.factor)


@dataclass(frozen=True)
class View:
    """What is chosen.

    Attributes:
        base: the image that is intervened on: its index in the dataset, or "png:…", a picture from the browser.
        source: the image that values are taken from, likewise.
        latents: what latents are set to; of a latent with positions, what is added to all of them.
        edits: what is done to units, at most one a site, in order.
        alone: of whose units the source passes while all others are held at the base's values: "" for none, and then
            latents and edits are in force; "circuit", "pins" or the name of a group.
        site: whose units are listed.
        how: what the list of units is measured by, and new edits are.
        factor: of how "scale".
        circuit: the factor whose circuit is walked; "" for none.
        unit: where in it one stands, or None.
        pins: units that are kept at hand.
        groups: units that belong together, by a name of the user's.
        names: what the user calls units.
    """

    base: str = "0"
    source: str = "1"
    latents: Mapping[int, float] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    alone: str = ""
    site: str = ""
    how: str = "patch"
    factor: float = 0.5
    circuit: str = ""
    unit: Unit | None = None
    pins: tuple[Unit, ...] = ()
    groups: Mapping[str, tuple[Unit, ...]] = field(default_factory=dict)
    names: Mapping[Unit, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.how not in HOWS:
            raise unknown("way to change units", self.how, HOWS)
        for value in (self.factor, *self.latents.values()):
            _finite("a value", value)
        sites = [edit.site for edit in self.edits]
        if len(set(sites)) < len(sites):
            raise VaelensError("a site is edited twice; give one edit with all its units")
        for name in (*self.groups, *self.names.values()):
            if not _NAME.fullmatch(name) or name in ALONE:
                raise VaelensError(f"the name {name!r} can't be used; give 1 to 60 characters without |")
        if self.alone not in (*ALONE, *self.groups):
            raise unknown("set of units", self.alone, [*ALONE[1:], *self.groups])

    def query(self, most: int = _MOST) -> str:
        """Writes the view as the query of an address, without the question mark.

        Args:
            most: characters; a picture from the browser that would make it longer is left out.

        Example:
            >>> View("3", "7", {0: 1.5}, (Edit("decoder.1", (2, 4)),)).query()
            'base=3&source=7&z0=1.5&edit=patch:2,4@decoder.1'
        """
        pairs = [("base", self.base), ("source", self.source)]
        pairs += [
            (f"z{latent}", f"{value:g}" if _exact(value) else repr(value)) for latent, value in self.latents.items()
        ]
        pairs += [("edit", _edit_text(edit)) for edit in self.edits]
        plain = View()
        for name in ("alone", "site", "how", "circuit"):
            if getattr(self, name) != getattr(plain, name):
                pairs.append((name, getattr(self, name)))
        if self.factor != plain.factor:
            pairs.append(("factor", repr(self.factor)))
        if self.unit is not None:
            pairs.append(("unit", _unit_text(self.unit)))
        pairs += [("pin", _unit_text(unit)) for unit in self.pins]
        pairs += [("group", "|".join([name, *map(_unit_text, units)])) for name, units in self.groups.items()]
        pairs += [("name", f"{_unit_text(unit)}|{name}") for unit, name in self.names.items()]
        text = urlencode(pairs, safe=":,@|", encoding="utf-8")
        if len(text) <= most or not (self.base.startswith("png:") or self.source.startswith("png:")):
            return text
        kept = {name: "0" for name in ("base", "source") if getattr(self, name).startswith("png:")}
        return replace(self, **kept).query(most)

    @classmethod
    def from_query(cls, query: str, default: "View") -> "View":
        """Reads a view from the query of an address, with the default's values for what the query does not say.

        Raises:
            VaelensError: an unknown field, or a value that can't be read.
        """
        if len(query) > 4 * _MOST:
            raise VaelensError("the address is too long to be one of the explorer; open the page without a query")
        state: dict[str, Any] = {"latents": {}, "edits": [], "pins": [], "groups": {}, "names": {}}
        for name, value in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
            try:
                _take(state, name, value)
            except VaelensError:
                raise
            except (ValueError, KeyError) as error:
                raise VaelensError(
                    f"the address has {name}={value[:40]!r}, which is no {name} of the explorer; open the "
                    "page without it"
                ) from error
        lists = {name: tuple(state[name]) for name in ("edits", "pins")}
        return replace(default, **{**state, **lists})

    def plain(self) -> dict[str, Any]:
        """Turns the view into plain values, as JSON holds them."""
        return {
            **vars(self),
            "latents": {str(latent): value for latent, value in self.latents.items()},
            "edits": [vars(edit) | {"units": list(edit.units)} for edit in self.edits],
            "unit": None if self.unit is None else list(self.unit),
            "pins": [list(unit) for unit in self.pins],
            "groups": [{"name": name, "units": [list(unit) for unit in units]} for name, units in self.groups.items()],
            "names": [{"unit": list(unit), "name": name} for unit, name in self.names.items()],
        }

    @classmethod
    def from_plain(cls, record: Mapping[str, Any]) -> "View":
        """Reads a view from what `plain` gives.

        Raises:
            VaelensError: something else.
        """
        try:
            texts = {name: str(record[name]) for name in ("base", "source", "alone", "site", "how", "circuit")}
            return cls(
                **texts,
                factor=float(record["factor"]),
                latents={int(latent): float(value) for latent, value in record["latents"].items()},
                edits=tuple(
                    Edit(str(edit["site"]), _indices(edit["units"]), str(edit["how"]), float(edit["factor"]))
                    for edit in record["edits"]
                ),
                unit=None if record["unit"] is None else _unit(record["unit"]),
                pins=tuple(map(_unit, record["pins"])),
                groups={str(group["name"]): tuple(map(_unit, group["units"])) for group in record["groups"]},
                names={_unit(named["unit"]): str(named["name"]) for named in record["names"]},
            )
        except VaelensError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise VaelensError("the page sent what is no view of the explorer; load it again") from error


def _take(found: dict[str, Any], name: str, value: str) -> None:
    if re.fullmatch(r"z\d{1,9}", name):
        found["latents"][int(name[1:])] = float(value)
    elif name in ("base", "source", "alone", "site", "how", "circuit"):
        found[name] = value
    elif name == "factor":
        found[name] = float(value)
    elif name == "unit":
        found[name] = _unit_from(value)
    elif name == "edit":
        found["edits"].append(_edit_from(value))
    elif name == "pin":
        found["pins"].append(_unit_from(value))
    elif name == "group":
        label, *units = value.split("|")
        found["groups"][label] = tuple(map(_unit_from, units))
    elif name == "name":
        unit, label = value.split("|")
        found["names"][_unit_from(unit)] = label
    else:
        raise KeyError(name)


def _edit_text(edit: Edit) -> str:
    factor = f":{edit.factor!r}" if edit.how == "scale" else ""
    return f"{edit.how}:{','.join(map(str, edit.units))}{factor}@{edit.site}"


def _edit_from(text: str) -> Edit:
    what, _, site = text.partition("@")
    how, units, *factor = what.split(":")
    if not site or len(factor) > 1:
        raise ValueError(text)
    return Edit(site, _indices(units.split(",")), how, *map(float, factor))


def _unit_text(unit: Unit) -> str:
    return f"{unit[1]}@{unit[0]}"


def _unit_from(text: str) -> Unit:
    match = _UNIT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return match[2], int(match[1])


def _unit(pair: Any) -> Unit:
    site, index = pair
    return str(site), int(index)


def _indices(units: Iterable[Any]) -> tuple[int, ...]:
    indices = tuple(sorted({int(unit) for unit in units}))
    if not indices or indices[0] < 0:
        raise ValueError(units)
    return indices


def _exact(value: float) -> bool:
    return float(f"{value:g}") == value


def _finite(what: str, value: float) -> None:
    if not math.isfinite(value):
        raise VaelensError(f"{what} is {value}; expected a finite number")
