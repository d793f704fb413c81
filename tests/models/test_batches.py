import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models.batches import Batches, TensorImages, check_held_out, held_out_rows
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


def test_images_held_out_are_in_no_batch_and_are_the_same_for_every_seed():
    held = held_out_rows(len(NUMBERED), 5)
    assert len(set(held.tolist())) == 5
    for seed in (0, 1):
        batches = Batches(TensorImages(NUMBERED), Observation.image(SHAPE), 8, seed, 0, 200, held_out=5)
        seen = torch.cat([batch.images for batch in batches]).unique(dim=0)
        in_a_batch = {k for k in range(len(NUMBERED)) if (seen == NUMBERED[k]).flatten(1).all(dim=1).any()}
        assert in_a_batch == set(range(len(NUMBERED))) - set(held.tolist())
    assert set(held_out_rows(len(NUMBERED), 3)) < set(held)


@pytest.mark.parametrize("held_out", [-1, 2.5, len(NUMBERED)])
def test_held_out_is_a_number_that_leaves_images(held_out):
    with pytest.raises(VaelensError, match="held_out is"):
        check_held_out(held_out, len(NUMBERED))
