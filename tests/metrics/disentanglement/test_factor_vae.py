"""The FactorVAE score of codes whose score is known, against a slow one, and its laws."""

import dataclasses

import numpy as np
import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import factor_vae_score
from vaelens.metrics.disentanglement.held_factors import HeldFactors

FEW = {"n_train": 300, "n_test": 200, "batch_size": 24, "n_variance": 60}
SMALL = {**FEW, "batch_size": 5}  # too few images for entangled codes to be told apart each time
ENTANGLED = [[1, 0.9, 0], [0.6, -1, 0.2], [0, 0.7, 1], [0.5, 0.5, 0.5]]


def test_one_latent_for_each_factor_scores_one(pixels, read):
    result = factor_vae_score(read(np.diag([3.0, -1.0, 0.5])[[2, 0, 1]]), pixels(3, 4, 5), **FEW)
    assert result.score == float(result) == result.train_accuracy == 1
    assert np.count_nonzero(result.votes) == 3
    assert (result.votes > 0).tolist() == [[False, False, True], [True, False, False], [False, True, False]]
    assert result.votes.sum() == result.n_train == 300
    assert (result.n_test, result.batch_size, result.n_variance, result.n_encoded) == (200, 24, 60, 60)
    assert result.pruned_latents == result.constant_factors == ()


def test_two_latents_for_one_factor_are_forgiven(pixels, read):
    result = factor_vae_score(read(np.vstack([np.eye(3), 2 * np.eye(3)])), pixels(3, 4, 5), **FEW)
    assert result.score == result.train_accuracy == 1


def test_a_latent_that_tells_nothing_makes_the_score_a_guess(pixels, read):
    # The only latent has all votes, whichever factor is held: the commonest in training is taken for all.
    result = factor_vae_score(read([[1.0, 0, 0]]), pixels(3, 4, 5), **FEW)
    assert result.train_accuracy == result.votes.max() / 300
    assert result.score == pytest.approx(1 / 3, abs=5 * np.sqrt(2 / 9 / 200))


def test_a_rotation_by_half_a_right_angle_is_a_guess(pixels, read):
    # Sum and difference of two like factors: each is held half by either, and which varies less is chance.
    result = factor_vae_score(read([[1, 1], [1, -1]]), pixels(4, 4), **{**FEW, "n_train": 2000, "n_test": 1000})
    assert result.score == pytest.approx(0.5, abs=5 * np.sqrt(1 / 4 / 1000))


def test_dead_latents_are_pruned_and_have_no_votes(pixels, read):
    ds = pixels(3, 4, 5)
    # A pixel's standard deviation is about 0.4. The third factor is in the first latent alone, a tenth as large.
    lens = read([[0, 0, 0.1], [0, 0, 0], [1, 0, 0], [0, 1, 0]])
    result = factor_vae_score(lens, ds, **FEW)
    assert result.pruned_latents == (0, 1)
    assert result.votes[:2].sum() == 0
    assert 0.5 < result.score < 0.9  # the third factor is taken for another
    for threshold in (0.03, 0):  # a constant latent has no variance to compare with
        kept = factor_vae_score(lens, ds, threshold=threshold, **FEW)
        assert kept.pruned_latents == (1,)
        assert kept.votes[0, 2] == kept.votes[:, 2].sum() > 0
        assert kept.score == 1
    nothing = factor_vae_score(read(0.01 * np.eye(3)), ds, **FEW)
    assert (nothing.score, nothing.train_accuracy, nothing.pruned_latents) == (0, 0, (0, 1, 2))
    assert nothing.votes.sum() == 0


def test_a_factor_with_one_value_is_never_held(pixels, read):
    result = factor_vae_score(read(np.eye(3)), pixels(3, 1, 5), **FEW)
    assert result.constant_factors == (1,)
    assert result.votes[:, 1].sum() == 0
    assert result.pruned_latents == (1,)
    assert result.score == 1


def test_votes_and_accuracies_equal_slow_ones(pixels, read):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    result = factor_vae_score(lens, ds, seed=7, **SMALL)
    rng = np.random.default_rng(7)
    everything = rng.choice(60, size=60, replace=False)
    held, _, drawn = HeldFactors(ds).draw(500, 5, rng, paired=False)
    spread = torch.var(lens.representation(ds.images_at(everything)), dim=0)
    votes = np.zeros((2, 4, 3), dtype=int)
    for batch, (k, indices) in enumerate(zip(held, drawn, strict=True)):
        within = torch.var(lens.representation(ds.images_at(indices)), dim=0)
        votes[int(batch >= 300), int((within / spread).argmin()), k] += 1
    np.testing.assert_array_equal(result.votes, votes[0])
    meant = votes[0].argmax(axis=1)
    assert result.train_accuracy == sum(votes[0][j, meant[j]] for j in range(4)) / 300
    assert result.score == sum(votes[1][j, meant[j]] for j in range(4)) / 200
    assert 0.4 < result.score < 0.95


def test_the_score_is_that_of_images_rendered_batch_by_batch(pixels, read):
    # Drawn as the papers have it: random factor values, one column of them set to one value.
    ds, lens, rng = pixels(3, 4, 5), read(ENTANGLED), np.random.default_rng(0)
    votes = np.zeros((4, 3), dtype=int)
    spread = lens.representation(ds.images_at(np.arange(60))).var(dim=0)
    for _ in range(1000):
        k = rng.integers(3)
        values = rng.integers(0, [3, 4, 5], size=(5, 3))
        values[:, k] = values[0, k]
        votes[int((lens.representation(ds.images(values)).var(dim=0) / spread).argmin()), k] += 1
    result = factor_vae_score(lens, ds, **{**SMALL, "n_train": 2000, "n_test": 2000})
    np.testing.assert_allclose(result.votes / 2000, votes / 1000, atol=0.06)
    assert result.score == pytest.approx(votes.max(axis=1).sum() / 1000, abs=0.06)


def test_permuting_flipping_and_scaling_latents_change_nothing(pixels, read):
    ds, matrix = pixels(3, 4, 5), np.array(ENTANGLED)
    result = factor_vae_score(read(matrix), ds, **SMALL)
    moved = factor_vae_score(read((matrix * [[-1], [2], [-4], [1]])[[2, 0, 3, 1]]), ds, **SMALL)
    np.testing.assert_array_equal(moved.votes, result.votes[[2, 0, 3, 1]])
    assert (moved.score, moved.train_accuracy) == (result.score, result.train_accuracy)


def test_the_seed_decides_and_nothing_else_is_drawn_from(pixels, read):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    state = torch.get_rng_state()
    first, again, reseeded = (factor_vae_score(lens, ds, seed=seed, **SMALL) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.votes, again.votes)
    assert (first.votes != reseeded.votes).any()
    assert torch.equal(state, torch.get_rng_state())


def test_chunks_do_not_show(pixels, read, monkeypatch):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    whole = factor_vae_score(lens, ds, **SMALL)
    monkeypatch.setattr("vaelens.metrics.disentanglement.factor_vae._CODES_AT_ONCE", 5 * 4 * 7)
    monkeypatch.setattr("vaelens.metrics.disentanglement.held_factors._IMAGES_AT_ONCE", 11)
    np.testing.assert_array_equal(factor_vae_score(lens, ds, **SMALL).votes, whole.votes)


def test_wrong_options_are_refused(pixels, read):
    for threshold in (-1, np.nan, "low"):
        with pytest.raises(VaelensError, match=r"threshold is .*; expected a standard deviation, 0 or more"):
            factor_vae_score(read(np.eye(2)), pixels(3, 4), threshold=threshold)
    for name in ("batch_size", "n_variance"):
        with pytest.raises(VaelensError, match=f"{name} is 1; expected a whole number of at least 2"):
            factor_vae_score(read(np.eye(2)), pixels(3, 4), **{name: 1})


def test_the_result_is_frozen(pixels, read):
    result = factor_vae_score(read(np.eye(2)), pixels(3, 4), **SMALL)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        result.score = 1.0
