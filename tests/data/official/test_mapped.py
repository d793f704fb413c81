import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from vaelens.data.files import kept_array
from vaelens.data.official.mapped import mapped
from vaelens.errors import VaelensError

ROWS = np.arange(60, dtype=np.uint8).reshape(20, 3)


class Conversion:
    """Converts ROWS, some at a time, and counts how often."""

    def __init__(self, folder):
        self.source = folder / "source"
        self.source.parent.mkdir(exist_ok=True)
        self.source.write_bytes(b"as it was")
        self.times = 0

    def blocks(self):
        self.times += 1
        yield from (ROWS[:7], ROWS[7:8], ROWS[8:])

    def __call__(self):
        return mapped([self.source], "key", (20, 3), self.blocks)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def conversion(tmp_path):
    return Conversion(tmp_path / "data")


def test_is_converted_once_and_mapped_read_only(conversion):
    first, again = conversion(), conversion()
    assert conversion.times == 1
    assert (first == ROWS).all()
    assert (again == ROWS).all()
    assert isinstance(first.base, np.memmap)
    assert not first.flags.writeable
    assert [path.suffix for path in (conversion.source.parent / "converted").glob("key-*")] == [".npy"]


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_changed_source_is_converted_anew_and_the_old_file_removed(conversion, change):
    conversion()
    if change == "size":
        conversion.source.write_bytes(b"longer than it was")
    else:
        os.utime(conversion.source, (1, 1))
    assert (conversion() == ROWS).all()
    assert conversion.times == 2
    assert len(list((conversion.source.parent / "converted").glob("*.npy"))) == 1


@pytest.mark.parametrize("harm", [lambda whole: whole[:-1], lambda whole: whole[:40], lambda whole: b""])
def test_a_converted_file_that_is_not_whole_is_made_anew(conversion, harm):
    conversion()
    (path,) = (conversion.source.parent / "converted").glob("*.npy")
    path.write_bytes(harm(path.read_bytes()))
    assert (conversion() == ROWS).all()
    assert conversion.times == 2


def test_an_error_on_the_way_leaves_nothing(conversion):
    def fails():
        yield ROWS[:7]
        raise VaelensError("half way")

    with pytest.raises(VaelensError, match="half way"):
        mapped([conversion.source], "key", (20, 3), fails)
    assert [path.suffix for path in (conversion.source.parent / "converted").iterdir()] in ([], [".lock"])


def test_where_the_folder_can_not_be_written_the_user_s_cache_is(conversion, cache):
    (conversion.source.parent / "converted").write_text("in the way")
    assert (conversion() == ROWS).all()
    assert (conversion() == ROWS).all()
    assert conversion.times == 1
    assert len(list(cache.rglob("key-*.npy"))) == 1


def test_two_folders_do_not_share_a_place_in_the_cache(tmp_path, cache):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "converted").write_text("in the way")
        Conversion(tmp_path / name)()
    assert len(list(cache.rglob("key-*.npy"))) == 2


def test_no_room_anywhere_is_one_sentence(conversion, monkeypatch):
    monkeypatch.setattr(kept_array, "SPARE", 10**18)
    with pytest.raises(VaelensError, match=r"source must be converted once, which takes 1,0.* bytes of disk, and no"):
        conversion()
    assert conversion.times == 0


def test_two_processes_convert_once(conversion):
    code = (
        "import pathlib, time, numpy as np; from vaelens.data.official.mapped import mapped\n"
        "def blocks():\n"
        "    print('converting', flush=True)\n"
        "    time.sleep(1)\n"
        "    yield np.arange(60, dtype=np.uint8).reshape(20, 3)\n"
        f"print(mapped([pathlib.Path({str(conversion.source)!r})], 'key', (20, 3), blocks).sum())"
    )
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[0].split() for process in both]
    assert sorted(said) == [["1770"], ["converting", "1770"]]


def test_a_killed_conversion_starts_again(conversion):
    # The process converts slowly, is killed on the way, and leaves no file of the final name.
    code = (
        "import sys, time, pathlib, numpy as np; from vaelens.data.official.mapped import mapped\n"
        "def blocks():\n"
        "    for k in range(20):\n"
        "        print(k, flush=True)\n"
        "        yield np.full((1, 3), k, dtype=np.uint8)\n"
        "        time.sleep(0.5)\n"
        f"mapped([pathlib.Path({str(conversion.source)!r})], 'key', (20, 3), blocks)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    while process.stdout.readline().strip() != "2":
        assert process.poll() is None
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    folder = conversion.source.parent / "converted"
    assert (folder / "key.part").exists()
    assert not list(folder.glob("*.npy"))
    assert (conversion() == ROWS).all()
    assert conversion.times == 1
    assert not (folder / "key.part").exists()


def test_random_batches_cost_at_most_twice_those_of_memory(tmp_path, official):
    from vaelens.data import ArrayDataset, Shapes3D

    ranks = official.grid(5, 4, 5, 5, 4, 1)
    images = official.shapes3d(tmp_path, ranks, chunks=(50, 64, 64, 3), compression="gzip", compression_opts=1)
    memory, disk = ArrayDataset(np.ascontiguousarray(np.moveaxis(images, -1, 1)), ranks), Shapes3D(tmp_path)
    batches = [np.random.default_rng(k).integers(len(disk), size=64) for k in range(40)]

    def seconds(ds):
        start = time.process_time()
        for batch in batches:
            ds.images_at(batch)
        return time.process_time() - start

    seconds(memory), seconds(disk)
    ratios = sorted(seconds(disk) / seconds(memory) for _ in range(7))
    assert ratios[0] <= 2, ratios
