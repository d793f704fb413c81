import json
import os
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from vaelens.study import lease
from vaelens.study.lease import Watch, claim, heartbeat, read, release


def test_of_many_that_claim_at_once_one_gets_it(tmp_path):
    barrier, holders = threading.Barrier(16), []

    def compete():
        barrier.wait()
        holders.append(claim(tmp_path / "cell", Watch()))

    threads = [threading.Thread(target=compete) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (winner,) = [holder for holder in holders if holder is not None]
    assert read(tmp_path / "cell") == winner
    assert [path.name for path in tmp_path.iterdir()] == ["cell"]


def test_a_lease_that_was_given_back_can_be_taken(tmp_path):
    holder = claim(tmp_path / "cell", Watch())
    assert claim(tmp_path / "cell", Watch()) is None

    release(tmp_path / "cell", holder)

    assert claim(tmp_path / "cell", Watch()) is not None


def test_the_lease_of_a_process_that_died_is_taken_at_once(tmp_path):
    code = "import os, pathlib, sys; from vaelens.study.lease import *; claim(pathlib.Path(sys.argv[1]), Watch()); "
    code += "os.abort()"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "cell")], capture_output=True)
    dead = read(tmp_path / "cell")

    holder = claim(tmp_path / "cell", Watch())

    assert dead is not None
    assert holder is not None
    assert read(tmp_path / "cell") == holder


@pytest.mark.parametrize("of_before", [False, True])
def test_a_process_of_the_same_number_that_began_later_is_not_the_holder(tmp_path, of_before):
    holder = claim(tmp_path / "cell", Watch())
    other = replace(holder, started=holder.started - 60, begun=holder.begun and f"{holder.begun[:-1]}x")
    record = asdict(other)
    if of_before:  # leases had no `begun`
        del record["begun"]
    (tmp_path / "cell").write_text(json.dumps(record))

    assert claim(tmp_path / "cell", Watch()) is not None


def test_a_lease_of_before_is_still_its_holders(tmp_path):
    record = asdict(claim(tmp_path / "cell", Watch()))
    del record["begun"]
    (tmp_path / "cell").write_text(json.dumps(record))

    assert read(tmp_path / "cell").begun == ""
    assert claim(tmp_path / "cell", Watch()) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks the kernel of Linux")
def test_a_clock_that_is_stepped_gives_nobody_up(tmp_path, monkeypatch):
    """When a process began by the clock is reckoned from when the machine did, which moves with the clock."""
    claim(tmp_path / "cell", Watch())
    began = lease.psutil.Process.create_time
    monkeypatch.setattr(lease.psutil.Process, "create_time", lambda process: began(process) + 3600)

    assert not Watch().is_gone(read(tmp_path / "cell"))
    assert claim(tmp_path / "cell", Watch()) is None


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks the kernel of Linux")
def test_a_machine_that_was_started_again_runs_nobody_of_before(tmp_path):
    holder = claim(tmp_path / "cell", Watch())
    boot, ticks = holder.begun.split("/")

    assert not Watch().is_gone(replace(holder, started=0.0))
    assert Watch().is_gone(replace(holder, begun=f"{'0' * len(boot)}/{ticks}"))
    assert Watch().is_gone(replace(holder, begun=f"{boot}/{int(ticks) + 1}"))


def test_a_holder_elsewhere_is_given_up_when_its_heartbeat_stands_still(tmp_path, monkeypatch):
    clock = iter([0.0, 30.0, 59.0, 91.0, 152.0])
    monkeypatch.setattr(lease.time, "monotonic", lambda: next(clock))
    mine, watch = claim(tmp_path / "cell", Watch()), Watch()
    elsewhere = replace(mine, machine="other/1", process=1)

    def seen(beat):
        (tmp_path / "cell").write_text(json.dumps(asdict(replace(elsewhere, beat=beat))))
        return claim(tmp_path / "cell", watch) is not None

    # New at 0, still at 30; a beat at 59; 32 s without one at 91; 93 s at 152.
    assert [seen(beat) for beat in (1, 1, 2, 2, 2)] == [False, False, False, False, True]


def test_a_clock_that_jumps_gives_nobody_up(tmp_path):
    mine, watch = claim(tmp_path / "cell", Watch()), Watch()
    (tmp_path / "cell").write_text(json.dumps(asdict(replace(mine, machine="other/1"))))
    os.utime(tmp_path / "cell", (0, 0))  # years ago, by the file's own time

    assert claim(tmp_path / "cell", watch) is None
    assert claim(tmp_path / "cell", watch) is None


def test_a_heartbeat_renews_and_notices_a_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.01)
    mine = claim(tmp_path / "cell", Watch())
    with heartbeat(tmp_path / "cell", mine) as lost:
        while read(tmp_path / "cell").beat < 2:
            pass
        assert not lost.is_set()
        (tmp_path / "cell").write_text(json.dumps(asdict(replace(mine, token="another"))))
        assert lost.wait(5)

    release(tmp_path / "cell", mine)

    assert read(tmp_path / "cell").token == "another"


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"token": "x"}'])
def test_a_damaged_lease_is_taken_when_nobody_mends_it(tmp_path, monkeypatch, content):
    clock = iter([0.0, 61.0])
    monkeypatch.setattr(lease.time, "monotonic", lambda: next(clock))
    (tmp_path / "cell").write_text(content)
    watch = Watch()

    assert claim(tmp_path / "cell", watch) is None
    assert claim(tmp_path / "cell", watch) is not None


@pytest.mark.parametrize(
    "wrong", [{"process": "1"}, {"process": -5}, {"started": None}, {"token": ["a"]}, {"beat": None}]
)
def test_a_lease_that_names_no_holder_counts_as_damaged(tmp_path, wrong):
    holder = claim(tmp_path / "cell", Watch())
    (tmp_path / "cell").write_text(json.dumps(asdict(holder) | wrong))

    assert read(tmp_path / "cell") is None
    assert claim(tmp_path / "cell", Watch()) is None


def test_each_damaged_lease_has_a_patience_of_its_own(tmp_path, monkeypatch):
    clock = iter([0.0, 61.0, 62.0])
    monkeypatch.setattr(lease.time, "monotonic", lambda: next(clock))
    watch = Watch()
    for name in ("first", "second"):
        (tmp_path / name).write_text("")

    assert claim(tmp_path / "first", watch) is None
    assert claim(tmp_path / "second", watch) is None  # seen at 61 for the first time
    assert claim(tmp_path / "first", watch) is not None
