"""The command `vaelens circuits`."""

import json

import networkx as nx
import pandas as pd
import pytest

import vaelens as vl
from vaelens.cli import main


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("circuits") / "model"
    vl.build_model("vae", (1, 32, 32), latent_dim=2, seed=1).save_pretrained(folder)
    return folder


def test_circuits_are_written_and_printed(model, capsys):
    assert run("circuits", model, "--dataset", "digits", "--pairs", 4, "--threshold", 0.5) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == f"circuits: {model / 'circuits'}"
    (name,) = vl.load_dataset("digits").factors.names
    record = json.loads((model / "circuits" / f"{name}.json").read_text())
    assert record["how"]["threshold"] == 0.5
    assert record["faithfulness"]["value"] >= 0.5 - 1e-6
    assert nx.read_graphml(model / "circuits" / f"{name}.graphml").number_of_edges() == len(record["edges"])
    units = pd.read_csv(model / "circuits" / "units.csv")
    assert set(units["type"]) <= {"dead", "monosemantic", "polysemantic"}
    assert "dead" in out


def test_what_is_wrong_is_one_sentence(model, tmp_path, capsys):
    for options, message in {
        ("--factor", "digitt"): "unknown factor 'digitt'",
        ("--scorer", "fast"): "unknown scorer 'fast'",
        ("--threshold", 2): "threshold is 2.0; expected a number above 0 and at most 1",
    }.items():
        assert run("circuits", model, "--dataset", "digits", "--pairs", 4, *options) == 1
        error = capsys.readouterr().err
        assert message in error
        assert len(error.strip().splitlines()) == 1
    (tmp_path / "file").write_text("")
    assert run("circuits", model, "--dataset", "digits", "--out", tmp_path / "file") == 1
    assert "is a file; give a folder" in capsys.readouterr().err
