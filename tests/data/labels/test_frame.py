import numpy as np
import pandas as pd
import pytest

from vaelens.data.labels.frame import read_labels
from vaelens.errors import VaelensError


def one(values, **options):
    [column] = read_labels(pd.DataFrame({"x": values}), **options)
    return column


def test_whole_numbers_texts_and_truth_values_are_categorical():
    numbers = one([7, -2, 7, 30])
    assert (numbers.kind, numbers.ranks.tolist(), numbers.values.tolist()) == ("categorical", [1, 0, 1, 2], [-2, 7, 30])
    texts = one(["b", "a", "b"])
    assert (texts.kind, texts.ranks.tolist(), texts.values.tolist()) == ("categorical", [1, 0, 1], ["a", "b"])
    truths = one([True, False, True])
    assert (truths.kind, truths.ranks.tolist(), truths.values.tolist()) == ("categorical", [1, 0, 1], [False, True])
    assert numbers.raw is texts.raw is truths.raw is None


def test_missing_labels_have_rank_minus_one_and_are_never_filled():
    gaps = one([3.0, np.nan, 5.0, 3.0])  # whole numbers with a gap are read as fractions
    assert (gaps.kind, gaps.ranks.tolist(), gaps.values.tolist(), gaps.missing) == (
        "categorical",
        [0, -1, 1, 0],
        [3, 5],
        1,
    )
    assert gaps.values.dtype == np.int64
    texts = one(["no", None, "yes", ""])
    assert (texts.ranks.tolist(), texts.values.tolist()) == ([1, -1, 2, 0], ["", "no", "yes"])
    nothing = one([np.nan, np.nan])
    assert (nothing.ranks.tolist(), len(nothing.values)) == ([-1, -1], 0)
    assert len(one([np.nan, np.nan], kinds={"x": "continuous"}).values) == 0


def test_continuous_columns_are_binned_at_their_quantiles():
    column = one([0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 100.5], levels=4)
    # The quartiles lie between the pairs: 2.25, 4, 5.75 by linear interpolation.
    assert column.kind == "ordinal"
    assert column.edges == (2.25, 4.0, 5.75)
    assert column.ranks.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert column.values.tolist() == [1, 3, 5, 53.5]  # medians
    assert column.raw.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 100.5]


def test_a_bin_holds_its_lower_bound_and_repeats_make_fewer_bins():
    halves = one([1.0, 2.0, 3.0, 4.0, 5.5], kinds={"x": "continuous"}, levels=2)
    assert (halves.edges, halves.ranks.tolist()) == ((3.0,), [0, 0, 1, 1, 1])
    # The three cuts of 4 levels all fall on 0, below which there is nothing: one bin.
    zeros = one([0.0] * 9 + [0.5], kinds={"x": "continuous"}, levels=4)
    assert zeros.ranks.tolist() == [0] * 10
    # Cuts at 0, 0 and 1.5: the bin below 0 is empty and left out.
    mixed = one([0.0] * 6 + [1.5, 2.5, 3.5], kinds={"x": "continuous"}, levels=4)
    assert (mixed.edges, mixed.ranks.tolist()) == ((1.5,), [0] * 6 + [1, 1, 1])
    gaps = one([1.25, np.nan, 2.5], kinds={"x": "continuous"}, levels=2)
    assert gaps.ranks.tolist() == [0, -1, 1]
    assert np.isnan(gaps.raw[1])


def test_few_fractions_are_ordinal_levels_of_their_own():
    column = one([0.5, 1.0, 0.75, 0.5])
    assert (column.kind, column.ranks.tolist(), column.values.tolist()) == ("ordinal", [0, 2, 1, 0], [0.5, 0.75, 1.0])
    assert column.raw is None


def test_kinds_are_taken_where_given():
    assert one([1, 2, 3], kinds={"x": "circular"}).kind == "circular"
    assert one([0.1, 0.2, 0.3], kinds={"x": "categorical"}).kind == "categorical"
    ages = one(list(range(20, 60)), kinds={"x": "continuous"}, levels=4)
    assert np.bincount(ages.ranks).tolist() == [10, 10, 10, 10]


@pytest.mark.parametrize(
    ("values", "options", "match"),
    [
        ([1, 2], {"kinds": {"y": "ordinal"}}, "unknown label 'y'; known: x"),
        ([1, 2], {"kinds": {"x": "ordnal"}}, "unknown kind of label 'ordnal'; .*did you mean 'ordinal'"),
        ([1, 2], {"kinds": "ordinal"}, "kinds must map names of columns to kinds, got 'ordinal'"),
        (["a", "b"], {"kinds": {"x": "ordinal"}}, "label 'x' holds no numbers, so it can't be ordinal"),
        ([1.5, np.inf], {}, "label 'x' holds an infinite number"),
    ],
)
def test_refuses(values, options, match):
    with pytest.raises(VaelensError, match=match):
        one(values, **options)
