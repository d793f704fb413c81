"""Drawings of circuits: every unit and edge where it belongs, and few crossings."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import xarray as xr

import vaelens as vl
from vaelens.circuits.circuit_table import END, NONE
from vaelens.report.circuit_drawing import drawing
from vaelens.report.layered_order import crossings, layered_order

SVG = "{http://www.w3.org/2000/svg}"


def table(maps=True, **changed):
    """Two units at the first site and three at the second, of which one is in the circuit and not shown."""
    unit = {
        "site": ("unit", ["encoder.0", "encoder.0", "a<b", "a<b", "a<b"]),
        "index": ("unit", [0, 1, 0, 1, 2]),
    }
    losses = np.array([[0.25, 0.5, 0.125, 1.0, 0.01]])
    variables = {
        "member": (("factor", "unit"), np.ones((1, 5), dtype=bool)),
        **{f"loss{end}": (("factor", "unit"), losses) for end in ("", "_low", "_high")},
        "role": (("factor", "unit"), [["", "", "backup", "", ""]]),
        "edge_factor": ("edge", [0, 0, 0, 0, 0, 1]),
        "sender": ("edge", [END, 0, 1, 3, 4, 0]),
        "receiver": ("edge", [0, 3, 2, END, END, 2]),
        "edge_weight": ("edge", [1.0, 0.5, -0.25, 1.0, 1.0, 1.0]),
        "shown": (("factor", "place"), [[0, 1, 2, 3, NONE]]),
        "effect_map": (("factor", "place", "height", "width"), np.ones((1, 5, 2, 2) if maps else (1, 5, 0, 0))),
    }
    return xr.Dataset(variables | changed, {"factor": ["scale"], **unit}, {"notes": json.dumps({})})


def elements(drawn, kind):
    return list(ET.fromstring(drawn.svg).iter(SVG + kind))


def titles(drawn):
    return [element.text for element in elements(drawn, "title")]


def test_units_edges_and_the_rest_are_there():
    drawn = drawing(table(), "scale")
    assert drawn.shown == 4
    said = titles(drawn)
    assert "encoder.0, unit 1: without it 0.500 [0.500, 0.500] of the effect is lost" in said
    assert "a<b, unit 0, backup: without it 0.125 [0.125, 0.125] of the effect is lost" in said
    assert {"encoder.0, unit 0 → a<b, unit 1: 0.500", "scale → encoder.0, unit 0: 1.00"} <= set(said)
    assert not any("unit 2" in title for title in said)  # not shown, nor its edge
    words = [element.text for element in elements(drawn, "text")]
    assert {"2 of 2", "3 of 3", "+ 1 more", "a<b", "50.0 %"} <= set(words)
    assert len(elements(drawn, "image")) == 4


def test_widths_are_weights_and_what_works_against_is_dashed():
    paths = {path.find(f"{SVG}title").text.split(": ")[0]: path for path in elements(drawing(table(), "scale"), "path")}
    assert len(paths) == 4
    widths = {name: float(path.get("stroke-width")) for name, path in paths.items()}
    assert widths["scale → encoder.0, unit 0"] == pytest.approx(7.0)
    assert widths["encoder.0, unit 0 → a<b, unit 1"] == pytest.approx((0.7 + 7) / 2)
    against = paths["encoder.0, unit 1 → a<b, unit 0"]
    assert against.get("stroke-dasharray")
    assert against.get("stroke") != paths["scale → encoder.0, unit 0"].get("stroke")


def test_without_images_there_are_no_pictures():
    assert not elements(drawing(table(maps=False), "scale"), "image")


def test_the_order_uncrosses_what_can_be():
    layers = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    edges = [(0, 5), (1, 4), (2, 3), (5, 7), (4, 8), (3, 6)]
    neighbours = {}
    for left, right in edges:
        neighbours.setdefault(left, []).append((right, 1.0))
        neighbours.setdefault(right, []).append((left, 1.0))
    assert crossings(layers, neighbours) == 4
    order = layered_order(layers, neighbours)
    assert crossings(order, neighbours) == 0
    assert [sorted(layer) for layer in order] == layers


def test_a_figure_saves_as_svg_alone(tmp_path):
    planted = vl.planted_model("rotated", 2, seed=0)
    circuit = vl.discover_circuit(planted.lens, planted.dataset, "second", n=16, progress=False)
    figure = circuit.figure()
    assert circuit._repr_html_().startswith(f"{figure.svg}<pre>a circuit of &#x27;second&#x27;")
    assert figure._repr_svg_() == figure.save(tmp_path / "second.svg").read_text(encoding="utf-8")
    with pytest.raises(vl.VaelensError, match=r"second\.png' does not end in \.svg"):
        figure.save(tmp_path / "second.png")
