import signal
import subprocess
import sys

import pytest

from vaelens.errors import VaelensError
from vaelens.models.run_folder import run_folder, run_in
from vaelens.writing import sole_writer

OLD = {
    "config.json": "old",
    "model.safetensors": "old",
    "checkpoints/last.safetensors": "old",
    "analysis/effects.nc": "old",
}
NEW = {
    "config.json": "new",
    "model.safetensors": "new",
    "checkpoints/last.safetensors": "new",
    "logs/metrics.csv": "new",
}
OWN = {"README.md": "my words", "notes.txt": "mine"}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def read(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


class Stopped(Exception):
    pass


def begin(folder, files):
    """A run that replaces the one before, writes the files and is stopped."""
    with run_folder(folder, False, True) as place:
        write(place, files)
        assert {name: (folder / name).read_text() for name in OLD} == OLD
        raise Stopped


def opened(folder):
    """Opens the folder of a run without asking for anything."""
    with run_folder(folder, False, False):
        pytest.fail("opened")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "training.json", "checkpoints/x", "logs/mine.txt",
                                  "tensorboard/events", "analysis/effects.nc"])  # fmt: skip
def test_a_folder_that_holds_anything_of_a_run_is_refused_and_left_as_it_is(name, tmp_path):
    write(tmp_path, {name: "old"})
    with pytest.raises(VaelensError, match=rf"is not free: it holds {name.split('/')[0]}; .*--resume.*--overwrite"):
        opened(tmp_path)
    assert read(tmp_path) == {name: "old"}


def test_what_is_not_of_a_run_is_no_hindrance_and_stays(tmp_path):
    write(tmp_path, OWN)
    (tmp_path / "logs").mkdir()
    with run_folder(tmp_path, False, False) as place:
        assert place == tmp_path
        write(place, NEW)
    assert read(tmp_path) == OWN | NEW


def test_the_run_before_stays_whole_until_the_new_one_is(tmp_path):
    write(tmp_path, OLD | OWN)
    with pytest.raises(Stopped):
        begin(tmp_path, NEW)
    assert {name: (tmp_path / name).read_text() for name in OLD} == OLD
    with pytest.raises(VaelensError, match="and an unfinished run that was to replace it; go on"):
        opened(tmp_path)
    with run_folder(tmp_path, True, False) as place:  # goes on with the one that was to replace it
        assert (place / "checkpoints" / "last.safetensors").read_text() == "new"
        write(place, {"README.md": "a card"})
    assert read(tmp_path) == OWN | NEW
    assert run_in(tmp_path) == ["config.json", "model.safetensors", "checkpoints", "logs"]


def test_overwriting_anew_begins_anew(tmp_path):
    write(tmp_path, OLD)
    with pytest.raises(Stopped):
        begin(tmp_path, NEW)
    with run_folder(tmp_path, False, True) as place:
        assert run_in(place) == []
        write(place, {"config.json": "newest"})
    assert read(tmp_path) == {"config.json": "newest"}


def test_resuming_and_overwriting_at_once_is_refused(tmp_path):
    with pytest.raises(VaelensError, match="give one of them"), run_folder(tmp_path, True, True):
        pytest.fail("opened")


def test_a_run_of_which_nothing_came_leaves_nothing(tmp_path):
    with run_folder(tmp_path / "a" / "run", False, False) as place:
        (place / "logs").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_one_folder_has_one_run(tmp_path):
    with sole_writer(tmp_path), run_folder(tmp_path, False, False) as place:
        assert place == tmp_path  # the same thread may nest it


KILLED = """
import os, pathlib, signal, sys
from vaelens.models.run_folder import run_folder
folder, number = pathlib.Path(sys.argv[1]), int(sys.argv[2])
moves, move = 0, pathlib.Path.replace
def replace(self, target):
    global moves
    moves += 1
    if moves == number:
        os.kill(os.getpid(), signal.SIGKILL)
    return move(self, target)
with run_folder(folder, False, True) as place:
    for name in ("config.json", "model.safetensors", "checkpoints/last.safetensors", "logs/metrics.csv"):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("new")
    pathlib.Path.replace = replace
"""


def test_an_exchange_killed_between_any_two_moves_ends_with_the_next_opening(tmp_path):
    ended = 0
    for number in range(1, 20):
        folder = tmp_path / str(number)
        write(folder, OLD | OWN)
        done = subprocess.run([sys.executable, "-c", KILLED, str(folder), str(number)], check=False)
        if done.returncode == 0:
            ended = number
            break
        assert done.returncode == -signal.SIGKILL
        with pytest.raises(VaelensError, match="is not free"):
            opened(folder)
        # the first move is of the list of what is to come: before it, the run before stays
        now = {name: text for name, text in read(folder).items() if not name.startswith(".replacement")}
        assert now == (OLD | OWN if number == 1 else NEW | OWN), number
    assert ended > 8
