import numpy as np
import pytest

from vaelens.data.factors import Factor, Factors
from vaelens.data.labels.table import LabelTable
from vaelens.errors import VaelensError


def test_labels_beyond_one_byte_are_told_apart():
    table = LabelTable(np.array([[0], [256], [300]]))
    assert table.find(np.array([[256], [0], [44]]), np.random.default_rng(0)).tolist() == [1, 0, -1]


def test_more_columns_than_a_byte_counts():
    values = np.zeros((3, 300), dtype=int)
    values[1, 0] = values[2, 0] = 1
    values[2, 1] = 1
    partners, distances = LabelTable(values).partners(np.array([0, 2]), 0, np.random.default_rng(0))
    assert partners.tolist() == [1, 0]
    assert distances.tolist() == [0, 1]
    opposite = np.stack([np.zeros(300, dtype=int), np.ones(300, dtype=int)])
    assert LabelTable(opposite).partners(np.array([0]), 7, np.random.default_rng(0))[1].tolist() == [299]


def test_no_rows_asked_for():
    table = LabelTable(np.array([[0, 1], [1, 0]]))
    assert table.find(np.zeros((0, 2), dtype=int), np.random.default_rng(0)).shape == (0,)


def test_no_partner_where_all_images_have_one_value():
    with pytest.raises(VaelensError, match="all 3 images have the value 2 of factor number 0"):
        LabelTable(np.array([[2], [2], [2]])).partners(np.array([0]), 0, np.random.default_rng(0))


def nearest(values, factors, row, factor):
    """All partners of a row that are ever chosen, and their distance."""
    partners, distances = LabelTable(np.array(values), factors).partners(
        np.full(200, row), factor, np.random.default_rng(0)
    )
    assert len(set(distances)) == 1
    return sorted(set(partners.tolist())), float(distances[0])


def test_nearest_by_rank_in_an_ordinal_factor():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 10)))
    assert nearest([[0, 5], [1, 0], [1, 3], [1, 7], [1, 9]], factors, 0, 0) == ([2, 3], 2 / 9)
    assert nearest([[0, 5], [1, 4], [1, 5]], factors, 0, 0) == ([2], 0)


def test_nearest_round_the_circle():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 10, "circular")))
    # From 0: 9 is one step away, 2 two steps.
    assert nearest([[0, 0], [1, 9], [1, 2], [1, 5]], factors, 0, 0) == ([1], 1 / 5)
    ordinal = Factors((Factor("a", 2, "categorical"), Factor("b", 10)))
    assert nearest([[0, 0], [1, 9], [1, 2], [1, 5]], ordinal, 0, 0) == ([2], 2 / 9)


def test_categorical_labels_are_equal_or_not():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 10, "categorical")))
    assert nearest([[0, 0], [1, 9], [1, 2], [1, 5]], factors, 0, 0) == ([1, 2, 3], 1)


def test_less_distance_goes_before_more_agreement():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 10), Factor("c", 10)))
    # Row 1 agrees on c and is 9/9 away in b; row 2 agrees on neither and is 1/9 + 1/9 away.
    assert nearest([[0, 0, 0], [1, 9, 0], [1, 1, 1]], factors, 0, 0) == ([2], 2 / 9)


def test_distances_of_several_factors_add_up():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 5), Factor("c", 8, "circular")))
    # 2/4 + 1/4 = 0.75; 1/4 + 2/4 = 0.75; 1/4 + 3/4 = 1; 4/4 + 1/4 (7 is one step from 0) = 1.25
    assert nearest([[0, 0, 0], [1, 2, 1], [1, 1, 2], [1, 1, 3], [1, 4, 7]], factors, 0, 0) == ([1, 2], 0.75)


def test_missing_labels_agree_with_nothing_and_are_far():
    factors = Factors((Factor("a", 2, "categorical"), Factor("b", 3)))
    assert nearest([[0, 0], [1, -1], [1, 1], [-1, 0]], factors, 0, 0) == ([2], 0.5)
    assert nearest([[0, -1], [1, -1], [1, 2]], factors, 0, 0) == ([1, 2], 1)
    table = LabelTable(np.array([[0, 200], [1, -1], [-1, 1]]))
    assert table.known().tolist() == [0]
    assert table.known(0).tolist() == [0, 1]
    assert table.known(1).tolist() == [0, 2]
    assert table.find(np.array([[0, 200]]), np.random.default_rng(0)).tolist() == [0]


def test_nearest_partners_agree_with_a_search_by_loops():
    rng = np.random.default_rng(1)
    factors = Factors((Factor("a", 3), Factor("b", 4, "circular"), Factor("c", 5), Factor("d", 2, "categorical")))
    values = rng.integers(0, [3, 4, 5, 2], size=(60, 4))

    def apart(i, j, k):
        if k == 1:
            steps = abs(values[i, k] - values[j, k])
            return min(steps, 4 - steps) / 2
        return abs(values[i, k] - values[j, k]) / [2, 0, 4, 1][k]

    table = LabelTable(values, factors)
    for factor in range(4):
        rows = rng.integers(60, size=40)
        columns = [k for k in range(4) if k != factor]
        for differs, (first, partners, distances) in (
            (True, (rows, *table.partners(rows, factor, rng))),
            (False, table.controls(rows, factor, rng)),
        ):
            assert (first == rows).all()
            for i, j, distance in zip(first, partners, distances, strict=True):
                away = {
                    row: sum(apart(i, row, k) for k in columns)
                    for row in range(60)
                    if row != i and (values[row, factor] != values[i, factor]) == differs
                }
                assert away[j] == pytest.approx(min(away.values())) == distance


def test_controls_have_the_value_and_are_other_images():
    factors = Factors((Factor("a", 3, "categorical"), Factor("b", 10)))
    table = LabelTable(np.array([[0, 5], [0, 9], [1, 5], [0, 4], [2, 5], [1, -1]]), factors)
    first, partners, distances = table.controls(np.array([0, 0, 1, 2]), 0, np.random.default_rng(0))
    assert first.tolist() == [0, 0, 1, 2]
    assert partners.tolist() == [3, 3, 0, 5]
    assert distances.tolist() == [1 / 9, 1 / 9, 4 / 9, 1]
    # Row 4 alone has the value 2: images with a companion take its place, uniformly.
    first, partners, _ = table.controls(np.full(500, 4), 0, np.random.default_rng(0))
    assert set(first) == {0, 1, 2, 3, 5}
    assert (first != partners).all()
    with pytest.raises(VaelensError, match="no two images have the same value of factor number 0; it has no control"):
        LabelTable(np.array([[0], [1], [-1], [-1]])).controls(np.array([0]), 0, np.random.default_rng(0))
