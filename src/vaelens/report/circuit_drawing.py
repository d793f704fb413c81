"""A circuit as a readable drawing, with sites from left to right, few crossings, and edges by weight.

Written as SVG, which pages hold inside and browsers open by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import xarray as xr

from vaelens.circuits.circuit_table import END, NONE
from vaelens.errors import VaelensError
from vaelens.paths import user_path
from vaelens.report import palette, pictures
from vaelens.report.layered_order import layered_order
from vaelens.report.numerals import estimate, number
from vaelens.writing import write_whole

_TILE, _PITCH, _ROW = 40, 70, 70  # pixels: side of a unit, from site to site, from unit to unit
_TOP, _BOTTOM, _SIDE = 52, 30, 16
_WIDEST, _THINNEST = 7.0, 0.7  # of an edge
_FACTOR, _IMAGE = -1, -3  # nodes in the layout
_POSITIVE, _NEGATIVE = palette.DISTINCT[0], palette.DISTINCT[5]


@dataclass(frozen=True)
class Drawing:
    """A drawing as SVG.

    Attributes:
        svg: the text of the file.
        narrowest: the width in pixels below which its words can hardly be read.
        shown: how many units are in it.
    """

    svg: str
    narrowest: int
    shown: int

    def save(self, path: str | Path) -> Path:
        """Writes the drawing as an SVG file and returns its path.

        Raises:
            VaelensError: another ending than .svg, or a path that can't be written.
        """
        target = user_path("path", path)
        if target.suffix.lower() != ".svg":
            raise VaelensError(f"{str(target)!r} does not end in .svg, and a circuit is drawn as SVG; give such a name")
        write_whole(target, self.svg.encode())
        return target

    def _repr_svg_(self) -> str:
        return self.svg


def drawing(circuits: xr.Dataset, factor: str) -> Drawing:
    """Draws the circuit of a factor.

    Args:
        circuits: as `circuit_table` returns it.
        factor: one of its factors.
    """
    row = circuits["factor"].values.tolist().index(factor)
    shown = [int(unit) for unit in circuits["shown"].values[row] if unit != NONE]
    sites, indices = circuits["site"].values.tolist(), circuits["index"].values.tolist()
    columns = list(dict.fromkeys(sites[unit] for unit in shown))
    edges = _edges(circuits, row, shown)
    neighbours: dict[int, list[tuple[int, float]]] = {}
    for sender, receiver, weight in edges:
        neighbours.setdefault(sender, []).append((receiver, weight))
        neighbours.setdefault(receiver, []).append((sender, weight))
    layers = [[_FACTOR], *([unit for unit in shown if sites[unit] == site] for site in columns), [_IMAGE]]
    order = layered_order(layers, neighbours)
    most = max(map(len, order))
    height = _TOP + most * _ROW + _BOTTOM
    width = 2 * _SIDE + _PITCH * (len(order) - 1) + _TILE
    places = {
        node: (_SIDE + _PITCH * column, _TOP + (most - len(layer)) * _ROW / 2 + place * _ROW)
        for column, layer in enumerate(order)
        for place, node in enumerate(layer)
    }
    names = {unit: f"{sites[unit]}, unit {indices[unit]}" for unit in shown} | {_FACTOR: factor, _IMAGE: "the image"}
    member = circuits["member"].values[row]
    parts = [
        *(_header(circuits, row, site, _SIDE + _PITCH * (k + 1), height) for k, site in enumerate(columns)),
        *(
            _edge(places[sender], places[receiver], weight, f"{names[sender]} → {names[receiver]}")
            for sender, receiver, weight in sorted(edges, key=lambda edge: abs(edge[2]))
        ),
        *(_unit(circuits, row, shown, unit, places[unit], names[unit]) for unit in shown),
        _end(places[_FACTOR], factor),
        _end(places[_IMAGE], "image"),
    ]
    label = f"Circuit of {factor}: {len(shown)} of its {int(member.sum())} units, at {len(columns)} sites"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" '
        f'role="img" aria-label="{escape(label)}" font-family="{escape(palette.FONT)}" fill="{palette.INK}" '
        'style="max-width:none">'
    )
    paper = f'<rect width="{width}" height="{height:g}" fill="{palette.PAPER}"/>'
    return Drawing("\n".join([head, paper, *parts, "</svg>"]) + "\n", width, len(shown))


def _edges(circuits: xr.Dataset, row: int, shown: Sequence[int]) -> list[tuple[int, int, float]]:
    """Lists the edges between what is shown, in the drawing's nodes."""
    of_row = circuits["edge_factor"].values == row
    ends = {*shown, END}
    listed = zip(
        *(circuits[name].values[of_row].tolist() for name in ("sender", "receiver", "edge_weight")), strict=True
    )
    return [
        (_FACTOR if sender == END else sender, _IMAGE if receiver == END else receiver, weight)
        for sender, receiver, weight in listed
        if sender in ends and receiver in ends
    ]


def _header(circuits: xr.Dataset, row: int, site: str, left: float, height: float) -> str:
    """Writes the name of a site, how many of its units the circuit has, and how many of them are not shown."""
    at_site = circuits["site"].values == site
    members = int((circuits["member"].values[row] & at_site).sum())
    shown = sum(bool(at_site[unit]) for unit in circuits["shown"].values[row] if unit != NONE)
    middle = left + _TILE / 2
    lines = [
        _text(middle, 16, _short(site), 11, weight=600),
        _text(middle, 30, f"{members} of {int(at_site.sum())}", 10, palette.MUTED),
    ]
    if members > shown:
        lines.append(_text(middle, height - 10, f"+ {members - shown} more", 10, palette.MUTED))
    return f"<g><title>{escape(site)}</title>{''.join(lines)}</g>"


def _edge(start: tuple[float, float], end: tuple[float, float], weight: float, name: str) -> str:
    (left, top), (right, bottom) = start, end
    left, top, bottom = left + _TILE, top + _TILE / 2, bottom + _TILE / 2
    middle = (left + right) / 2
    width = _THINNEST + (_WIDEST - _THINNEST) * min(abs(weight), 1.0)
    dashes = "" if weight >= 0 else ' stroke-dasharray="5 3"'
    return (
        f'<path d="M{left:g} {top:g} C{middle:g} {top:g} {middle:g} {bottom:g} {right:g} {bottom:g}" fill="none" '
        f'stroke="{_POSITIVE if weight >= 0 else _NEGATIVE}" stroke-width="{width:.2f}" stroke-opacity="0.5"{dashes}>'
        f"<title>{escape(name)}: {number(weight)}</title></path>"
    )


def _unit(
    circuits: xr.Dataset, row: int, shown: Sequence[int], unit: int, place: tuple[float, float], name: str
) -> str:
    left, top = place
    loss, low, high = (float(circuits[key].values[row, unit]) for key in ("loss", "loss_low", "loss_high"))
    role = str(circuits["role"].values[row, unit])
    effect = circuits["effect_map"].values[row, list(shown).index(unit)]
    box = f'x="{left:g}" y="{top:g}" width="{_TILE}" height="{_TILE}"'
    tile = ""
    if effect.size:
        picture = pictures.data_uri(pictures.heat(effect, float(np.nanmax(effect))))
        shape = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
        tile = f'<image href="{picture}" {box} {shape}/>'
    said = (
        f"{name}{f', {role}' if role else ''}: without it {' '.join(estimate(loss, low, high))} of the effect is lost"
    )
    index, percent = str(int(circuits["index"].values[unit])), f"{100 * loss:.1f} %".replace("-", "−")
    middle, below = left + _TILE / 2, top + _TILE
    return (
        f'<g><title>{escape(said)}</title><rect {box} fill="{palette.PANEL}"/>{tile}'
        f'<rect {box} fill="none" stroke="{palette.MUTED}" stroke-dasharray="{"4 2" if role else "none"}"/>'
        f"{_text(middle, below + 12, index, 10)}{_text(middle, below + 23, percent, 9, palette.MUTED)}</g>"
    )


def _end(place: tuple[float, float], name: str) -> str:
    left, top = place
    label = _text(left + _TILE / 2, top + _TILE + 13, _short(name, 11), 10, weight=600)
    return (
        f'<g><title>{escape(name)}</title><rect x="{left:g}" y="{top:g}" width="{_TILE}" height="{_TILE}" rx="8" '
        f'fill="{palette.PANEL}" stroke="{palette.MUTED}"/>{label}</g>'
    )


def _text(x: float, y: float, words: str, size: int, colour: str = palette.INK, weight: int = 400) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="middle"'
    return f'<text x="{x:g}" y="{y:g}" {style}>{escape(words)}</text>'


def _short(name: str, most: int = 12) -> str:
    """Shortens a name to the width of a column. The whole of it is in the title."""
    return name if len(name) <= most else f"…{name[-(most - 1) :]}"
