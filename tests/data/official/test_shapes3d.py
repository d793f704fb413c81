from pathlib import Path

import h5py
import numpy as np
import pytest

from vaelens.data import Shapes3D, load_dataset
from vaelens.errors import VaelensError

REAL = Path(__file__).parents[4] / "shared" / "data" / "shapes3d" / "six_tiles.npy"
NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")


def shuffled(official, *sizes):
    return np.random.default_rng(1).permutation(official.grid(*sizes))


def write(path, images, labels):
    with h5py.File(path / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=images)
        file.create_dataset("labels", data=labels)


@pytest.mark.parametrize("packing", [{}, {"chunks": (7, 16, 32, 1), "compression": "gzip", "shuffle": True}])
def test_every_row_has_its_image_and_its_own_factors(tmp_path, official, packing):
    ranks = shuffled(official, 2, 3, 1, 8, 4, 2)
    images = official.shapes3d(tmp_path / "shapes3d", ranks, **packing)
    ds = load_dataset("shapes3d", root=tmp_path)
    assert ds.image_shape == (3, 64, 64)
    assert ds.factors.names == ("floor_hue", "wall_hue", "scale", "shape", "orientation")
    assert ds.factors.kinds == ("circular", "circular", "ordinal", "categorical", "ordinal")
    assert ds.factors.sizes == (2, 3, 8, 4, 2)
    assert (ds.factor_values(np.arange(384)) == ranks[:, [0, 1, 3, 4, 5]]).all()
    x = ds.images_at(range(384)).numpy()
    assert (x == np.moveaxis(images, -1, 1).astype(np.float32) / np.float32(255)).all()
    np.testing.assert_allclose(ds.original_values["scale"], np.linspace(0.75, 1.25, 8))


def test_all_sizes_of_the_official_file_come_from_its_labels(tmp_path, official):
    # Each factor runs over its values while the others stay: 10 + 10 + 10 + 8 + 4 + 15 rows, no grid.
    sizes = (10, 10, 10, 8, 4, 15)
    ranks = np.concatenate([np.eye(6, dtype=int)[k] * np.arange(size)[:, None] for k, size in enumerate(sizes)])
    images = official.shapes3d(tmp_path, ranks)
    ds = Shapes3D(tmp_path)
    assert ds.factors.names == NAMES
    assert ds.factors.sizes == sizes
    assert (ds.factor_values(np.arange(57)) == ranks).all()
    assert (ds.images([[0, 0, 0, 0, 0, 7]])[0].numpy() * 255).round().astype(int).tolist() == np.moveaxis(
        images[49], -1, 0
    ).tolist()
    with pytest.raises(VaelensError, match="no image of shapes3d has floor_hue=1, wall_hue=1"):
        ds.images([[1, 1, 0, 0, 0, 0]])


def test_pairs_of_a_shuffled_grid_are_exact(tmp_path, official):
    official.shapes3d(tmp_path, shuffled(official, 2, 2, 2, 2, 2, 3))
    pairs = Shapes3D(tmp_path).pairs("orientation", 100, seed=0)
    assert pairs.matched.all()
    assert (pairs.f[:, :5] == pairs.f2[:, :5]).all()
    assert (pairs.f[:, 5] != pairs.f2[:, 5]).all()


def test_real_images_come_back_as_they_are(tmp_path):
    if not REAL.exists():
        pytest.skip(f"the real images are not at {REAL}")
    tiles = np.load(REAL)
    write(tmp_path, tiles, np.arange(6.0)[:, None] * [1, 0, 0, 0, 0, 0])
    x = Shapes3D(tmp_path).images_at(range(6)).numpy()
    assert (np.rint(x * 255) == np.moveaxis(tiles, -1, 1)).all()


def test_the_file_is_closed_and_its_copy_is_mapped(tmp_path, official):
    official.shapes3d(tmp_path)
    ds = Shapes3D(tmp_path)
    (tmp_path / "3dshapes.h5").rename(tmp_path / "elsewhere.h5")
    assert ds.sample(3)[0].shape == (3, 3, 64, 64)
    assert len(list((tmp_path / "converted").glob("shapes3d-*.npy"))) == 1


def test_a_missing_file_says_what_to_do(tmp_path):
    message = r"3dshapes.h5 of shapes3d was not found in .* or .*shapes3d'; get it with `vaelens data fetch shapes3d"
    with pytest.raises(VaelensError, match=message):
        Shapes3D(tmp_path)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 64, 64, 3), np.float32), np.zeros((4, 6)), "images is float32"),
        (np.zeros((4, 3, 64, 64), np.uint8), np.zeros((4, 6)), r"images is uint8 \(4, 3, 64, 64\), expected"),
        (np.zeros((4, 64, 64, 3), np.uint8), np.zeros((4, 5)), r"labels has shape \(4, 5\), expected \(4, 6\)"),
        (np.zeros((4, 64, 64, 3), np.uint8), np.zeros((3, 6)), r"labels has shape \(3, 6\), expected \(4, 6\)"),
        (np.zeros((4, 64, 64, 3), np.uint8), np.full((4, 6), np.nan), "labels are not all finite numbers"),
        (np.zeros((4, 64, 64, 3), np.uint8), np.full((4, 6), b"a"), "labels are not all finite numbers"),
        (np.uint8(3), np.zeros((4, 6)), r"images has shape \(\)"),
    ],
)
def test_refuses_wrong_arrays(tmp_path, images, labels, message):
    write(tmp_path, images, labels)
    with pytest.raises(VaelensError, match=message):
        Shapes3D(tmp_path)


def test_refuses_a_promise_that_the_file_can_not_hold(tmp_path):
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file.create_dataset("images", shape=(10**9, 64, 64, 3), dtype="u1", chunks=(1, 64, 64, 3), compression="gzip")
        file.create_dataset("labels", shape=(10**9, 6), dtype="f8", chunks=(1, 6), compression="gzip")
    with pytest.raises(VaelensError, match=r"promises 12,288,000,000,000 bytes, more than 0 packed bytes can hold"):
        Shapes3D(tmp_path)


def test_refuses_arrays_that_lie_in_other_files(tmp_path, official):
    official.shapes3d(tmp_path / "other")
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file["images"] = h5py.ExternalLink(str(tmp_path / "other" / "3dshapes.h5"), "images")
    with pytest.raises(VaelensError, match="it has no array 'images', but images"):
        Shapes3D(tmp_path)
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        layout = h5py.VirtualLayout(shape=(48, 64, 64, 3), dtype="u1")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other" / "3dshapes.h5"), "images", shape=(48, 64, 64, 3))
        file.create_virtual_dataset("images", layout)
    with pytest.raises(VaelensError, match="images lies in another file"):
        Shapes3D(tmp_path)


def test_refuses_more_rows_than_the_official_file_has(tmp_path, official, monkeypatch):
    official.shapes3d(tmp_path, shuffled(official, 2, 2, 2, 1, 1, 1))
    monkeypatch.setattr("vaelens.data.official.shapes3d.ROWS", 3)
    with pytest.raises(VaelensError, match="it has 8 images, the official file 3; get it anew"):
        Shapes3D(tmp_path)
