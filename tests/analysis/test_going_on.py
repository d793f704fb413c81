"""Analyses that are cut off: the same call goes on, and gives the bytes that it would have given undisturbed."""

import itertools
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens import writing

PARTS = ["reconstruction", "latent", "mediation", "pictures"]
WRITES = 2 * len(PARTS) + 2  # of each part the file and the note, then the manifest and the table of scores

SCRIPT = """
import sys, torch, numpy as np
sys.path.insert(0, sys.argv[2])
from test_going_on import analysed
analysed(sys.argv[1])
"""


def analysed(folder, seed=0, weight=20.0, level=0.2, **options):
    """A small analysis in a folder, the same in every process."""
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2, seed=0)
    with torch.no_grad():
        model.get_submodule("encoder")[-1].weight.mul_(weight)
    rng = np.random.default_rng(0)
    factors = rng.integers(0, 3, size=(40, 2))
    images = rng.random((40, 1, 8, 8)) * level + factors[:, :1, None, None] * 0.3
    ds = vl.ArrayDataset(images.clip(0, 1), factors, names=["level", "nothing"])
    options = {"n": 16, "only": PARTS, "progress": False} | options
    return vl.analyse(vl.Lens(model), ds, seed=seed, folder=folder, **options)


def files(folder):
    """The bytes of all files by their names, but the lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


class Cut(Exception):
    """What stands for the end of the process."""


@pytest.fixture
def cut_off(monkeypatch):
    """Cuts the process off at a write: before it, in the middle of it, or after it."""

    def at(number, moment):
        counter, whole = itertools.count(), writing.write_whole

        def write(path, content):
            if next(counter) != number:
                return whole(path, content)
            if moment == "within":
                path.parent.mkdir(parents=True, exist_ok=True)
                path.with_name(f"{path.name}.unfinished").write_bytes(content[: len(content) // 2])
            if moment == "after":
                whole(path, content)
            raise Cut

        for module in ("folder", "manifest"):
            monkeypatch.setattr(f"vaelens.analysis.{module}.write_whole", write)
        return counter

    return at


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with an analysis, to be copied."""
    folder = tmp_path_factory.mktemp("undisturbed")
    analysed(folder)
    return folder


@pytest.fixture(scope="module")
def undisturbed(finished):
    return vl.Analysis.load(finished), files(finished)


@pytest.fixture(scope="module")
def of_another_seed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("another-seed")
    analysed(folder, seed=1)
    return files(folder)


# Half a file besides what is there before a write: no moment leaves more.
@pytest.mark.parametrize(("number", "moment"), [*((number, "within") for number in range(WRITES)), (5, "before")])
def test_cut_off_at_any_write_it_goes_on_to_the_same_bytes(undisturbed, cut_off, monkeypatch, tmp_path, number, moment):
    counter = cut_off(number, moment)
    with pytest.raises(Cut):
        analysed(tmp_path)
    monkeypatch.undo()
    assert next(counter) == number + 1
    if number < WRITES - 1:
        with pytest.raises(vl.VaelensError, match=r"holds (no analysis|an analysis that is not finished)"):
            vl.Analysis.load(tmp_path)
    else:
        vl.Analysis.load(tmp_path)
    analysed(tmp_path)
    assert files(tmp_path) == undisturbed[1]


def test_what_is_done_is_not_done_again(cut_off, monkeypatch, tmp_path):
    cut_off(5, "after")  # the third part's note
    with pytest.raises(Cut):
        analysed(tmp_path)
    monkeypatch.undo()
    done = []
    for name in ("reconstruction", "latent_effects", "mediation_effects", "pictures"):
        measured = getattr(sys.modules["vaelens.analysis.parts"], name)

        def counted(*arguments, name=name, measured=measured, **options):
            done.append(name)
            return measured(*arguments, **options)

        monkeypatch.setattr(f"vaelens.analysis.parts.{name}", counted)
    analysed(tmp_path)
    assert done == ["pictures"]


def test_killed_without_warning_it_goes_on_to_the_same_bytes(undisturbed, tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    folder = os.path.dirname(__file__)  # noqa: PTH120
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, tmp_path, folder], env=environment)
    patience = time.monotonic() + 60
    while not list(tmp_path.glob("effects/*")) and process.poll() is None and time.monotonic() < patience:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    analysed(tmp_path)
    assert files(tmp_path) == undisturbed[1]


def test_a_finished_one_is_loaded_and_nothing_is_written(finished, undisturbed, cut_off):
    cut_off(0, "before")
    again = analysed(finished)
    assert again.scores.equals(undisturbed[0].scores)


def test_in_memory_it_is_the_same_analysis(undisturbed, tmp_path):
    analysis = analysed(None)
    assert files(analysis.save(tmp_path)) == undisturbed[1]
    assert analysed(tmp_path).provenance == analysis.provenance


def test_a_lost_part_or_table_is_made_again(finished, undisturbed, tmp_path):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    next(tmp_path.glob("effects/latent-*.nc")).unlink()
    (tmp_path / "scores.csv").unlink()
    analysed(tmp_path)
    assert files(tmp_path) == undisturbed[1]
    (tmp_path / "scores.csv").unlink()
    analysed(tmp_path)
    assert files(tmp_path) == undisturbed[1]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 1}, "seed 0, not 1"),
        ({"weight": 10.0}, r"another model \(weights_sha256\)"),
        ({"level": 0.1}, r"another dataset \(content_sha256\)"),
        ({"n": 12}, "images 16, not 12"),
        ({"only": ["latent"]}, r"another asked \(parts\)"),
        ({"minutes": 3}, r"another asked \(minutes\)"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_parts_of_another_analysis_are_never_taken(finished, cut_off, monkeypatch, tmp_path, change, told, whole):
    if whole:
        shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    else:
        cut_off(3, "after")
        with pytest.raises(Cut):
            analysed(tmp_path)
        monkeypatch.undo()
    before = files(tmp_path)
    with pytest.raises(vl.VaelensError, match=f"{told}; give another folder, or replace it with overwrite") as error:
        analysed(tmp_path, **change)
    assert ("not finished" in str(error.value)) is not whole
    assert files(tmp_path) == before


def test_another_version_is_another_analysis(finished, monkeypatch):
    monkeypatch.setattr("vaelens.analysis.subject.__version__", "9.9")
    with pytest.raises(vl.VaelensError, match=r"other versions \(vaelens 0\.1\.0, not 9\.9\)"):
        analysed(finished)


@pytest.mark.parametrize("number", [0, 5, WRITES - 2, WRITES - 1])
def test_one_that_is_replaced_stays_whole_until_the_new_one_is(
    finished, undisturbed, of_another_seed, cut_off, monkeypatch, tmp_path, number
):
    shutil.copytree(finished, tmp_path / "replaced")
    cut_off(number, "within")
    with pytest.raises(Cut):
        analysed(tmp_path / "replaced", seed=1, overwrite=True)
    monkeypatch.undo()
    there = vl.Analysis.load(tmp_path / "replaced")
    assert there.provenance["seed"] == (0 if number < WRITES - 1 else 1)
    assert there.scores.equals(undisturbed[0].scores) == (number < WRITES - 1)
    analysed(tmp_path / "replaced", seed=1, overwrite=True)
    assert files(tmp_path / "replaced") == of_another_seed


def test_a_damaged_part_is_noticed_before_it_is_gone_on_with(cut_off, monkeypatch, tmp_path):
    cut_off(5, "before")
    with pytest.raises(Cut):
        analysed(tmp_path)
    monkeypatch.undo()
    file = next(tmp_path.glob("effects/latent-*.nc"))
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(
        vl.VaelensError, match=r"latent-\w+\.nc' is damaged: its checksum is not the one kept; delete it"
    ):
        analysed(tmp_path)
    file.unlink()
    analysed(tmp_path)


def test_a_full_disk_is_one_sentence_and_what_was_there_is_whole(undisturbed, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(vl.VaelensError, match=r"\w+-\w+\.nc' can't be written \(File too large\); give another"):
            analysed(tmp_path / "analysis")
        with pytest.raises(vl.VaelensError, match=r"can't be written \(File too large\)"):
            undisturbed[0].save(tmp_path / "saved")
        with pytest.raises(vl.VaelensError, match=r"report\.html' can't be written \(File too large\)"):
            undisturbed[0].report(tmp_path / "report.html")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "report.html.unfinished").exists()
    analysed(tmp_path / "analysis")  # with room it goes on
    assert files(tmp_path / "analysis") == undisturbed[1]


def test_an_interruption_says_how_to_go_on(monkeypatch, tmp_path):
    def stop(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("vaelens.analysis.parts.mediation_effects", stop)
    with pytest.raises(KeyboardInterrupt, match=r"parts that are done are kept in .*: run the same again to go on"):
        analysed(tmp_path)
