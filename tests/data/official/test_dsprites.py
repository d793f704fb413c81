from pathlib import Path

import numpy as np
import pytest

from vaelens.data import DSprites, load_dataset
from vaelens.errors import VaelensError

REAL = Path(__file__).parents[4] / "shared" / "data" / "dsprites" / "official_gif_320_frames.npy"
FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


def rows_of(official, seed=0):
    """All 6 official values of the scale, 40 of the orientation, but few of the rest; shuffled."""
    classes = np.column_stack([np.zeros(3 * 6 * 40 * 2, int), official.grid(3, 6, 40, 1, 2)])
    return np.random.default_rng(seed).permutation(classes)


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("compress", [True, False])
def test_every_row_has_its_image_and_its_own_factors(tmp_path, official, metadata, compress):
    classes = rows_of(official)
    images, _ = official.dsprites(tmp_path, classes, metadata=metadata, compress=compress)
    ds = DSprites(tmp_path)
    assert len(ds) == 1440
    assert ds.factors.names == ("shape", "scale", "orientation", "position_y")
    assert ds.factors.kinds == ("categorical", "ordinal", "circular", "ordinal")
    assert ds.factors.sizes == (3, 6, 40, 2)
    assert ds.left_out == ("color", "position_x")
    assert (ds.images_at(range(1440))[:, 0].numpy() == images).all()  # 0 and 1 stay 0 and 1
    assert (ds.factor_values(np.arange(1440)) == classes[:, [1, 2, 3, 5]]).all()


def test_the_five_factors_have_the_names_of_the_field(tmp_path, official):
    official.dsprites(tmp_path / "dsprites")
    ds = load_dataset("dsprites", root=tmp_path)
    assert ds.factors.names == ("shape", "scale", "orientation", "position_x", "position_y")
    assert ds.factors.sizes == (3, 2, 2, 2, 2)


def test_a_full_grid_gives_the_image_of_factor_values_and_exact_pairs(tmp_path, official):
    classes = rows_of(official)
    images, _ = official.dsprites(tmp_path, classes)
    ds = DSprites(tmp_path)
    wanted = [[2, 5, 39, 1], [0, 0, 0, 0]]
    rows = [int(np.flatnonzero((classes[:, [1, 2, 3, 5]] == row).all(axis=1))[0]) for row in wanted]
    assert (ds.images(wanted)[:, 0].numpy() == images[rows]).all()
    pairs = ds.pairs("orientation", 200, seed=1)
    assert pairs.matched.all()
    assert (pairs.f[:, [0, 1, 3]] == pairs.f2[:, [0, 1, 3]]).all()
    assert len(pairs.f2[:, 2].unique()) > 30


def test_factor_values_are_ranks_of_the_classes_that_occur(tmp_path, official):
    classes = [[0, 0, 0, 7, 0, 5], [0, 2, 0, 3, 0, 5], [0, 2, 0, 39, 0, 9]]
    official.dsprites(tmp_path, classes)
    ds = DSprites(tmp_path)
    assert ds.factor_values(np.arange(3)).tolist() == [[0, 1, 0], [1, 0, 0], [1, 2, 1]]
    assert {name: values.tolist() for name, values in ds.original_values.items()} == {
        "shape": [0, 2],
        "orientation": [3, 7, 39],
        "position_y": [5, 9],
    }


def test_real_frames_come_back_as_they_are(tmp_path, official):
    if not REAL.exists():
        pytest.skip(f"the real frames are not at {REAL}")
    frames = np.load(REAL)
    shapes = {2: range(18, 58), 1: range(210, 250), 0: range(274, 314)}  # at scale 5, over the orientations
    rows = [(frame, [0, shape, 5, turn, 0, 0]) for shape, span in shapes.items() for turn, frame in enumerate(span)]
    chosen = frames[[frame for frame, _ in rows]]
    official.dsprites(tmp_path, np.array([classes for _, classes in rows]), chosen)
    ds = DSprites(tmp_path)
    assert ds.factors.names == ("shape", "orientation")
    assert (ds.images([[2, 7], [0, 39]])[:, 0].numpy() == frames[[18 + 7, 274 + 39]]).all()
    assert (ds.images_at(range(120))[:, 0].numpy() == chosen).all()


def test_the_hdf5_file_reads_the_same(tmp_path, official):
    classes = rows_of(official, seed=3)[:101]
    images, _ = official.dsprites_hdf5(tmp_path, classes)
    ds = DSprites(tmp_path)
    assert (ds.images_at(range(101))[:, 0].numpy() == images).all()
    ranks = ds.factor_values(np.arange(101)).T
    labels = [ds.original_values[name][rank] for name, rank in zip(ds.factors.names, ranks, strict=True)]
    assert (np.stack(labels, axis=1) == classes[:, [1, 2, 3, 5]]).all()


def test_no_pickle_is_opened(tmp_path, official, monkeypatch):
    official.dsprites(tmp_path)
    monkeypatch.setattr("pickle.load", None)
    monkeypatch.setattr("pickle.loads", None)
    assert len(DSprites(tmp_path)) == 48


def test_describe_names_file_and_rows(tmp_path, official):
    official.dsprites(tmp_path)
    described = DSprites(tmp_path).describe()
    assert described["length"] == 48
    assert described["files"] == [{"name": FILE, "bytes": (tmp_path / FILE).stat().st_size}]


def test_a_missing_file_is_one_sentence_that_says_what_to_do(tmp_path):
    with pytest.raises(VaelensError) as caught:
        DSprites(tmp_path)
    assert str(caught.value) == (
        f"{FILE} or {FILE.replace('.npz', '.hdf5')} of dsprites was not found in {str(tmp_path)!r} or "
        f"{str(tmp_path / 'dsprites')!r}; get it with `vaelens data fetch dsprites --root {tmp_path}`"
    )


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((48, 64, 64), np.float32), r"imgs is float32 \(48, 64, 64\), expected uint8 \(N, 64, 64\)"),
        (np.zeros((48, 64, 63), np.uint8), r"imgs is uint8 \(48, 64, 63\), expected"),
        (np.zeros((47, 64, 64), np.uint8), r"latents_classes has shape \(48, 6\), expected \(47, 6\)"),
        (np.full((48, 64, 64), 255, np.uint8), "imgs holds the value 255, expected 0 and 1"),
        (np.array([None]), "imgs holds Python objects, which are never opened"),
        (np.asfortranarray(np.zeros((48, 64, 64), np.uint8)), "rows do not lie one after another"),
    ],
)
def test_refuses_a_wrong_array(tmp_path, official, images, message):
    official.dsprites(tmp_path, images=images)
    with pytest.raises(VaelensError, match=message):
        DSprites(tmp_path)


def test_refuses_an_empty_a_cut_and_another_file(tmp_path, official):
    official.dsprites(tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    for data in (b"", whole[: len(whole) // 2], b"PK\x03\x04" + bytes(500)):
        (tmp_path / FILE).write_bytes(data)
        with pytest.raises(VaelensError, match=r"is damaged or not the official file: .*; get it anew"):
            DSprites(tmp_path)
    np.savez(tmp_path / FILE, images=np.zeros(3))
    with pytest.raises(VaelensError, match="it has no array 'imgs', but images"):
        DSprites(tmp_path)


def test_one_row_has_no_factors(tmp_path, official):
    official.dsprites(tmp_path, [[0, 1, 2, 3, 4, 5]])
    ds = DSprites(tmp_path)
    assert (len(ds), len(ds.factors)) == (1, 0)
