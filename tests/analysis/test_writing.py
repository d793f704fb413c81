import subprocess
import sys
import threading
import time

import pytest

import vaelens as vl
from vaelens.analysis.writing import LOCK, writing

HELD = """
import sys, pathlib
from vaelens.analysis.writing import writing
with writing(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_who_holds_the_folder_may_take_it_again(tmp_path):
    with writing(tmp_path), writing(tmp_path):
        pass
    with writing(tmp_path):
        pass


def test_another_process_is_told_at_once(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HELD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == b"held\n"
        begin = time.monotonic()
        with (
            pytest.raises(
                vl.VaelensError, match=r"another analysis is being written into .*; wait for its end, or give"
            ),
            writing(tmp_path),
        ):
            pass
        assert time.monotonic() - begin < 0.5
        holder.stdin.close()
    with writing(tmp_path):
        pass


def test_another_thread_is_told_too(tmp_path):
    said = []

    def second():
        try:
            with writing(tmp_path):
                pass
        except vl.VaelensError as error:
            said.append(str(error))

    with writing(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert len(said) == 1


def test_a_folder_that_nothing_came_of_is_removed(tmp_path):
    with writing(tmp_path / "new"):
        assert (tmp_path / "new" / LOCK).exists()
    assert not (tmp_path / "new").exists()
    with writing(tmp_path / "kept"):
        (tmp_path / "kept" / "mine").write_text("")
    assert (tmp_path / "kept" / "mine").exists()
    (tmp_path / "there").mkdir()
    with writing(tmp_path / "there"):
        pass
    assert (tmp_path / "there").exists()


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(vl.VaelensError, match="is a file; give a folder"), writing(tmp_path / "file"):
        pass
    with pytest.raises(vl.VaelensError, match="lies under a file"), writing(tmp_path / "file" / "below"):
        pass
