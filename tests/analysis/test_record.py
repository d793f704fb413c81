import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import vaelens as vl
from vaelens.analysis.folder import score_frame


def by_hand(ces=1.5):
    effects = {
        "latent": xr.Dataset(
            {"ces": (("latent",), [ces, float("nan")]), "active": (("latent",), [True, False])},
            attrs={"model": "vae", "outcomes": ["a: code", "b: image"]},
        ),
        "input": xr.Dataset({"e": (("factor",), [0.25])}, {"factor": ["shape"]}),
    }
    numbers = {"value": ces, "low": float("nan"), "high": 2.0, "chance": float("nan")}
    scores = score_frame({"ces": {"label": "CES", **numbers, "better": "", "made": "by hand, 2 images"}})
    return vl.Analysis(effects, scores, {"model": {"model": "vae"}, "dataset": {"name": "hand"}, "seed": 0})


@pytest.fixture
def analysis():
    return by_hand()


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_saved_analysis_loads_as_it_was(analysis, tmp_path):
    folder = analysis.save(tmp_path / "new" / "folder")
    loaded = vl.Analysis.load(folder)
    assert loaded.provenance == analysis.provenance
    pd.testing.assert_frame_equal(loaded.scores, analysis.scores)
    assert list(loaded.effects) == list(analysis.effects)
    for name, dataset in analysis.effects.items():
        xr.testing.assert_identical(loaded.effects[name], dataset)
    kept = [name.split("-")[0] for name in files(folder)]
    assert kept == ["effects/input", "effects/latent", "manifest.json", "scores.csv"]


def test_its_files_can_be_read_by_others(analysis, tmp_path):
    analysis.save(tmp_path)
    scores = pd.read_csv(tmp_path / "scores.csv", index_col="score")
    assert (scores.value["ces"], scores.label["ces"]) == (1.5, "CES")
    (file,) = (tmp_path / "effects").glob("input-*.nc")
    assert xr.load_dataset(file, engine="h5netcdf").e.values.tolist() == [0.25]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["scores"]["ces"]["low"] is None
    assert manifest["parts"]["input"]["file"] == f"effects/{file.name}"


def test_an_analysis_is_only_overwritten_when_asked(analysis, tmp_path):
    analysis.save(tmp_path)
    with pytest.raises(vl.VaelensError, match="holds an analysis already; give another folder, or overwrite it"):
        by_hand(3.0).save(tmp_path)
    assert vl.Analysis.load(tmp_path).scores.value["ces"] == 1.5
    by_hand(3.0).save(tmp_path, overwrite=True)
    assert vl.Analysis.load(tmp_path).scores.value["ces"] == 3.0
    assert len(list((tmp_path / "effects").iterdir())) == 2  # those of the analysis that was replaced are gone


def test_a_file_is_no_folder_to_save_in(analysis, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(vl.VaelensError, match="is a file; give a folder"):
        analysis.save(tmp_path / "file")
    with pytest.raises(vl.VaelensError, match="lies under a file; give another folder"):
        analysis.save(tmp_path / "file" / "below")
    assert (tmp_path / "file").read_text() == "mine"


def test_damage_to_any_file_is_noticed_and_the_file_named(analysis, tmp_path):
    folder = analysis.save(tmp_path)
    for name in files(folder):
        if name == ".lock":
            continue
        path = folder / name
        whole = path.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 2):
            damaged = bytearray(whole)
            damaged[place] ^= 1
            path.write_bytes(damaged)
            with pytest.raises(vl.VaelensError, match=rf"{path.name}.* is damaged") as error:
                vl.Analysis.load(folder)
            assert "delete it" in str(error.value) or "overwrite" in str(error.value)
        path.write_bytes(whole[:-9])
        with pytest.raises(vl.VaelensError, match=f"{path.name}.* is damaged"):
            vl.Analysis.load(folder)
        path.write_bytes(whole)
    vl.Analysis.load(folder)


def test_a_missing_file_is_named(analysis, tmp_path):
    folder = analysis.save(tmp_path)
    (folder / "scores.csv").unlink()
    vl.Analysis.load(folder)  # the scores are in the manifest too
    (file,) = (folder / "effects").glob("latent-*.nc")
    file.unlink()
    with pytest.raises(vl.VaelensError, match=r"latent-\w+\.nc' is missing; analyse the model again"):
        vl.Analysis.load(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(
        vl.VaelensError, match=r"holds no analysis: manifest\.json is missing; make one with vl\.analyse"
    ):
        vl.Analysis.load(folder)


def test_an_analysis_of_an_earlier_layout_is_refused_with_what_to_do(analysis, tmp_path):
    for name in ("effects.nc", "scores.csv", "provenance.json"):
        (tmp_path / name).write_text("before")
    with pytest.raises(
        vl.VaelensError, match="layout of an earlier version; analyse the model again into this folder, with"
    ):
        vl.Analysis.load(tmp_path)
    with pytest.raises(vl.VaelensError, match="holds an analysis already; give another folder, or overwrite it"):
        analysis.save(tmp_path)
    analysis.save(tmp_path, overwrite=True)
    assert "effects.nc" not in files(tmp_path)
    assert "provenance.json" not in files(tmp_path)


def test_two_in_one_folder_do_not_mix(analysis, tmp_path):
    parts = analysis.save(tmp_path / "a"), by_hand(3.0).save(tmp_path / "b")
    theirs = next((parts[1] / "effects").glob("latent-*.nc"))
    ours = next((parts[0] / "effects").glob("latent-*.nc"))
    assert theirs.name != ours.name
    ours.write_bytes(theirs.read_bytes())
    with pytest.raises(vl.VaelensError, match="its checksum is not the one kept; delete it"):
        vl.Analysis.load(parts[0])


def test_printing_an_analysis_shows_what_it_is_about_and_its_scores(analysis):
    assert repr(analysis).splitlines()[0] == "Analysis of vae on hand"
    assert "ces" in repr(analysis)
    assert np.isnan(analysis.scores.low["ces"])


def test_printed_scores_show_their_values_in_80_columns(tmp_path):
    row = {
        "label": "a label " * 9,
        "value": 0.012345,
        "low": 1.5e-9,
        "high": 3.0,
        "chance": np.nan,
        "untrained": -0.0123,
    }
    scores = score_frame({"specificity_normalised_latents": row | {"better": "higher", "made": "in words " * 20}})
    first, second, last = repr(scores).splitlines()
    assert first.split() == ["value", "low", "high", "chance", "untrained"]
    assert second.split() == ["specificity_normalised_latents", "0.0123", "1.5e-09", "3", "NaN", "-0.0123"]
    assert last == "further columns: label, better, made"
    assert max(map(len, (first, second, last))) <= 80
    assert str(scores) == repr(scores)
    assert repr(scores[["label", "better"]]) == repr(pd.DataFrame(scores[["label", "better"]]))
