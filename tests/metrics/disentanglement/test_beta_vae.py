"""The beta-VAE score of codes whose score is known, against a slow one, and its laws."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from vaelens.errors import VaelensError
from vaelens.metrics.disentanglement import beta_vae_score
from vaelens.metrics.disentanglement.held_factors import HeldFactors

FEW = {"n_train": 300, "n_test": 200, "batch_size": 24}
ENTANGLED = [[1, 0.9, 0], [0.6, -1, 0.2], [0, 0.7, 1], [0.5, 0.5, 0.5]]


def test_one_latent_for_each_factor_scores_one(pixels, read):
    result = beta_vae_score(read(4 * np.eye(3)[[2, 0, 1]]), pixels(3, 4, 5), **FEW)
    assert result.score == float(result) == result.train_accuracy == 1
    assert (result.n_train, result.n_test, result.batch_size, result.n_encoded) == (300, 200, 24, 60)
    assert result.constant_latents == result.constant_factors == ()


def test_a_factor_told_by_no_latent_is_told_by_the_others(pixels, read):
    # Two of three factors have a latent; where neither stands still, it was the third.
    result = beta_vae_score(read(4 * np.eye(3)[:2]), pixels(3, 4, 5), **FEW)
    assert result.score == 1


def test_constant_latents_are_a_guess_and_listed(pixels, read):
    result = beta_vae_score(read(np.zeros((2, 3))), pixels(3, 4, 5), **FEW)
    assert result.constant_latents == (0, 1)
    assert result.score == pytest.approx(1 / 3, abs=5 * np.sqrt(2 / 9 / 200))
    result = beta_vae_score(read([[4.0, 0, 0], [0, 0, 0], [0, 4, 0], [0, 0, 4]]), pixels(3, 4, 5), **FEW)
    assert (result.constant_latents, result.score) == ((1,), 1)


def test_rotations_are_told_unless_they_are_symmetric(pixels, read):
    turn = np.deg2rad(30)
    oblique = 4 * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    assert beta_vae_score(read(oblique), pixels(5, 5), **FEW).score > 0.95
    # Sum and difference of two like factors differ alike whichever of them is shared.
    options = {**FEW, "n_train": 2000, "n_test": 1000}
    symmetric = beta_vae_score(read([[4, 4], [4, -4]]), pixels(5, 5), **options)
    assert symmetric.score == pytest.approx(0.5, abs=5 * np.sqrt(1 / 4 / 1000))


def test_a_factor_with_one_value_is_never_drawn(pixels, read):
    result = beta_vae_score(read(4 * np.eye(3)), pixels(3, 1, 5), **FEW)
    assert (result.constant_factors, result.constant_latents) == ((1,), (1,))
    assert result.score == 1


def test_accuracies_equal_slow_ones(pixels, read):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    result = beta_vae_score(lens, ds, seed=7, **FEW)
    held, first, second = HeldFactors(ds).draw(500, 24, np.random.default_rng(7), paired=True)
    differences = [
        (lens.representation(ds.images_at(a)) - lens.representation(ds.images_at(b))).abs().mean(dim=0).numpy()
        for a, b in zip(first, second, strict=True)
    ]
    model = LogisticRegression(max_iter=1000).fit(differences[:300], held[:300])
    assert result.train_accuracy == pytest.approx(model.score(differences[:300], held[:300]), abs=1e-12)
    assert result.score == pytest.approx(model.score(differences[300:], held[300:]), abs=1e-12)
    assert 0.4 < result.score < 0.99


def test_the_score_is_that_of_images_rendered_batch_by_batch(pixels, read):
    # Drawn as the papers have it: two arrays of random factor values, one column of them made alike.
    ds, lens, rng = pixels(3, 4, 5), read(ENTANGLED), np.random.default_rng(0)
    held, differences = [], []
    for _ in range(1000):
        k = rng.integers(3)
        values, other_factors = rng.integers(0, [3, 4, 5], size=(2, 24, 3))
        other_factors[:, k] = values[:, k]
        held.append(k)
        z, z2 = lens.representation(ds.images(values)), lens.representation(ds.images(other_factors))
        differences.append((z - z2).abs().mean(dim=0).numpy())
    expected = LogisticRegression(max_iter=1000).fit(differences[:500], held[:500]).score(differences, held)
    result = beta_vae_score(lens, ds, **{**FEW, "n_train": 500, "n_test": 2000})
    assert result.score == pytest.approx(expected, abs=0.06)


def test_permuting_and_flipping_latents_change_nothing(pixels, read):
    ds, matrix = pixels(3, 4, 5), np.array(ENTANGLED)
    result = beta_vae_score(read(matrix), ds, **FEW)
    moved = beta_vae_score(read((matrix * [[-1], [1], [-1], [1]])[[2, 0, 3, 1]]), ds, **FEW)
    assert (moved.score, moved.train_accuracy) == (result.score, result.train_accuracy)


def test_the_seed_decides_and_nothing_else_is_drawn_from(pixels, read):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    state = torch.get_rng_state()
    first, again, reseeded = (beta_vae_score(lens, ds, seed=seed, **FEW) for seed in (0, 0, 1))
    assert first == again
    assert (first.score, first.train_accuracy) != (reseeded.score, reseeded.train_accuracy)
    assert torch.equal(state, torch.get_rng_state())


def test_chunks_do_not_show(pixels, read, monkeypatch):
    ds, lens = pixels(3, 4, 5), read(ENTANGLED)
    whole = beta_vae_score(lens, ds, **FEW)
    monkeypatch.setattr("vaelens.metrics.disentanglement.beta_vae._CODES_AT_ONCE", 24 * 4 * 7)
    monkeypatch.setattr("vaelens.metrics.disentanglement.held_factors._IMAGES_AT_ONCE", 11)
    assert beta_vae_score(lens, ds, **FEW) == whole


def test_training_batches_of_a_single_factor_are_refused(pixels, read):
    ds, lens = pixels(3, 4), read(np.eye(2))
    outcomes = []
    for seed in range(20):
        held = HeldFactors(ds).draw(3, 2, np.random.default_rng(seed), paired=True)[0]
        outcomes.append(held[0] == held[1])
        if outcomes[-1]:
            with pytest.raises(VaelensError, match="n_train is 2, and all training batches drew the same factor"):
                beta_vae_score(lens, ds, seed=seed, n_train=2, n_test=1, batch_size=2)
        else:
            beta_vae_score(lens, ds, seed=seed, n_train=2, n_test=1, batch_size=2)
    assert len(set(outcomes)) == 2


def test_the_result_is_frozen(pixels, read):
    result = beta_vae_score(read(np.eye(2)), pixels(3, 4), **FEW)
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign"):
        result.score = 1.0
