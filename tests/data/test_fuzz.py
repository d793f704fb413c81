"""Damaged files: every reader gives the right answer or a `VaelensError`, whatever became of the bytes.

VAELENS_FUZZ sets how many damaged files each reader is given.
"""

import os
import resource
import shutil
import time

import numpy as np
import pytest

from vaelens.data import CelebA, DSprites, Shapes3D, SmallNORB
from vaelens.data.official import mpi3d
from vaelens.errors import VaelensError

COUNT = int(os.environ.get("VAELENS_FUZZ", "75"))
TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"
HEAD = 400  # bytes in which headers lie
MEMORY = 2**30
SECONDS = 20


def dsprites(folder, official, packed):
    official.dsprites(folder, np.column_stack([np.zeros(6, int), official.grid(3, 2, 1, 1, 1)]), compress=packed)
    return lambda: DSprites(folder)


def dsprites_hdf5(folder, official, packed):
    official.dsprites_hdf5(folder, np.column_stack([np.zeros(6, int), official.grid(3, 2, 1, 1, 1)]))
    return lambda: DSprites(folder)


def shapes3d(folder, official, packed):
    packing = {"chunks": (2, 32, 64, 3), "compression": "gzip"} if packed else {"chunks": None}
    official.shapes3d(folder, official.grid(2, 1, 1, 2, 2, 1), **packing)
    return lambda: Shapes3D(folder)


def mpi3d_toy(folder, official, packed):
    official.mpi3d(folder, official.blobs(official.grid(2, 2, 1, 1, 2, 1, 1), 64, 64, 3), compress=packed)
    return lambda: mpi3d.MPI3D(folder)


def smallnorb(folder, official, packed):
    official.smallnorb(folder, labels=official.grid(2, 1, 2, 1, 1), packed=packed)
    return lambda: SmallNORB(folder, "train", size=96 if packed else 8)


def celeba(folder, official, packed):
    attributes = np.random.default_rng(0).integers(0, 2, (4, 40))
    official.celeba(folder, attributes, [(60 * k, 90, 200) for k in range(4)])
    if packed:
        pictures = folder / "img_align_celeba"
        shutil.make_archive(str(pictures), "zip", pictures)
        shutil.rmtree(pictures)
    return lambda: CelebA(folder, "train", size=8)


def damaged(data, rng):
    """The bytes after one to three accidents."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        reach = min(len(data), HEAD if rng.random() < 0.5 else len(data))
        at = int(rng.integers(reach)) if reach else 0
        if rng.random() < 0.25:
            at = len(data) - at - 1 if at < len(data) else 0  # zip files end with their table of contents
        match rng.integers(6):
            case 0:
                data[at : at + 1] = bytes([data[at] ^ (1 << int(rng.integers(8)))]) if data else b""
            case 1:
                data[at : at + 1] = rng.bytes(1)
            case 2:
                del data[at:]
            case 3:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 4:
                width = int(rng.choice([1, 2, 4, 8]))
                extremes = (b"\xff" * width, b"\0" * width, b"\xff" * (width - 1) + b"\x7f")
                data[at : at + width] = extremes[rng.integers(3)]
            case 5:
                digits = [k for k, byte in enumerate(data[:HEAD]) if chr(byte).isdigit()]
                if digits:
                    data[digits[rng.integers(len(digits))]] = ord(str(rng.integers(10)))
    return bytes(data)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("write", [dsprites, dsprites_hdf5, shapes3d, mpi3d_toy, smallnorb, celeba])
def test_a_damaged_file_gives_an_answer_or_one_clear_error(tmp_path, official, monkeypatch, write, packed):
    monkeypatch.setattr(mpi3d, "SIZES", {8: (2, 2, 1, 1, 2, 1, 1), 4: (2, 2, 1, 1, 1, 1, 1)})
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    build = write(folder, official, packed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    whole = {path: path.read_bytes() for path in files}
    rng = np.random.default_rng([len(write.__name__), packed])
    answers, errors = 0, []
    for trial in range(COUNT):
        path = files[rng.integers(len(files))]
        path.write_bytes(damaged(whole[path], rng))
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        try:
            ds = build()
            x, f = ds.sample(len(ds))
            assert x.shape == (len(ds), *ds.image_shape)
            assert f.shape == (len(ds), len(ds.factors))
            assert 0 <= x.min() <= x.max() <= 1
            assert len(ds) <= 24
            answers += 1
        except VaelensError as error:
            errors.append(str(error))
        assert time.monotonic() - start < SECONDS, f"trial {trial}"
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown * 1024 < MEMORY, f"trial {trial}"
        path.write_bytes(whole[path])
        shutil.rmtree(folder / "converted", ignore_errors=True)
    assert answers + len(errors) == COUNT
    assert errors
    assert all(str(folder) in error and "\n" not in error for error in errors)
    build()  # the whole files still read
