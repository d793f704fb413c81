import os
import resource
import subprocess
import sys
import threading
import time

import pytest

from vaelens.errors import VaelensError
from vaelens.writing import put_aside, remove_unfinished, sole_writer, write_whole, written_whole


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_replace_others_together_and_only_when_all_are_written(tmp_path):
    (tmp_path / "a").write_text("old")
    with written_whole(tmp_path) as unfinished:
        (unfinished / "a").write_text("new")
        (unfinished / "b").write_text("new")
        assert (tmp_path / "a").read_text() == "old"
    assert [(tmp_path / name).read_text() for name in names(tmp_path)] == ["new", "new"]
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path) as unfinished:
        (unfinished / "a").write_text(str(1 / 0))
    assert (tmp_path / "a").read_text() == "new"
    assert names(tmp_path) == ["a", "b"]


def test_a_file_that_is_kept_stays(tmp_path):
    for text in ("first", "second"):
        with written_whole(tmp_path, kept=("mine",)) as unfinished:
            (unfinished / "mine").write_text(text)
    assert (tmp_path / "mine").read_text() == "first"


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_have_the_permissions_that_the_umask_gives(umask, mode, tmp_path):
    before = os.umask(umask)
    try:
        with written_whole(tmp_path) as unfinished:
            (unfinished / "a").touch()
            (unfinished / "a").chmod(0o600)  # as libraries do that write by way of a temporary file
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_what_the_system_refuses_is_one_sentence(tmp_path):
    full = r"cannot be written \(No space left on device\); what was there before is as it was"
    with pytest.raises(VaelensError, match=full), written_whole(tmp_path):
        raise OSError(28, "No space left on device")
    (tmp_path / "file").touch()
    with pytest.raises(VaelensError, match="is a file; give a folder"), sole_writer(tmp_path / "file"):
        pass
    with (
        pytest.raises(VaelensError, match="lies under a file"),
        sole_writer(tmp_path / "file" / "x"),
    ):
        pass
    with (
        pytest.raises(VaelensError, match=r"cannot be written \(File name too long\)"),
        sole_writer(tmp_path / ("x" * 300)),
    ):
        pass


def test_a_folder_in_which_nothing_was_written_is_gone_again_with_its_parents(tmp_path):
    with sole_writer(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b").is_dir()
    assert names(tmp_path) == []
    with sole_writer(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "c").touch()
    assert names(tmp_path / "a" / "b") == ["c"]


def test_it_may_be_nested_but_another_thread_is_refused_and_the_next_is_not(tmp_path):
    refused = []

    def other():
        try:
            with sole_writer(tmp_path):
                refused.append(None)
        except VaelensError as error:
            refused.append(str(error))

    def run():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    with sole_writer(tmp_path):
        with sole_writer(tmp_path / "." / ".." / tmp_path.name):
            pass
        run()
    run()
    assert refused == [
        f"{str(tmp_path)!r} is being written by another process; wait until it has ended, or give another folder",
        None,
    ]
    assert names(tmp_path) == []


HOLDING = """
import sys, time
from pathlib import Path
from vaelens.writing import sole_writer
with sole_writer(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_another_process_is_refused_at_once_and_the_lock_goes_with_it(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        begun = time.monotonic()
        with pytest.raises(VaelensError, match="is being written by another process"), sole_writer(tmp_path):
            pass
        assert time.monotonic() - begun < 1
    finally:
        holder.kill()
        holder.communicate()
    with sole_writer(tmp_path):
        pass
    assert names(tmp_path) == []


def test_what_a_killed_process_left_unfinished_is_removed(tmp_path):
    (tmp_path / ".unfinished-abc").mkdir()
    (tmp_path / ".unfinished-abc" / "half").touch()
    (tmp_path / ".unfinished-file").touch()
    (tmp_path / "mine").touch()
    for name in ("old", "gone"):
        put_aside(tmp_path / name)
    (tmp_path / "old").mkdir()
    put_aside(tmp_path / "old")
    remove_unfinished(tmp_path)
    assert names(tmp_path) == ["mine"]


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "new" / "file"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_one_that_can_not_be_written_leaves_what_was_there(tmp_path):
    path = tmp_path / "file"
    write_whole(path, b"before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(
            VaelensError, match=r"file' can't be written \(File too large\); give another path, or make"
        ):
            write_whole(path, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(VaelensError, match="lies under a file; give a path in a folder"):
        write_whole(tmp_path / "file" / "below", b"")
