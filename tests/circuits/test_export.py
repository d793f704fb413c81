"""Circuits as files, read back by other programs' readers."""

import json
import re

import networkx as nx
import pytest

import vaelens as vl
from vaelens.circuits.export import dot


@pytest.fixture(scope="module")
def circuit():
    planted = vl.planted_model("rotated", 2, seed=1)
    return vl.discover_circuit(planted.lens, planted.dataset, "first", n=16, progress=False)


def test_graphml_is_read_back(circuit, tmp_path):
    circuit.to_graphml(tmp_path / "circuit.graphml")
    graph = nx.read_graphml(tmp_path / "circuit.graphml")
    assert graph.number_of_nodes() == circuit.graph.number_of_nodes()
    for (sender, receiver), weight in nx.get_edge_attributes(circuit.graph, "weight").items():
        names = [f"{node[0]}:{node[1]}" if isinstance(node, tuple) else node for node in (sender, receiver)]
        assert graph.edges[tuple(names)]["weight"] == pytest.approx(weight)
    unit = next(node for node in circuit.graph if isinstance(node, tuple))
    assert graph.nodes[f"{unit[0]}:{unit[1]}"] == {"kind": "unit", "site": unit[0], "index": unit[1]}


def test_json_says_what_the_record_says(circuit, tmp_path):
    circuit.to_json(tmp_path / "circuit.json")
    record = json.loads((tmp_path / "circuit.json").read_text())
    assert record["units"] == {site: list(units) for site, units in circuit.units.items()}
    assert record["faithfulness"]["value"] == pytest.approx(float(circuit.faithfulness))
    assert len(record["edges"]) == circuit.graph.number_of_edges()
    assert record["curve"]["source"]["1.0"] == pytest.approx(1)
    assert record["cpr"] == pytest.approx(circuit.cpr)
    assert len(record["losses"]) == len(circuit)


def test_dot_has_every_edge_once_and_is_balanced(circuit, tmp_path):
    circuit.to_dot(tmp_path / "circuit.dot")
    text = (tmp_path / "circuit.dot").read_text()
    assert text.count(" -> ") == circuit.graph.number_of_edges()
    assert text.count("{") == text.count("}")
    assert len(re.findall(r'subgraph "cluster [^"]+"', text)) == sum(1 for units in circuit.units.values() if units)


def test_dot_quotes_names():
    graph = nx.DiGraph()
    graph.add_node('the "first"', kind="factor")
    graph.add_edge('the "first"', ("encoder.0", 1), weight=-0.5)
    assert r'"the \"first\"" -> "encoder.0:1" [penwidth=2.30, style=dashed' in dot(graph)


def test_a_path_that_cannot_be_written_is_refused(circuit, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(vl.VaelensError):
        circuit.to_json(tmp_path / "file" / "circuit.json")
    with pytest.raises(vl.VaelensError, match="path is ''"):
        circuit.to_dot("")
