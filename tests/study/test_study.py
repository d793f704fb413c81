import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.study import execution, lease
from vaelens.study.folder import DEATHS, StudyFolder

PLAN = """\
name: tiny
datasets: [digits]
models: [vae, {name: beta-vae, hyperparameters: {beta: 8}}]
seeds: [0, 1]
training: {steps: 8, batch_size: 8}
analysis:
  images: 8
  skip: [modes, recoded, input, patching, mediation, responses, swap, one_position, pictures, importance,
    labels, controls]
"""
TITLES = ["digits/vae/0", "digits/beta-vae/0", "digits/vae/1", "digits/beta-vae/1"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "undisturbed"
    vl.Study.from_text(PLAN).run(folder)
    return folder


def table_of(folder):
    return (folder / "runs.csv").read_bytes()


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


def test_cells_one_by_one_give_the_same_table(undisturbed, tmp_path):
    study = vl.Study.from_text(PLAN)
    names = {named.cell.title: named.name for named in study.cells()}
    for asked in (TITLES[3], names[TITLES[0]], TITLES[2], TITLES[1]):
        study.run(tmp_path / "study", cell=asked)

    assert table_of(tmp_path / "study") == table_of(undisturbed)


def test_workers_of_dask_give_the_same_table(undisturbed, tmp_path):
    told = []
    tally = vl.Study.from_text(PLAN).run(tmp_path / "study", workers=2, event=lambda *event: told.append(event))

    assert sorted(tally.outcomes) == sorted(TITLES)
    assert {outcome.how for _, outcome in told} == {"done"}
    assert table_of(tmp_path / "study") == table_of(undisturbed)


@pytest.mark.skipif(os.name != "posix", reason="kills processes")
def test_killed_at_random_moments_it_ends_with_the_same_table(undisturbed, tmp_path):
    (tmp_path / "tiny.yaml").write_text(PLAN)
    command = [
        sys.executable,
        "-c",
        "from vaelens.cli import main; main()",
        "study",
        "run",
        str(tmp_path / "tiny.yaml"),
        "--out",
        str(tmp_path / "study"),
    ]
    moments, kills = random.Random(0), 0
    for _ in range(40):
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        work = tmp_path / "study" / "work"
        while driver.poll() is None and not (work.is_dir() and any(work.iterdir())):
            time.sleep(0.01)
        try:
            driver.wait(moments.uniform(0.2, 3) if kills < 4 else None)
        except subprocess.TimeoutExpired:
            os.killpg(driver.pid, signal.SIGKILL)
            driver.wait()
            kills += 1
        if driver.returncode == 0:
            break

    assert kills
    assert driver.returncode == 0
    assert table_of(tmp_path / "study") == table_of(undisturbed)


def test_a_training_that_was_cut_off_goes_on_from_its_checkpoint(undisturbed, tmp_path, monkeypatch):
    study, place = vl.Study.from_text(PLAN), tmp_path / "study"
    analyse = vl.analyse

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(vl, "analyse", killed)
    with pytest.raises(KeyboardInterrupt):
        study.run(place)
    assert study.states(place) == dict(zip(TITLES, ["interrupted", "waiting", "waiting", "waiting"], strict=True))

    monkeypatch.setattr(vl, "analyse", analyse)
    monkeypatch.setattr(vl, "train", lambda model, ds, **options: pytest.fail("trained again"))
    study.run(place, cell=TITLES[0])

    name = "runs/digits/vae/0/model/model.safetensors"
    assert (place / name).read_bytes() == (undisturbed / name).read_bytes()


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


def test_a_cell_that_fails_is_given_up_and_the_others_are_done(tmp_path):
    plan = PLAN.replace("steps: 8, batch_size: 8", "steps: 8, batch_size: 8, lr: 1").replace("[0, 1]", "[0]")
    plan += "exceptions: [{models: [vae], change: {lr: 0.001}}]\n"
    study = vl.Study.from_text(plan.replace("beta: 8", "beta: 1000"))
    told = []
    study.run(tmp_path / "study", event=lambda named, outcome: told.append((named.cell.title, outcome)))

    failures = [outcome for title, outcome in told if title == "digits/beta-vae/0"]
    if not failures or failures[0].how != "failed":
        pytest.skip("this training did not diverge on this machine")
    assert [outcome.how for outcome in failures] == ["failed", "failed"]
    assert study.states(tmp_path / "study") == {"digits/vae/0": "done", "digits/beta-vae/0": "failed"}


def test_two_finishers_count_once(undisturbed, tmp_path):
    (named, *_) = vl.Study.from_text(PLAN).cells()
    place = StudyFolder(tmp_path / "study")
    works = [place.work_of(named, "first"), tmp_path / "study" / "work" / "second"]
    shutil.copytree(undisturbed / named.cell.path, works[0], dirs_exist_ok=True)
    shutil.copytree(undisturbed / named.cell.path, works[1])

    assert [place.finish(named, work) for work in works] == [True, False]
    assert place.is_done(named)
    assert list((tmp_path / "study" / "work").iterdir()) == []


def test_a_holder_that_was_given_up_loses_its_folder(tmp_path):
    (named, *_) = vl.Study.from_text(PLAN).cells()
    place = StudyFolder(tmp_path)
    first = place.work_of(named, "first")
    (first / "checkpoint").write_text("kept")

    second = place.work_of(named, "second")

    assert not first.exists()
    assert (second / "checkpoint").read_text() == "kept"


def test_a_full_disk_stops_the_study_and_loses_nothing(undisturbed, tmp_path, monkeypatch):
    study, sync = vl.Study.from_text(PLAN), os.fsync

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(execution, "ROOM", 2**70)
    assert "make room" in study.run(tmp_path / "study").stopped
    monkeypatch.setattr(execution, "ROOM", 0)
    monkeypatch.setattr(os, "fsync", full)
    stopped = study.run(tmp_path / "study").stopped
    assert "No space left" in stopped
    monkeypatch.setattr(os, "fsync", sync)
    assert set(study.states(tmp_path / "study").values()) <= {"waiting", "interrupted"}

    study.run(tmp_path / "study")

    assert table_of(tmp_path / "study") == table_of(undisturbed)


def test_deaths_at_one_place_give_a_cell_up_and_deaths_of_the_machine_do_not(tmp_path):
    (named, other, *_) = vl.Study.from_text(PLAN).cells()
    place = StudyFolder(tmp_path)
    for attempt in range(DEATHS):
        place.note(named, f"{attempt}", {"how": "died", "place": "training from step 0"})
        place.note(other, f"{attempt}", {"how": "died", "place": f"training from step {attempt}"})

    assert "died 10 times at the same place (training from step 0), as when memory runs out" in place.why_given_up(
        named, 2
    )
    assert place.why_given_up(other, 2) == ""


def test_a_cell_that_another_holds_is_waited_for(undisturbed, tmp_path):
    study = vl.Study.from_text(PLAN)
    (named, *_) = study.cells()
    shutil.copytree(undisturbed, tmp_path / "study")
    shutil.rmtree(tmp_path / "study" / named.cell.path)
    holder = lease.claim(tmp_path / "study" / "claims" / named.name, lease.Watch())

    tally = study.run(tmp_path / "study", cell=named.cell.title)

    assert holder is not None
    assert study.states(tmp_path / "study")[named.cell.title] == "running"
    assert [outcome.how for outcome in tally.outcomes.values()] == ["held"]


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
