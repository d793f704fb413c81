"""Studies that are killed, cut off, fail, run out of disk, or are worked on by several."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

import vaelens as vl
from study.tiny import PLAN, TITLES, table_of
from vaelens.errors import VaelensError
from vaelens.study import driver, execution, lease
from vaelens.study.folder import DEATHS, StudyFolder


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
            driver.wait(moments.uniform(0.2, 3) if kills < 2 else None)
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


def test_memory_that_runs_out_once_costs_an_attempt(undisturbed, tmp_path, monkeypatch):
    train, said = vl.train, []

    def short_of_memory(*args, **options):
        monkeypatch.setattr(vl, "train", train)
        raise MemoryError

    monkeypatch.setattr(vl, "train", short_of_memory)

    tally = vl.Study.from_text(PLAN).run(
        tmp_path / "study", cell="digits/vae/0", event=lambda _, outcome: said.append((outcome.how, outcome.why))
    )

    assert said == [("failed", "MemoryError"), ("done", "")]
    assert tally.outcomes["digits/vae/0"].how == "done"


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


def test_a_start_that_was_killed_or_is_another_drivers_leaves_the_folder_a_studys(tmp_path):
    """Of a driver that was killed before it had written the plan, and of one that is just writing it."""
    (tmp_path / ".unfinished-abc").mkdir()

    vl.Study.from_text(PLAN)._begin(StudyFolder(tmp_path))

    assert (tmp_path / "study.yaml").read_text() == PLAN


@pytest.mark.parametrize("content", [b"\xff\xfe", b"name: ["])
def test_a_damaged_plan_in_the_folder_is_one_sentence(tmp_path, content):
    (tmp_path / "study.yaml").write_bytes(content)

    with pytest.raises(VaelensError, match=r"study\.yaml"):
        vl.Study.from_text(PLAN)._begin(StudyFolder(tmp_path))


def test_a_folder_where_no_cell_can_be_claimed_is_one_sentence(tmp_path):
    study = vl.Study.from_text(PLAN)
    study._begin(StudyFolder(tmp_path))
    (tmp_path / "claims").write_text("a file")

    with pytest.raises(VaelensError, match=r"claims' can't be written \(File exists\), so no cell can be claimed"):
        study.run(tmp_path)


def test_a_disk_that_is_full_before_a_cell_is_claimed_stops_the_study(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(execution, "claim", full)

    tally = vl.Study.from_text(PLAN).run(tmp_path / "study")

    assert "claims' can't be written (No space left on device)" in tally.stopped
    assert tally.outcomes["digits/vae/0"].how == "full"


class Failed:
    """A task that ended with an error, or with its client."""

    done, cancelled = (lambda self: True), (lambda self: self.status == "cancelled")

    def __init__(self, status):
        self.status = status

    def exception(self):
        return ModuleNotFoundError("No module named 'vaelens'")


class Client:
    """One of Dask whose tasks all fail."""

    tried, status = 0, "running"

    def __init__(self, task):
        self.task = task

    def submit(self, *_, **__):
        self.tried += 1
        return self.task

    def cancel(self, *_, **__):
        assert self.status == "running", "a closed client of Dask raises"


def test_a_task_that_ends_before_its_cell_is_not_tried_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(driver, "_AGAIN", 0)
    (named, *_), client = vl.Study.from_text(PLAN).cells(), Client(Failed("error"))

    with pytest.raises(VaelensError, match=r"digits/vae/0 ended 10 times .*No module named 'vaelens'.*this version"):
        driver.on_workers(client, StudyFolder(tmp_path), [named], None, 2, "cpu", lambda *_: None)

    assert client.tried == 10


def test_a_scheduler_that_is_gone_is_one_sentence(tmp_path):
    (named, *_), client = vl.Study.from_text(PLAN).cells(), Client(Failed("cancelled"))

    def closed(_, outcome):
        assert (outcome.how, outcome.why) == ("stopped", "its worker was closed")
        client.status = "closed"

    with pytest.raises(VaelensError, match="the scheduler of the workers is gone; nothing is lost: start it again"):
        driver.on_workers(client, StudyFolder(tmp_path), [named], None, 2, "cpu", closed)
