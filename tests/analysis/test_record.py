import pandas as pd
import pytest
import xarray as xr

import vaelens as vl


@pytest.fixture
def analysis():
    effects = {
        "latent": xr.Dataset(
            {"ces": (("latent",), [1.5, float("nan")]), "active": (("latent",), [True, False])},
            attrs={"model": "vae", "outcomes": ["a: code", "b: image"]},
        ),
        "input": xr.Dataset({"e": (("factor",), [0.25])}, {"factor": ["shape"]}),
    }
    scores = pd.DataFrame(
        {"value": [1.5], "low": [float("nan")], "high": [2.0], "better": ["higher"], "made": ["by hand, 2 images"]},
        index=pd.Index(["CES"], name="score"),
    )
    return vl.Analysis(effects, scores, {"model": {"model": "vae"}, "dataset": {"name": "hand"}, "seed": 0})


def test_a_saved_analysis_loads_as_it_was(analysis, tmp_path):
    loaded = vl.Analysis.load(analysis.save(tmp_path / "new" / "folder"))
    assert loaded.provenance == analysis.provenance
    pd.testing.assert_frame_equal(loaded.scores, analysis.scores)
    assert loaded.effects.keys() == analysis.effects.keys()
    for name, dataset in analysis.effects.items():
        xr.testing.assert_identical(loaded.effects[name], dataset)
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        "effects.nc",
        "provenance.json",
        "scores.csv",
    ]


def test_an_analysis_is_only_overwritten_when_asked(analysis, tmp_path):
    analysis.save(tmp_path)
    with pytest.raises(vl.VaelensError, match="holds an analysis already; give another folder, or overwrite it"):
        analysis.save(tmp_path)
    analysis.save(tmp_path, overwrite=True)


def test_a_file_is_no_folder_to_save_in(analysis, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(vl.VaelensError, match="is a file; give a folder"):
        analysis.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["effects.nc", "scores.csv", "provenance.json"])
def test_a_missing_or_damaged_file_is_named(analysis, tmp_path, name):
    folder = analysis.save(tmp_path)
    (folder / name).write_bytes(b"\x89HDF\r\n" if name == "effects.nc" else b'{"cut')
    if name != "scores.csv":
        with pytest.raises(vl.VaelensError, match=r"is damaged .* make it again"):
            vl.Analysis.load(folder)
    (folder / name).unlink()
    with pytest.raises(vl.VaelensError, match=f"holds no analysis: {name} is missing"):
        vl.Analysis.load(folder)


def test_printing_an_analysis_shows_what_it_is_about_and_its_scores(analysis):
    assert repr(analysis).splitlines()[0] == "Analysis of vae on hand"
    assert "CES" in repr(analysis)
