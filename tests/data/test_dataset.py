import numpy as np
import pytest
import torch

from vaelens.data import Factor, FactorDataset, Factors
from vaelens.errors import VaelensError
from vaelens.observation import Observation


class Declared(FactorDataset):
    """The least a dataset declares: four one-pixel images, image i with factor values (i // 2, 0)."""

    name = "declared"
    factors = Factors((Factor("half", 2), Factor("constant", 1)))
    observation = Observation.image((1, 1, 1))

    def __len__(self):
        return 4

    def image_batch(self, indices):
        return (indices / 4).reshape(-1, 1, 1, 1)

    def factor_values(self, indices):
        return np.stack([indices // 2, 0 * indices], axis=1)


def test_the_rest_follows_from_what_is_declared():
    ds = Declared()
    assert ds.images_at([3, 1]).flatten().tolist() == [0.75, 0.25]
    assert ds[-1][1].tolist() == [1, 0]
    assert set(ds.images([[1, 0]] * 50).flatten().tolist()) == {0.5, 0.75}
    pairs = ds.pairs("half", 50)
    assert pairs.matched.all()
    assert ((pairs.x < 0.5) == (pairs.x2 >= 0.5)).all()


def test_sampling_everything_is_a_permutation():
    x, _ = Declared().sample(4, seed=0)
    assert sorted(x.flatten().tolist()) == [0, 0.25, 0.5, 0.75]


def test_sampling_is_uniform():
    drawn = torch.cat([Declared().sample(1, seed=seed)[0].flatten() for seed in range(400)])
    assert torch.bincount((4 * drawn).long()).min() > 70  # 100 expected of each


def test_pairs_need_a_second_value():
    with pytest.raises(VaelensError, match="factor 'constant' of declared has a single value, so no pair can differ"):
        Declared().pairs("constant", 3)
