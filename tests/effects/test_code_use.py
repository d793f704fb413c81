import numpy as np
import pytest
import torch

from vaelens.effects.code_use import code_use


def test_codes_are_counted_by_position():
    use = code_use(torch.tensor([[[0, 5], [2, 2]], [[0, 1], [2, 3]], [[0, 1], [2, 4]], [[0, 1], [3, 5]]]), codes=7)
    assert use.counts.tolist() == [4, 3, 4, 2, 1, 2, 0]
    assert use.codes_used == 6
    assert use.used.tolist() == [1, 2, 2, 4]
    two = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    np.testing.assert_allclose(use.entropy, [0, two, two, np.log(4)], rtol=1e-12)


def test_perplexity_is_the_number_of_codes_used_evenly():
    assert code_use(torch.arange(8).reshape(2, 4), codes=100).perplexity == pytest.approx(8)
    alone = code_use(torch.full((3, 4), 2), codes=5)
    assert (alone.perplexity, alone.codes_used) == (1.0, 1)
    assert alone.entropy.tolist() == [0.0] * 4
    assert not np.signbit(alone.entropy).any()


def test_a_latent_without_positions_has_one():
    use = code_use(torch.tensor([0, 1, 1]), codes=2)
    assert use.used.tolist() == [2]
