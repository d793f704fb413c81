import numpy as np

from vaelens.data.labels.grid import LabelGrid
from vaelens.data.labels.table import LabelTable


def shuffled():
    values = np.array([[a, b, c] for a in range(3) for b in range(2) for c in range(4)])
    return np.random.default_rng(0).permutation(values)


def test_finds_the_row_of_every_combination():
    values = shuffled()
    grid = LabelGrid.of(values, (3, 2, 4))
    assert grid.find(values, np.random.default_rng(0)).tolist() == list(range(24))


def test_agrees_with_a_table_on_who_may_be_a_partner():
    values, sizes = shuffled(), (3, 2, 4)
    grid, table = LabelGrid.of(values, sizes), LabelTable(values)
    for factor in range(3):
        rows = np.repeat(np.arange(24), 60)
        drawn = [finder.partners(rows, factor, np.random.default_rng(1)) for finder in (grid, table)]
        pairs = [set(zip(rows.tolist(), partners.tolist(), strict=True)) for partners, _ in drawn]
        assert pairs[0] == pairs[1]
        assert len(pairs[0]) == 24 * (sizes[factor] - 1)
        assert all((distances == 0).all() for _, distances in drawn)
        assert grid.controls(rows, factor, np.random.default_rng(1))[1] is rows


def test_gaps_repeats_and_no_factors_are_no_grid():
    values = shuffled()
    assert LabelGrid.of(values[1:], (3, 2, 4)) is None
    assert LabelGrid.of(np.concatenate([values[1:], values[1:2]]), (3, 2, 4)) is None
    assert LabelGrid.of(np.where(values == 2, -1, values), (3, 2, 4)) is None
    assert LabelGrid.of(np.zeros((1, 0), int), ()) is None
