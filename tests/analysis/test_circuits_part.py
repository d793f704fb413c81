"""Circuits as a part of an analysis: only on request, kept as others are, and shown in the report."""

import json

import numpy as np
import pytest

import vaelens as vl
from vaelens.analysis.part import PARTS
from vaelens.analysis.run import selected_parts
from vaelens.report import sentences
from vaelens.study.table import _circuit_rows


@pytest.fixture(scope="module")
def planted():
    return vl.planted_model("rotated", 2, seed=1)


@pytest.fixture(scope="module")
def analysis(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("analysis")
    return vl.analyse(planted.lens, planted.dataset, n=16, only="circuits", progress=False, folder=folder)


def test_circuits_are_left_out_unless_asked_for():
    assert "circuits" not in selected_parts(None, None)
    assert selected_parts(None, None, circuits=True) == list(PARTS)
    assert selected_parts("circuits", None) == ["circuits"]
    assert selected_parts("latent", None, circuits=True) == ["latent", "circuits"]
    assert "circuits" not in selected_parts(None, "circuits", circuits=True)


def test_what_is_kept_is_what_the_search_finds(planted, analysis):
    kept = analysis.effects["circuits"]
    assert kept["factor"].values.tolist() == list(planted.truth.circuits)
    for row, (name, units) in enumerate(planted.truth.circuits.items()):
        circuit = vl.discover_circuit(planted.lens, planted.dataset, name, n=16, progress=False)
        member = kept["member"].values[row]
        nodes = list(zip(kept["site"].values[member].tolist(), kept["index"].values[member].tolist(), strict=True))
        assert nodes == [(site, unit) for site, indices in units.items() for unit in indices]
        assert float(kept["faithfulness"][row]) == float(circuit.faithfulness)
        assert float(kept["held_out_low"][row]) == circuit.held_out.low
        np.testing.assert_array_equal(kept["loss"].values[row, member], circuit.losses["loss"])
        assert np.isnan(kept["loss"].values[row, ~member]).all()
        assert (kept["edge_factor"].values == row).sum() == circuit.graph.number_of_edges()
        assert kept["cpr"].sel(hold="source").values[row] == pytest.approx(circuit.cpr)


def test_motifs_are_those_of_the_circuits(planted, analysis):
    kept = analysis.effects["circuits"]
    for row, name in enumerate(planted.truth.circuits):
        circuit = vl.discover_circuit(planted.lens, planted.dataset, name, n=16, progress=False)
        motifs = vl.find_motifs(circuit, graphs=50)
        assert kept["motif"].values.tolist() == motifs["motif"].tolist()
        np.testing.assert_array_equal(kept["motif_count"].values[row], motifs["count"])
        np.testing.assert_array_equal(kept["motif_z"].values[row], motifs["z"])


def test_a_studys_table_has_them_factor_by_factor(planted, analysis):
    rows = list(_circuit_rows({"model": "planted"}, analysis.effects["circuits"]))
    assert [row["factor"] for row in rows if row["measure"] == "circuit_share"] == list(planted.truth.circuits)
    whole = analysis.effects["circuits"].sizes["unit"]
    for row in rows:
        units = sum(map(len, planted.truth.circuits[row["factor"]].values()))
        if row["measure"] == "circuit_share":
            assert row["value"] == pytest.approx(units / whole)
        if row["measure"] == "circuit_faithfulness":
            assert row["low"] <= row["value"] <= row["high"]
            assert row["value"] == pytest.approx(1, abs=1e-5)
    assert {"circuit_edges", "circuit_held_out", "motif_bi-fan"} <= {row["measure"] for row in rows}


def test_the_table_has_a_row_for_each_factor(planted, analysis):
    table = analysis.table("circuits")
    sizes = {name: sum(map(len, units.values())) for name, units in planted.truth.circuits.items()}
    assert table["size"].to_dict() == sizes
    assert table["faithfulness"].to_numpy() == pytest.approx(1, abs=1e-5)
    assert (table["random_most"] < 0.9).all()


def test_the_report_shows_them(analysis, tmp_path):
    page = analysis.report(tmp_path / "report.html").read_text(encoding="utf-8")
    names = analysis.effects["circuits"]["factor"].values.tolist()
    assert page.count("<svg") >= len(names)
    assert all(f"<h3>{name}</h3>" in page for name in names)
    assert "faithfulness over the share of units" in page
    assert any(said.startswith("Of ") and "can spare none" in said for said in sentences(analysis))


def test_a_factor_without_effect_is_left_out_and_said(planted, tmp_path):
    model = vl.build_model("vae", planted.dataset.image_shape, latent_dim=2)
    for weight in model.decoder.parameters():
        weight.data.zero_()
    analysis = vl.analyse(
        vl.Lens(model), planted.dataset, n=8, only="circuits", progress=False, folder=tmp_path / "analysis"
    )
    kept = vl.Analysis.load(tmp_path / "analysis").effects["circuits"]
    assert not kept.sizes["factor"]
    assert set(json.loads(kept.attrs["left_out"])) == set(planted.truth.circuits)
    page = analysis.report(tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No circuit of first: no image that this model returns depends on" in page
