import numpy as np
import pytest

from vaelens.data import ArrayFile, load_dataset
from vaelens.errors import VaelensError

PIXELS = np.arange(4 * 2 * 3 * 3, dtype=np.uint8).reshape(4, 2, 3, 3)[:, :1]


def test_npz_with_factors_and_names(tmp_path):
    np.savez(tmp_path / "x.npz", images=PIXELS, factors=[[0, 5], [1, 5], [0, 6], [1, 6]], names=["shape", "size"])
    ds = load_dataset("array", root=tmp_path / "x.npz", kinds={"size": "ordinal"})
    assert ds.factors.names == ("shape", "size")
    assert ds.factors.kinds == ("categorical", "ordinal")
    assert (ds.images_at(range(4)).numpy() * 255 == PIXELS).all()
    assert ds.original_values["size"].tolist() == [5, 6]
    assert ds.describe()["options"] == {"file": "x.npz"}


def test_npz_under_other_names_and_with_channels_last(tmp_path):
    np.savez(tmp_path / "x.npz", x=np.moveaxis(PIXELS, 1, -1), y=[[0], [1], [0], [1]])
    ds = ArrayFile(tmp_path / "x.npz", images="x", factors="y", names=["half"], channels_last=True)
    assert ds.factors.names == ("half",)
    assert (ds.images_at(range(4)).numpy() * 255 == PIXELS).all()


def test_npy_is_mapped(tmp_path):
    np.save(tmp_path / "x.npy", PIXELS)
    ds = load_dataset("array", root=str(tmp_path / "x.npy"))
    assert len(ds.factors) == 0
    assert (ds.images_at(range(4)).numpy() * 255 == PIXELS).all()
    np.save(tmp_path / "grey.npy", PIXELS[:, 0])
    assert ArrayFile(tmp_path / "grey.npy", channels_last=True).image_shape == (1, 3, 3)


def test_refuses(tmp_path):
    np.savez(tmp_path / "other.npz", pictures=PIXELS)
    np.savez(tmp_path / "objects.npz", images=np.array([{}], dtype=object))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.savez(tmp_path / "cut.npz", images=PIXELS)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:100])
    (tmp_path / "text.npz").write_text("text")
    for root, match in (
        (None, "root must be the path of an .npy or .npz file, got None"),
        (tmp_path / "x.csv", "must be an .npy or .npz file, got 'x.csv'"),
        (tmp_path / "none.npz", "none.npz' is not there"),
        (tmp_path / "other.npz", "other.npz has no array 'images', only pictures; name it with images="),
        (tmp_path / "objects.npz", "objects.npz' holds Python objects"),
        (tmp_path / "objects.npy", "objects.npy' holds Python objects"),
        (tmp_path / "cut.npz", "cut.npz' is damaged or no NumPy file"),
        (tmp_path / "text.npz", "text.npz' holds Python objects, or is no NumPy file"),
    ):
        with pytest.raises(VaelensError, match=match):
            ArrayFile(root)


def test_images_lie_row_by_row_however_they_are_stored(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    np.savez(tmp_path / "own.npz", images=pixels)
    images = ArrayFile(tmp_path / "own.npz", channels_last=True).images_at([3, 1])
    assert images.is_contiguous()
    assert (np.rint(images.numpy() * 255) == np.moveaxis(pixels[[3, 1]], -1, 1)).all()
