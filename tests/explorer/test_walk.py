import json

import pytest

import vaelens as vl
from vaelens.circuits.circuit_table import circuit_table
from vaelens.explorer.scene import Scene
from vaelens.explorer.walk import Edge, read_walk, walks_in, walks_of, walks_of_table


def test_a_circuit_is_walked_alike_from_memory_analysis_and_file(circuit, tmp_path):
    circuit.to_json(tmp_path / "first.json")
    (of_memory,), of_file = walks_of(circuit), read_walk(tmp_path / "first.json")
    assert [walk.factor for walk in walks_in(tmp_path)] == ["first"]
    assert walks_in(tmp_path / "none") == []
    for walk in (of_file, *walks_of_table(circuit_table([circuit]))):
        assert (walk.factor, walk.units, walk.losses) == ("first", of_memory.units, of_memory.losses)
        assert sorted(map(str, walk.edges)) == sorted(map(str, of_memory.edges))
    assert of_memory.units == dict(circuit.units)
    assert Edge("first", ("encoder.0", circuit.units["encoder.0"][0]), 1.0) in of_memory.edges
    assert [edge.sender[0] for edge in of_memory.edges if edge.receiver == "image"] == ["decoder.2"]
    assert set(of_memory.maps) == {(site, unit) for site, units in circuit.units.items() for unit in units}


def test_several_are_taken_and_of_one_factor_the_last(circuit, tmp_path):
    circuit.to_json(tmp_path / "first.json")
    assert len(walks_of([circuit, tmp_path / "first.json", str(tmp_path / "first.json")])) == 1
    assert walks_of(None) == ()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"factor": 1, "units": {"latent": ["a"]}}'])
def test_what_is_no_circuit_is_refused_in_a_sentence(content, tmp_path):
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(vl.VaelensError, match="is no circuit; expected a JSON file"):
        read_walk(tmp_path / "x.json")
    with pytest.raises(vl.VaelensError, match="can't be read"):
        read_walk(tmp_path / "y.json")
    with pytest.raises(vl.VaelensError, match="circuit is a int; expected a Circuit"):
        walks_of([3])


def test_a_circuit_of_another_model_is_refused(planted, circuit, tmp_path):
    circuit.to_json(tmp_path / "first.json")
    record = json.loads((tmp_path / "first.json").read_text())
    record["units"]["latent"] = [5]
    (tmp_path / "first.json").write_text(json.dumps(record))
    with pytest.raises(vl.VaelensError, match="the circuit of 'first' has units at 'latent' that this model"):
        Scene(planted.lens, planted.dataset, walks_of(tmp_path / "first.json"))
