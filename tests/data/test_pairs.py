import numpy as np
import pytest

from vaelens.data import ArrayDataset, FactorDataset, Sprites

COUNT = 1000


class RandomSprites(FactorDataset):
    """Sprites with random factor values: no full grid, so that hardly any pair agrees on all other factors."""

    name = "random-sprites"
    factors = Sprites.factors
    observation = Sprites.observation

    def __init__(self):
        self._values = np.random.default_rng(7).integers(0, Sprites.factors.sizes, size=(COUNT, 5))

    def __len__(self):
        return COUNT

    def image_batch(self, indices):
        return Sprites().render(self._values[indices])

    def factor_values(self, indices):
        return self._values[indices]


def distances(values, row, factor):
    """How far all images are from one in the other factors, by the definition."""
    total = np.zeros(len(values))
    for k, (size, kind) in enumerate(zip(Sprites.factors.sizes, Sprites.factors.kinds, strict=True)):
        apart = np.abs(values[:, k] - values[row, k])
        if k == factor:
            continue
        if kind == "ordinal":
            total += apart / (size - 1)
        elif kind == "circular":
            total += np.minimum(apart, size - apart) / (size // 2)
        else:
            total += apart > 0
    return total


@pytest.mark.parametrize("factor", Sprites.factors.names)
def test_pairs_of_random_sprites_are_as_near_as_can_be_and_nearer_than_by_counting_matches(factor):
    ds, k, n = RandomSprites(), Sprites.factors.index(factor), 60
    values = ds.factor_values(np.arange(COUNT))
    drawn, controls = ds.pair_draw(factor, n, seed=3), ds.control_draw(factor, n, seed=3)
    assert (drawn.first == controls.first).all()
    by_count = []
    for i, j, far, c, control_far in zip(
        drawn.first, drawn.second, drawn.distance, controls.second, controls.distance, strict=True
    ):
        away, differs = distances(values, i, k), values[:, k] != values[i, k]
        assert far == pytest.approx(away[differs].min(), abs=1e-6) == away[j]
        assert differs[j]
        alike = ~differs & (np.arange(COUNT) != i)
        assert control_far == pytest.approx(away[alike].min(), abs=1e-6) == away[c]
        assert alike[c]
        agreed = (values == values[i]).sum(axis=1) - ~differs
        by_count.append(away[differs & (agreed == agreed[differs].max())].min())
    assert drawn.distance.mean() < 0.75 * np.mean(by_count)
    for again, same in ((ds.pair_draw(factor, n, seed=3), True), (ds.pair_draw(factor, n, seed=4), False)):
        assert bool((again.second == drawn.second).all()) == same


def test_controls_of_thousands_go_on_in_parts():
    ds = ArrayDataset(np.random.default_rng(0).random((40, 1, 2, 2)), np.arange(40)[:, None] % 4)
    drawn, controls = (choose("factor_0", 5000, seed=1) for choose in (ds.pair_draw, ds.control_draw))
    assert (drawn.first == controls.first).all()
    assert (controls.first % 4 == controls.second % 4).all()
    assert (controls.first != controls.second).all()
    partners = np.bincount(controls.second[controls.first == 0], minlength=40)
    assert np.flatnonzero(partners).tolist() == list(range(4, 40, 4)), (
        "uniform among the nine others, all at distance 0"
    )
    assert partners[4::4].min() > 5  # 125 / 9 expected of each
