import numpy as np
import pytest
from PIL import Image

from vaelens.data import SmallNORB, load_dataset
from vaelens.errors import VaelensError

TRAIN = "smallnorb-5x46789x9x18x6x2x96x96-training"


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("camera", [0, 1])
def test_every_shuffled_row_has_its_image_and_its_own_factors(tmp_path, official, packed, camera):
    images, labels = official.smallnorb(tmp_path / "smallnorb", packed=packed)
    ds = load_dataset("smallnorb", root=tmp_path, split="train", camera=camera, size=96)
    assert ds.image_shape == (1, 96, 96)
    assert ds.factors.names == ("category", "instance", "elevation", "azimuth", "lighting")
    assert ds.factors.kinds == ("categorical", "categorical", "ordinal", "circular", "categorical")
    assert ds.factors.sizes == (2, 2, 2, 3, 2)
    assert ds.original_values["instance"].tolist() == [4, 6]
    assert ds.original_values["azimuth"].tolist() == [0, 2, 4]
    ranks = labels // [1, 1, 1, 2, 1] - [0, 4, 0, 0, 0]
    ranks[:, 1] //= 2
    assert (ds.factor_values(np.arange(48)) == ranks).all()
    assert (np.rint(ds.images_at(range(48)).numpy() * 255) == images[:, camera, None]).all()


def test_both_chunks_are_one_dataset(tmp_path, official):
    train, train_labels = official.smallnorb(tmp_path)
    test, test_labels = official.smallnorb(tmp_path, "test", packed=False)
    ds = SmallNORB(tmp_path, size=96)
    assert ds.options == {"split": "both", "camera": 0, "size": 96}
    assert len(ds) == 96
    assert ds.original_values["instance"].tolist() == [0, 1, 4, 6]
    assert (np.rint(ds.images_at(range(96)).numpy() * 255)[:, 0] == np.concatenate([train, test])[:, 0]).all()
    labels = np.concatenate([train_labels, test_labels])
    assert (ds.original_values["instance"][ds.factor_values(np.arange(96))[:, 1]] == labels[:, 1]).all()
    alone = SmallNORB(tmp_path, split="test", size=96)
    assert (alone.images_at(range(48)) == ds.images_at(range(48, 96))).all()


def test_a_full_grid_in_any_order_has_exact_pairs(tmp_path, official):
    official.smallnorb(tmp_path)
    pairs = SmallNORB(tmp_path, "train").pairs("azimuth", 100, seed=0)
    assert pairs.matched.all()
    assert (pairs.f[:, 3] != pairs.f2[:, 3]).all()
    assert (pairs.f[:, [0, 1, 2, 4]] == pairs.f2[:, [0, 1, 2, 4]]).all()


def test_a_part_of_the_rows_has_the_nearest_pairs(tmp_path, official):
    labels = np.array([[0, 4, 0, 0, 0], [0, 4, 0, 2, 0], [1, 6, 0, 4, 0]])
    official.smallnorb(tmp_path, labels=labels)
    ds = SmallNORB(tmp_path, "train")
    assert ds.left_out == ("elevation", "lighting")
    pairs = ds.pairs("azimuth", 50, seed=0)
    assert pairs.matched.tolist() == (pairs.f[:, 0] == 0).tolist()


def test_pictures_are_resized_as_described(tmp_path, official):
    images, _ = official.smallnorb(tmp_path)
    ds = SmallNORB(tmp_path, "train")
    assert ds.image_shape == (1, 64, 64)
    expected = Image.fromarray(images[5, 0]).resize((64, 64), Image.Resampling.LANCZOS)
    assert (np.rint(ds[5][0][0].numpy() * 255) == np.asarray(expected)).all()
    described = ds.describe()
    assert (described["options"]["size"], described["resampling"]) == (64, "lanczos")
    names = [file["name"] for file in described["files"]]
    assert names == [f"{TRAIN}-{part}.mat.gz" for part in ("dat", "cat", "info")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "tests"}, "unknown split of smallnorb 'tests'; known: both, train, test; did you mean 'test'"),
        ({"camera": 2}, "camera is 2; expected a whole number from 0 to 1"),
        ({"size": 97}, "size is 97; expected a whole number from 1 to 96"),
    ],
)
def test_refuses_wrong_options(tmp_path, options, message):
    with pytest.raises(VaelensError, match=message):
        SmallNORB(tmp_path, **options)


def test_a_missing_file_says_where_it_was_looked_for_and_that_terms_are_to_be_agreed_to(tmp_path, official):
    official.smallnorb(tmp_path)
    (tmp_path / f"{TRAIN}-cat.mat.gz").unlink()
    with pytest.raises(VaelensError) as caught:
        SmallNORB(tmp_path, "train")
    assert str(caught.value) == (
        f"{TRAIN}-cat.mat.gz or {TRAIN}-cat.mat of smallnorb was not found in {str(tmp_path)!r} or "
        f"{str(tmp_path / 'smallnorb')!r}; its terms must be agreed to, so get it from "
        "https://cs.nyu.edu/~ylclab/data/norb-v1.0-small/ yourself, then "
        f"`vaelens data import smallnorb --from PATH --root {tmp_path}`"
    )


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("dat", np.zeros((48, 2, 96, 95), np.uint8), r"it is uint8 \(48, 2, 96, 95\), expected uint8 \(N, 2, 96, 96\)"),
        ("dat", np.zeros((48, 2, 9, 9), np.int32), r"it is int32 \(48, 2, 9, 9\), expected uint8"),
        ("cat", np.zeros((47,), np.int32), "it has 47 rows, and .*dat.mat.gz 48"),
        ("info", np.zeros((48, 3), np.int32), r"it is int32 \(48, 3\), expected int32 \(N, 4\)"),
    ],
)
def test_refuses_wrong_matrices(tmp_path, official, part, array, message):
    official.smallnorb(tmp_path)
    official.matrix(tmp_path / f"{TRAIN}-{part}.mat", array, packed=True)
    with pytest.raises(VaelensError, match=message):
        SmallNORB(tmp_path, "train")
