import numpy as np
import pandas as pd
import pytest
import torch

from vaelens.data import ArrayDataset
from vaelens.errors import VaelensError

BLACK = np.zeros((4, 1, 8, 8), dtype=np.uint8)


def numbered(n):
    """Images that carry their index in their first pixel."""
    images = np.zeros((n, 1, 4, 4))
    images[:, 0, 0, 0] = np.arange(n) / n
    return images


def indices_of(x, n):
    return (x[:, 0, 0, 0].numpy() * n).round().astype(int)


def test_uint8_is_scaled_by_255_and_floats_are_kept():
    images = np.array([0, 51, 255], dtype=np.uint8).reshape(3, 1, 1, 1)
    expected = torch.tensor([0, 0.2, 1]).reshape(3, 1, 1, 1)
    torch.testing.assert_close(ArrayDataset(images).images_at([0, 1, 2]), expected)
    torch.testing.assert_close(ArrayDataset(torch.from_numpy(images)).images_at([0, 1, 2]), expected)
    torch.testing.assert_close(ArrayDataset(expected.to(torch.bfloat16)).images_at([2])[0, 0, 0, 0], torch.tensor(1.0))
    torch.testing.assert_close(ArrayDataset(expected.double()).images_at([0, 1, 2]), expected)
    assert ArrayDataset(images > 100).images_at([0, 1, 2]).flatten().tolist() == [0, 0, 1]


def test_values_become_ranks_and_the_originals_are_kept():
    ds = ArrayDataset(BLACK, [[-5, 3, 100], [9, 3, 7], [0, 3, 7], [9, 3, 8]], names=["a", "b", "c"])
    assert ds.factors.names == ("a", "c")
    assert ds.factors.sizes == (3, 3)
    assert [f.tolist() for _, f in ds] == [[0, 2], [2, 0], [1, 0], [2, 1]]
    assert ds.original_values["a"].tolist() == [-5, 0, 9]
    assert ds.original_values["c"].tolist() == [7, 8, 100]
    assert ds.left_out == ("b",)


def test_names_are_numbered_by_default():
    assert ArrayDataset(BLACK, torch.tensor([[0, 1], [0, 2], [1, 0], [1, 1]])).factors.names == (
        "factor_0",
        "factor_1",
    )


def test_without_factors():
    ds = ArrayDataset(BLACK)
    x, f = ds.sample(4)
    assert x.shape == (4, 1, 8, 8)
    assert f.shape == (4, 0)
    assert ds[0][1].shape == (0,)
    with pytest.raises(VaelensError, match="arrays has no factors; give"):
        ds.pairs("shape", 3)
    with pytest.raises(VaelensError, match="arrays has no factors; give"):
        ds.images([[0]])


def test_images_draws_among_those_with_the_values():
    ds = ArrayDataset(numbered(6), [[0, 0], [0, 1], [0, 1], [1, 0], [1, 0], [0, 1]])
    drawn = indices_of(ds.images([[0, 1]] * 300 + [[1, 0]] * 300 + [[0, 0]]), 6)
    assert np.bincount(drawn[:300], minlength=6)[[1, 2, 5]].min() > 70  # 100 expected of each
    assert set(drawn[:300]) == {1, 2, 5}
    assert set(drawn[300:600]) == {3, 4}
    assert drawn[600] == 0
    again = indices_of(ds.images([[0, 1]] * 300 + [[1, 0]] * 300 + [[0, 0]], seed=1), 6)
    assert (drawn != again).any()
    with pytest.raises(VaelensError, match=r"no image of arrays has factor_0=1, factor_1=1 \(row 1\)"):
        ds.images([[0, 0], [1, 1]])


def test_pairs_take_the_nearest_match_on_the_other_labels():
    # Partners of image 0 in factor_0: image 1 agrees on one other, images 2 and 3 on two of three.
    f = [[0, 0, 0, 0], [1, 0, 1, 1], [1, 0, 0, 1], [1, 0, 1, 0], [0, 0, 0, 1]]
    ds = ArrayDataset(numbered(5), f)
    pairs = ds.pairs("factor_0", 400, seed=0)
    first, second = indices_of(pairs.x, 5), indices_of(pairs.x2, 5)
    assert set(second[first == 0]) == {2, 3}
    assert set(second[first == 4]) == {2}
    assert (pairs.matched.numpy() == np.isin(first, [2, 4])).all()


def test_pairs_agree_with_a_search_by_loops():
    rng = np.random.default_rng(0)
    labels = rng.integers([2, 3, 2, 4], size=(40, 4))
    ds = ArrayDataset(numbered(40), labels)
    for k in range(4):
        pairs = ds.pairs(f"factor_{k}", 100, seed=k)
        for i, j, matched in zip(indices_of(pairs.x, 40), indices_of(pairs.x2, 40), pairs.matched, strict=True):
            agreed = {
                row: sum(labels[i, c] == labels[row, c] for c in range(4) if c != k)
                for row in range(40)
                if labels[row, k] != labels[i, k]
            }
            assert agreed[j] == max(agreed.values())
            assert bool(matched) == (agreed[j] == 3)


def test_pairs_choose_uniformly_among_the_best():
    ds = ArrayDataset(numbered(4), [[0], [1], [1], [1]])
    pairs = ds.pairs("factor_0", 1200, seed=0)
    partners = np.bincount(indices_of(pairs.x2, 4)[indices_of(pairs.x, 4) == 0], minlength=4)
    assert partners[0] == 0
    assert partners[1:].min() > 70  # 100 expected of each


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (np.zeros((4, 8, 8)), r"got \(4, 8, 8\); add a channel: images\[:, None\]"),
        (np.zeros((4, 8, 8, 3)), r"looks like \(N, H, W, C\); move the channels: np.moveaxis"),
        (np.zeros(4), r"must have shape \(N, C, H, W\), got \(4,\)"),
        (np.zeros((0, 1, 8, 8)), "must not be empty"),
        (np.zeros((4, 1, 8, 8), dtype=np.int64), r"floating point in \[0, 1\], got int64; .*astype\(np.uint8\)"),
        (np.full((4, 1, 8, 8), np.nan), "contain NaN"),
        (np.full((4, 1, 8, 8), 255.0), r"range from 255 to 255, expected \[0, 1\]; for 0\.\.255 use x / 255"),
        (np.full((4, 1, 8, 8), -0.5), r"range from -0\.5 to -0\.5, expected \[0, 1\]"),
        (torch.full((4, 1, 8, 8), torch.inf), "contain NaN or infinite values"),
        ([[1.0], [1.0, 2.0]], "images must be a regular array"),
        ("sprites", r"must have shape \(N, C, H, W\), got \(\)"),
    ],
)
def test_refuses_wrong_images(images, match):
    with pytest.raises(VaelensError, match=match):
        ArrayDataset(images)


@pytest.mark.parametrize(
    ("factors", "names", "match"),
    [
        (np.zeros((4, 1, 1), dtype=int), None, r"must have shape \(N, K\), got \(4, 1, 1\)"),
        ([[0], [1]], None, "must have the same length, got 4 and 2"),
        (np.zeros((4, 2)), None, "must be integers, got float64; number each column's values"),
        ([["a"]] * 4, None, "must be integers, got <U1"),
        (np.zeros((4, 2), dtype=int), ["a"], r"one for each of 2 factors, got 1: \['a'\]"),
        (np.zeros((4, 2), dtype=int), ["a", "a"], "names must differ, got 'a' more than once"),
        (np.zeros((4, 2), dtype=int), ["a", 1], "must be non-empty strings, got 1"),
        (np.zeros((4, 2), dtype=int), "ab", "must be a list of names, got 'ab'"),
        (None, ["a"], r"one for each of 0 factors, got 1: \['a'\]"),
    ],
)
def test_refuses_wrong_factors(factors, names, match):
    with pytest.raises(VaelensError, match=match):
        ArrayDataset(BLACK, factors, names)


def with_gaps():
    """Ages in two bins about their median 50.5, and whether one smiles; one label of each is missing."""
    table = pd.DataFrame(
        {"age": [20.5, 30.5, np.nan, 50.5, 60.5, 70.5], "smile": ["y", "n", "y", None, "y", "n"], "site": ["a"] * 6}
    )
    return ArrayDataset(numbered(6), table, levels=2)


def test_a_table_with_gaps_and_fractions():
    ds = with_gaps()
    assert ds.factors.names == ("age", "smile")
    assert ds.factors.kinds == ("ordinal", "categorical")
    assert [f.tolist() for _, f in ds] == [[0, 1], [0, 0], [-1, 1], [1, -1], [1, 1], [1, 0]]
    np.testing.assert_array_equal(ds.raw_values["age"], [20.5, 30.5, np.nan, 50.5, 60.5, 70.5])
    assert ds.original_values["age"].tolist() == [25.5, 60.5]  # the medians of 20.5, 30.5 and of 50.5, 60.5, 70.5
    assert ds.left_out == ("site",)
    assert ds.missing == {"age": 1, "smile": 1}
    described = ds.describe()
    assert described["missing_labels"] == {"age": 1, "smile": 1}
    assert described["options"] == {"bin_edges": {"age": [50.5]}, "left_out": ["site"]}


def test_missing_labels_leave_an_image_out_of_what_needs_them():
    ds = with_gaps()
    assert ds.labelled == 4
    x, f = ds.sample(4, labelled=True)
    assert sorted(indices_of(x, 6)) == [0, 1, 4, 5]
    assert (f >= 0).all()
    with pytest.raises(VaelensError, match="arrays has 4 labelled images, got n=5"):
        ds.sample(5, labelled=True)
    assert (ds.sample(6)[1] < 0).sum() == 2
    # Pairs in age: image 2 has none. Image 3 has no smile, so nothing matches it, and either smile is as far.
    pairs = ds.pairs("age", 500, seed=0)
    partners = {i: set() for i in range(6)}
    for i, j in zip(indices_of(pairs.x, 6), indices_of(pairs.x2, 6), strict=True):
        partners[i].add(int(j))
    assert partners == {0: {4}, 1: {5}, 2: set(), 3: {0, 1}, 4: {0}, 5: {1}}
    assert (pairs.matched.numpy() == (indices_of(pairs.x, 6) != 3)).all()
    drawn = indices_of(ds.images([[0, 1]] * 50), 6)
    assert set(drawn) == {0}


def test_kinds_can_be_given():
    ds = ArrayDataset(BLACK, [[0, 3], [1, 2], [2, 1], [3, 0]], ["angle", "size"], kinds={"angle": "circular"})
    assert ds.factors.kinds == ("circular", "categorical")


def test_refuses_a_wrong_table():
    with pytest.raises(VaelensError, match="must have the same length, got 4 and 3"):
        ArrayDataset(BLACK, pd.DataFrame({"a": [1, 2, 3]}))
    with pytest.raises(VaelensError, match="must be non-empty strings, got 0"):
        ArrayDataset(BLACK, pd.DataFrame(np.eye(4, dtype=int)))
    with pytest.raises(VaelensError, match="levels is 1; expected a whole number of at least 2"):
        ArrayDataset(BLACK, pd.DataFrame({"a": [1, 2, 3, 4]}), levels=1)
