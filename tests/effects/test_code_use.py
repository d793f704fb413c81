import numpy as np
import pytest
import torch

from vaelens.effects.code_use import code_use, codes_used_high, perplexity_interval


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


def test_codes_that_are_yet_to_be_seen_are_estimated_from_the_rare_ones():
    # 10 images of two positions: code 0 in all of them, codes 1 to 4 in one each, code 5 in two
    second = torch.tensor([1, 2, 3, 4, 5, 5, 0, 0, 0, 0])
    indices = torch.stack([torch.zeros(10, dtype=torch.int64), second], dim=1)
    # Q₁ = 4, Q₂ = 1: 0.9 · 4 · 3 / (2 · 2) = 2.7 more
    variance = 2.7 + 0.9**2 * (4 * 7**2 / (4 * 2**2) + 4**2 * 1 * 3**2 / (4 * 2**4))
    expected = 6 + 2.7 * np.exp(1.959964 * np.sqrt(np.log(1 + variance / 2.7**2)))
    assert codes_used_high(indices, codes=100) == np.ceil(expected)
    assert codes_used_high(indices, codes=10) == 10  # there are no more
    assert np.isnan(codes_used_high(indices[:1], codes=10))


def test_codes_that_all_are_seen_often_leave_nothing_to_be_seen():
    assert codes_used_high(torch.arange(3).repeat(5, 2), codes=9) == 3


def test_the_upper_end_is_above_the_number_in_use():
    rng = np.random.default_rng(0)
    held = [codes_used_high(torch.from_numpy(rng.integers(0, 40, size=(30, 2))), codes=512) >= 40 for _ in range(300)]
    assert np.mean(held) > 0.93


def test_the_interval_of_the_perplexity_covers_it():
    rng = np.random.default_rng(0)
    p = np.arange(1, 9) / 36
    true = np.exp(-(p * np.log(p)).sum())
    covered = 0
    for seed in range(200):
        indices = torch.from_numpy(rng.choice(8, size=(200, 4), p=p))
        low, high = perplexity_interval(indices, code_use(indices, 8), seed)
        covered += low <= true <= high
    assert covered > 0.9 * 200
    alone = torch.full((5, 4), 2)
    assert perplexity_interval(alone, code_use(alone, 8), 0) == (1.0, 1.0)
    assert np.isnan(perplexity_interval(alone[:1], code_use(alone[:1], 8), 0)).all()
