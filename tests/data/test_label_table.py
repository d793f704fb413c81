import numpy as np
import pytest

from vaelens.data.label_table import LabelTable
from vaelens.errors import VaelensError


def test_labels_beyond_one_byte_are_told_apart():
    table = LabelTable(np.array([[0], [256], [300]]))
    assert table.find(np.array([[256], [0], [44]]), np.random.default_rng(0)).tolist() == [1, 0, -1]


def test_more_columns_than_a_byte_counts():
    values = np.zeros((3, 300), dtype=int)
    values[1, 0] = values[2, 0] = 1
    values[2, 1] = 1
    partners, matched = LabelTable(values).partners(np.array([0, 2]), 0, np.random.default_rng(0))
    assert partners.tolist() == [1, 0]
    assert matched.tolist() == [True, False]


def test_no_rows_asked_for():
    table = LabelTable(np.array([[0, 1], [1, 0]]))
    assert table.find(np.zeros((0, 2), dtype=int), np.random.default_rng(0)).shape == (0,)


def test_no_partner_where_all_images_have_one_value():
    with pytest.raises(VaelensError, match="all 3 images have the value 2 of factor number 0"):
        LabelTable(np.array([[2], [2], [2]])).partners(np.array([0]), 0, np.random.default_rng(0))
