import struct
import time
from pathlib import Path

import numpy as np
import pytest

from vaelens.data import MPI3D, load_dataset
from vaelens.data.official import mpi3d
from vaelens.errors import VaelensError

REAL = Path(__file__).parents[4] / "shared" / "data" / "mpi3d"
NAMES = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)
FEW = (3, 2, 2, 1, 2, 2, 2)


def sparse(folder, count, pictures, variant="toy"):
    """A full-size .npz stored uncompressed, as a sparse file: nothing is written but headers and these rows."""
    folder.mkdir(exist_ok=True)
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 64, 64, 3), }}".ljust(117) + "\n"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    size = len(header) + count * 12_288
    name = b"images.npy"
    with (folder / f"mpi3d_{variant}.npz").open("wb") as file:
        wide = struct.pack("<HHQQ", 1, 16, size, size)
        file.write(struct.pack("<4s5HIIIHH", b"PK\3\4", 45, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, len(name), len(wide)))
        file.write(name + wide + header)
        start = file.tell()
        for row, picture in pictures.items():
            file.seek(start + row * 12_288)
            file.write(picture.tobytes())
        table = start + count * 12_288
        file.seek(table)
        entry = struct.pack("<4s6HIIIHHHHHII", b"PK\1\2", 45, 45, 0, 0, 0, 33, 0, 2**32 - 1, 2**32 - 1, len(name),
                            len(wide), 0, 0, 0, 0, 0) + name + wide  # fmt: skip
        file.write(entry)
        end = table + len(entry)
        file.write(struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), table))
        file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        file.write(struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(entry), 2**32 - 1, 0))


@pytest.mark.parametrize(
    ("count", "sizes", "bases"),
    [
        (1_036_800, (6, 6, 2, 3, 3, 40, 40), (172_800, 28_800, 14_400, 4800, 1600, 40, 1)),
        (460_800, (4, 4, 2, 3, 3, 40, 40), (115_200, 28_800, 14_400, 4800, 1600, 40, 1)),
    ],
)
def test_a_file_of_full_size_opens_at_once_and_finds_a_row_by_its_factors(tmp_path, count, sizes, bases):
    rng = np.random.default_rng(0)
    factors = [[0] * 7, [size - 1 for size in sizes], [1, 3, 1, 2, 0, 17, 29]]
    rows = [int(np.dot(bases, f)) for f in factors]
    pictures = {row: rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for row in rows}
    sparse(tmp_path / "mpi3d", count, pictures)
    start = time.monotonic()
    ds = load_dataset("mpi3d", root=tmp_path)
    assert time.monotonic() - start < 5
    assert len(ds) == count
    assert ds.factors.names == NAMES
    assert ds.factors.sizes == sizes
    assert ds.factor_values(np.array(rows)).tolist() == factors
    expected = np.stack([np.moveaxis(picture, -1, 0) for picture in pictures.values()])
    assert (np.rint(ds.images(factors).numpy() * 255) == expected).all()
    assert (np.rint(ds.images_at(rows).numpy() * 255) == expected).all()
    assert not (tmp_path / "mpi3d" / "converted").exists()


@pytest.mark.parametrize("compress", [True, False])
def test_images_are_those_of_the_file_packed_or_not(tmp_path, official, monkeypatch, compress):
    monkeypatch.setattr(mpi3d, "SIZES", {96: FEW})
    images = official.blobs(official.grid(*FEW), 64, 64, 3)
    official.mpi3d(tmp_path, images, "realistic", compress)
    ds = MPI3D(tmp_path, variant="realistic")
    assert ds.factors.kinds == (
        "categorical", "categorical", "ordinal", "ordinal", "categorical", "ordinal", "ordinal",
    )  # fmt: skip
    assert ds.options == {"variant": "realistic"}
    assert (np.rint(ds.images_at(range(96)).numpy() * 255) == np.moveaxis(images, -1, 1)).all()
    assert (ds.images([[2, 1, 0, 0, 1, 0, 1]])[0] == ds[2 * 32 + 16 + 4 + 1][0]).all()
    assert ds.images_at([0]).is_contiguous()
    assert (tmp_path / "converted").exists() == compress
    described = ds.describe()
    assert described["options"] == {"variant": "realistic"}
    assert described["files"][0]["name"] == "mpi3d_realistic.npz"


@pytest.mark.parametrize(("variant", "base"), [("toy", (3, 4, 1, 1, 1)), ("realistic", (2, 1, 1, 0, 0))])
def test_real_images_stand_at_the_rows_of_their_factors(tmp_path, variant, base):
    if not REAL.exists():
        pytest.skip(f"the real images are not at {REAL}")
    cells = np.load(REAL / f"{variant}1_7x20.npy")  # cell j varies factor j only
    factors = [[*base[:j], value, *base[j + 1 :], 0, 0] for j, size in enumerate((6, 6, 2)) for value in range(size)]
    bases = (172_800, 28_800, 14_400, 4800, 1600, 40, 1)
    pictures = [cells[j, value] for j, size in enumerate((6, 6, 2)) for value in range(size)]
    sparse(tmp_path, 1_036_800, dict(zip((int(np.dot(bases, f)) for f in factors), pictures, strict=True)), variant)
    x = MPI3D(tmp_path, variant).images(factors)
    shown = {tuple(f): picture for f, picture in zip(factors, pictures, strict=True)}  # a row is written last once
    expected = np.stack([np.moveaxis(shown[tuple(f)], -1, 0) for f in factors])
    assert (np.rint(x.numpy() * 255) == expected).all()


@pytest.mark.parametrize("compress", [True, False])
def test_refuses_another_number_of_rows(tmp_path, official, compress):
    official.mpi3d(tmp_path, np.zeros((10, 64, 64, 3), np.uint8), compress=compress)
    with pytest.raises(VaelensError, match="it has 10 images, expected 1,036,800 or 460,800, since it carries no lab"):
        MPI3D(tmp_path)


def test_refuses_wrong_images_and_variants(tmp_path, official):
    official.mpi3d(tmp_path, np.zeros((10, 64, 64, 3), np.int8))
    with pytest.raises(VaelensError, match=r"images is int8 \(10, 64, 64, 3\), expected uint8 \(N, 64, 64, 3\)"):
        MPI3D(tmp_path)
    with pytest.raises(VaelensError, match=r"unknown variant of mpi3d 'reel'; known: toy, .*; did you mean 'real'"):
        MPI3D(tmp_path, variant="reel")
    with pytest.raises(VaelensError, match=r"unknown variant of mpi3d \['toy'\]; known"):
        MPI3D(tmp_path, variant=["toy"])


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(VaelensError, match="get it with `vaelens data fetch mpi3d --variant real --root"):
        MPI3D(tmp_path, "real")
    with pytest.raises(VaelensError, match=r"get it from https://github.com/rr-learning.*, then `vaelens data import"):
        MPI3D(tmp_path, "real_complex")


def test_refuses_a_file_cut_short(tmp_path):
    sparse(tmp_path, 460_800, {})
    path = tmp_path / "mpi3d_toy.npz"
    with path.open("r+b") as file:
        file.truncate(10**9)
    with pytest.raises(VaelensError, match="is damaged or not the official file"):
        MPI3D(tmp_path)
