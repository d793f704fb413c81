"""Which columns are factors, and in which order their classes stand."""

import unicodedata

import numpy as np
import pandas as pd
import pytest

from vaelens.data import ArrayDataset
from vaelens.errors import VaelensWarning

IMAGES = np.arange(8, dtype=np.uint8).repeat(30 * 16).reshape(8, 1, 20, 24) * 30


def levels(ds):
    return {name: values.tolist() for name, values in ds.original_values.items()}


def test_columns_whose_values_all_differ_are_no_factors_unless_their_kind_is_given():
    images = np.random.default_rng(0).random((30, 1, 2, 2))
    table = pd.DataFrame({"key": [f"k{k}" for k in range(30)], "grams": np.arange(30) * 7, "n": [1, 2] * 15})
    with pytest.warns(VaelensWarning) as warned:
        ds = ArrayDataset(images, table)
    assert ds.left_out == ("key", "grams")
    assert [("kinds={'grams': 'continuous'}" in str(w.message), "leave_out" in str(w.message)) for w in warned] == [
        (False, True),
        (True, True),
    ]
    ds = ArrayDataset(images, table, kinds={"grams": "continuous"}, leave_out=["key"], levels=3)
    assert (ds.factors.names, ds.factors.sizes, ds.left_out) == (("grams", "n"), (3, 2), ("key",))
    assert "left out: key (as asked)" in str(ds)
    with pytest.warns(VaelensWarning, match="column 'factor_0' is no factor"):
        assert len(ArrayDataset(images, np.arange(30)).factors) == 0
    few = ArrayDataset(images[:20], np.arange(20))
    assert few.factors.sizes == (20,)


def test_captions_are_no_labels():
    captions = pd.DataFrame({"caption": ["x" * 5000, "y", "y"]})
    with pytest.warns(VaelensWarning, match="column 'caption' .* it has texts of more than 1,000 characters"):
        assert ArrayDataset(IMAGES[:3], captions).left_out == ("caption",)


def test_ordered_categories_keep_their_order():
    sizes = pd.Categorical(["small", "large", None, "medium"], ["small", "medium", "large", "huge"], ordered=True)
    bins = pd.cut([1, 5, 9, 5], [0, 3, 7, 10])
    numbers = pd.Categorical([10, 9, 10, 9])
    ds = ArrayDataset(IMAGES[:4], pd.DataFrame({"size": sizes, "bin": bins, "n": numbers}))
    assert ds.factors.kinds == ("ordinal", "ordinal", "categorical")
    assert [f.tolist() for _, f in ds] == [[0, 0, 1], [2, 1, 0], [-1, 2, 1], [1, 1, 0]]
    assert levels(ds) == {"size": ["small", "medium", "large"], "bin": ["(0, 3]", "(3, 7]", "(7, 10]"], "n": [9, 10]}
    assert ArrayDataset(IMAGES[:4], pd.DataFrame({"size": sizes}), kinds={"size": "circular"}).factors.kinds == (
        "circular",
    )


def test_classes_that_look_alike_are_told_of():
    with pytest.warns(
        VaelensWarning, match="column 'n' has the classes 'Cat' and 'cat', which differ in capitals or bl"
    ):
        ArrayDataset(IMAGES[:3], pd.DataFrame({"n": ["cat", "Cat", "dog"]}))
    with pytest.warns(
        VaelensWarning, match=r"column 'n' holds values of several types \(int, str\), each of which is ta"
    ):
        ArrayDataset(IMAGES[:3], pd.DataFrame({"n": ["1", 2, 2]}))
    composed = pd.DataFrame({"n": [unicodedata.normalize(form, "é") for form in ("NFC", "NFD", "NFC")] + ["e"]})
    assert levels(ArrayDataset(IMAGES[:4], composed)) == {"n": ["e", "é"]}
    letters = pd.DataFrame({"n": list("aAbB")})
    assert ArrayDataset(IMAGES[:4], letters).factors.sizes == (4,)
