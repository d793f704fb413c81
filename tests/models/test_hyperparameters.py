import math

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.models.hyperparameters import Choice, Number, Whole

NUMBER = Number("beta", "a weight", 4.0, 0.5, 1000.0)
WHOLE = Whole("codes", "how many", 512, 2, 65_536)
CHOICE = Choice("sampling", "how", "weighted", ("weighted", "stratified"))


@pytest.mark.parametrize("value", [0.5, 1, 1000, np.float32(2.5), np.float64(3), np.int64(7), 999.999])
def test_a_number_in_range_is_a_float(value):
    found = NUMBER.check(value)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.49, r"0\.49"),
        (1000.0001, r"1000\.0001"),
        (-1, "-1"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (np.float64(-2.5), r"-2\.5"),
        (10**400, "10*"),
        (2000.0, r"2000\.0"),
        ("4", "'4'"),
        (None, "None"),
        (True, "True"),
        (np.True_, "np.True_"),
        (1j, "1j"),
        ([4.0], r"\[4\.0\]"),
    ],
)
def test_other_numbers_are_refused_with_the_range(value, shown):
    with pytest.raises(VaelensError, match=f"^beta is {shown}; expected a number from 0.5 to 1000$"):
        NUMBER.check(value)


@pytest.mark.parametrize("value", [2, 65_536, np.int64(512), np.uint8(9)])
def test_a_whole_number_in_range_is_an_int(value):
    found = WHOLE.check(value)
    assert type(found) is int
    assert found == value


@pytest.mark.parametrize("value", [1, 65_537, 2.0, 2.5, "8", None, True, False, np.float64(4), np.array(4.5), math.nan])
def test_other_whole_numbers_are_refused_with_the_range(value):
    with pytest.raises(VaelensError, match=r"^codes is .*; expected a whole number from 2 to 65536$"):
        WHOLE.check(value)


def test_a_choice_is_one_of_its_words():
    assert CHOICE.check("stratified") == "stratified"
    assert CHOICE.range == "weighted or stratified"
    with pytest.raises(
        VaelensError, match=r"unknown sampling 'stratifed'; known: weighted, stratified; did you mean 's"
    ):
        CHOICE.check("stratifed")
    for value in (None, 0, True, ["weighted"]):
        with pytest.raises(VaelensError, match=r"unknown sampling .*; known: weighted, stratified"):
            CHOICE.check(value)
