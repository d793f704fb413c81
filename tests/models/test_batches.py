import numpy as np
import pytest
import torch

from vaelens.models.batches import Batches, TensorImages
from vaelens.observation import Observation

SHAPE = (1, 8, 8)
NUMBERED = (torch.arange(20) / 20).reshape(-1, 1, 1, 1).expand(20, *SHAPE)


def rows(batch):
    return (batch.images[:, 0, 0, 0] * 20).round().int().tolist()


def test_a_batch_depends_on_seed_and_step_alone():
    source = TensorImages(NUMBERED)
    whole = list(Batches(source, Observation.image(SHAPE), 8, seed=2, start=0, stop=6))
    rest = list(Batches(source, Observation.image(SHAPE), 8, seed=2, start=4, stop=6))
    other = list(Batches(source, Observation.image(SHAPE), 8, seed=3, start=0, stop=6))
    for one, again in zip(whole[4:], rest, strict=True):
        assert (one.step, one.noise_seed, rows(one)) == (again.step, again.noise_seed, rows(again))
    assert len({tuple(rows(batch)) for batch in whole + other}) == 12
    assert len({batch.noise_seed for batch in whole + other}) == 12


@pytest.mark.parametrize("size", [1, 8, 19, 20])
def test_the_images_of_a_batch_differ_and_are_drawn_uniformly(size):
    counts = np.zeros(20)
    for batch in Batches(TensorImages(NUMBERED), Observation.image(SHAPE), size, seed=0, start=0, stop=400):
        assert len(set(rows(batch))) == size
        counts[rows(batch)] += 1
    expected = 400 * size / 20
    assert abs(counts - expected).max() < 5 * np.sqrt(expected)


def test_a_batch_larger_than_the_data_repeats_images():
    batch = Batches(TensorImages(NUMBERED[:3]), Observation.image(SHAPE), 64, seed=0, start=0, stop=1).at(0)
    assert set(rows(batch)) == {0, 1, 2}
