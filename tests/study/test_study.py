import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import vaelens as vl
from study.tiny import PLAN, TITLES, table_of
from vaelens.errors import VaelensError


def test_every_cell_is_done_once_and_nothing_else_is_left(undisturbed):
    study = vl.Study.from_text(PLAN)

    assert study.states(undisturbed) == dict.fromkeys(TITLES, "done")
    assert sorted(path.name for path in undisturbed.iterdir()) == [
        "claims", "runs", "runs.csv", "runs.parquet", "study.yaml", "work",
    ]  # fmt: skip
    assert list((undisturbed / "claims").iterdir()) == list((undisturbed / "work").iterdir()) == []
    cell = undisturbed / "runs" / "digits" / "vae" / "0"
    assert sorted(path.name for path in cell.iterdir()) == ["analysis", "cell.json", "model"]
    assert vl.VAE.from_pretrained(cell / "model").latent_dim == 10


def test_the_table_holds_what_the_analyses_say(undisturbed):
    table = pd.read_parquet(undisturbed / "runs.parquet")
    analysis = vl.Analysis.load(undisturbed / "runs" / "digits" / "beta-vae" / "1" / "analysis")

    run = table[(table["model"] == "beta-vae") & (table["seed"] == 1)]
    of_run = run[run["latent"].isna()].set_index("measure")["value"]
    ces = run[(run["measure"] == "ces") & run["latent"].notna()]
    np.testing.assert_array_equal(of_run[analysis.scores.index], analysis.scores["value"])
    np.testing.assert_array_equal(ces["value"], analysis.effects["latent"]["ces"])
    np.testing.assert_array_equal(ces["low"], analysis.effects["latent"]["ces_low"])
    assert set(run["beta"]) == {8.0}
    assert set(run["steps"]) == {8}
    assert sorted(ces["aligned"]) == list(range(10))
    pd.testing.assert_frame_equal(table, pd.read_csv(undisturbed / "runs.csv"), check_dtype=False, check_exact=True)


def test_the_same_latent_is_aligned_with_itself(undisturbed):
    table = pd.read_parquet(undisturbed / "runs.parquet")
    first = table[(table["seed"] == 0) & (table["measure"] == "ces") & table["latent"].notna()]

    assert (first["aligned"] == first["latent"]).all()
    np.testing.assert_allclose(first["match"], 1)


def test_a_cell_is_what_the_same_calls_by_hand_give(undisturbed):
    ds = vl.load_dataset("digits")
    model = vl.build_model("beta-vae", ds.image_shape, seed=1, beta=8)
    vl.train(model, ds, steps=8, batch_size=8, seed=1, progress=False, held_out=len(ds) // 5)
    by_hand = vl.analyse(vl.Lens(model, progress=False), ds, n=8, seed=0, only="latent", progress=False)

    analysis = vl.Analysis.load(undisturbed / "runs" / "digits" / "beta-vae" / "1" / "analysis")

    np.testing.assert_allclose(analysis.effects["latent"]["ces"], by_hand.effects["latent"]["ces"], rtol=1e-6)


def test_all_models_of_a_dataset_are_analysed_on_the_same_images_which_none_was_trained_on(undisturbed):
    analyses = [vl.Analysis.load(path.parent).provenance for path in undisturbed.rglob("manifest.json")]

    assert len(analyses) == 4
    assert {analysis["images_sha256"] for analysis in analyses} == {analyses[0]["images_sha256"]}
    assert {analysis["images_seen_in_training"] for analysis in analyses} == {"held out"}


@pytest.fixture
def half_done(undisturbed, tmp_path):
    """The folder of a study of which the first and the last cell are still to be done."""
    folder = shutil.copytree(undisturbed, tmp_path / "study")
    for named in vl.Study.from_text(PLAN).cells():
        if named.cell.title in (TITLES[0], TITLES[3]):
            shutil.rmtree(folder / named.cell.path)
    for table in folder.glob("runs.*"):
        table.unlink()
    return folder


def test_cells_one_by_one_give_the_same_table(undisturbed, half_done):
    study = vl.Study.from_text(PLAN)
    names = {named.cell.title: named.name for named in study.cells()}
    for asked in (TITLES[3], names[TITLES[0]]):
        study.run(half_done, cell=asked)

    assert table_of(half_done) == table_of(undisturbed)


def test_workers_of_dask_give_the_same_table(undisturbed, half_done):
    told = []
    tally = vl.Study.from_text(PLAN).run(half_done, workers=2, event=lambda *event: told.append(event))

    assert sorted(tally.outcomes) == sorted((TITLES[0], TITLES[3]))
    assert {outcome.how for _, outcome in told} == {"done"}
    assert table_of(half_done) == table_of(undisturbed)


def test_a_changed_plan_is_never_mixed_with_what_is_there(undisturbed):
    changed = vl.Study.from_text(PLAN.replace("steps: 8", "steps: 9"))

    with pytest.raises(VaelensError, match=r"was made otherwise .*training\.steps was 8 and is 9.*give another --out"):
        changed.run(undisturbed)


def test_other_data_and_another_version_are_other_cells():
    (named, *_) = vl.Study.from_text(PLAN).cells()

    names = {named.cell.name(data, version) for data in (named.data, "other") for version in (named.version, "0.0.0")}

    assert named.name in names
    assert len(names) == 4


def test_more_seeds_go_on_with_those_that_are_done(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "study")
    more = vl.Study.from_text(PLAN.replace("[0, 1]", "[0, 1, 2]"))

    assert list(more.states(tmp_path / "study").values()).count("done") == 4
    tally = more.run(tmp_path / "study", cell="digits/vae/2")

    assert list(tally.outcomes) == ["digits/vae/2"]


def test_a_folder_of_other_things_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")

    with pytest.raises(VaelensError, match="holds other things than a study; give an empty or a new folder"):
        vl.Study.from_text(PLAN).run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cell": "digits/vea/0"}, "unknown cell 'digits/vea/0'.*did you mean 'digits/vae/0'"),
        ({"workers": 0}, "workers is 0; expected a whole number from 1"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "scheduler brings its own workers"),
    ],
)
def test_wrong_options_are_refused(tmp_path, options, message):
    with pytest.raises(VaelensError, match=message):
        vl.Study.from_text(PLAN).run(tmp_path / "study", **options)
    assert not (tmp_path / "study").exists()


def test_a_damaged_cell_is_named(undisturbed, tmp_path):
    shutil.copytree(undisturbed, tmp_path / "study")
    cell = tmp_path / "study" / "runs" / "digits" / "vae" / "0" / "cell.json"
    cell.write_text(json.dumps({}))

    with pytest.raises(VaelensError, match=r"cell\.json' is damaged .*move the cell's folder away"):
        vl.Study.from_text(PLAN).table(tmp_path / "study")
    with pytest.raises(VaelensError, match=r"is no cell of a study: cell\.json can't be read; move it away"):
        vl.Study.from_text(PLAN).run(tmp_path / "study")


def test_a_folder_without_a_cell_has_no_table(tmp_path):
    with pytest.raises(VaelensError, match=r"no cell of .* is done; run the study"):
        vl.Study.from_text(PLAN).table(Path(tmp_path))


def test_a_learning_rate_that_decays_is_that_of_a_training_with_the_schedule(tmp_path):
    plan = PLAN.replace("batch_size: 8", "batch_size: 8, lr_decay: cosine").replace("[0, 1]", "[0]")
    vl.Study.from_text(plan).run(tmp_path / "study", cell="digits/vae/0")

    ds = vl.load_dataset("digits")
    model = vl.build_model("vae", ds.image_shape, seed=0)
    vl.train(
        model,
        ds,
        steps=8,
        batch_size=8,
        seed=0,
        held_out=len(ds) // 5,
        callbacks=vl.CosineDecay("lr", 8),
        progress=False,
    )
    saved = vl.VAE.from_pretrained(tmp_path / "study/runs/digits/vae/0/model").state_dict()
    record = json.loads((tmp_path / "study/runs/digits/vae/0/model/training.json").read_text())

    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    assert record["schedules"] == {"lr": "CosineDecay(steps=8, end=0.0)"}
