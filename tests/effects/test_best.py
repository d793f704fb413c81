"""Best-of sets of every level, against best sets of the same values by hand, and where latents tie or win."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.best import best
from vaelens.statistics import BootstrapMean, best_set


def resampled(values, seed=0):
    """Mean and resamples of values, (n, …), with the weights of a sweep."""
    total = BootstrapMean(values.shape[1:], seed=seed)
    total.update(values)
    return total.mean, total.replicates


def linear_effects(model, v):
    """‖D(z) − D(z̃)‖ of each image and latent, mean over values v, by hand, (n, d)."""
    moves = np.abs(np.asarray(v)[:, None, None] - model.z).mean(axis=0)
    return moves * np.linalg.norm(model.w, axis=0)


# The set itself


def test_the_set_is_that_of_all_candidates_at_once():
    rng = np.random.default_rng(0)
    mean, replicates = resampled(rng.normal(size=(60, 1)) + [0.0, 0.3, 0.4, -2.0] + 0.5 * rng.normal(size=(60, 4)))
    np.testing.assert_array_equal(best(mean, replicates, 60), best_set(mean, replicates, images=60))
    candidates = np.array([True, True, False, True])
    expected = np.zeros(4, dtype=bool)
    expected[candidates] = best_set(mean[candidates], replicates[:, candidates], images=60)
    np.testing.assert_array_equal(best(mean, replicates, 60, candidates), expected)


def test_where_nothing_can_be_excluded_all_candidates_stay():
    replicates = np.random.default_rng(0).normal(size=(100, 3))
    candidates = np.array([True, True, False])
    assert best(np.array([1.0, 9.0, 5.0]), replicates, 1, candidates).tolist() == [True, True, False]
    assert best(np.array([1.0, np.nan, 5.0]), replicates, 1).tolist() == [True, False, True]
    lacking = np.full((100, 2), np.nan)
    lacking[0] = 1.0
    assert best(np.array([1.0, 9.0]), lacking, 20).tolist() == [True, True]
    assert best(np.array([1.0, 9.0]), replicates[:, :2], 20, np.zeros(2, dtype=bool)).tolist() == [False, False]


def test_a_difference_by_rounding_is_none():
    column = np.random.default_rng(0).normal(size=(200, 1))
    replicates = np.hstack([column, column, column])
    assert best(np.array([3.0, 3.0 - 1e-7, 3.0 - 1e-3]), replicates, 50).tolist() == [True, True, False]


# Level 1


@pytest.fixture
def shades():
    """Images of four pixels, the first by a factor of two values, the second by one of three."""
    labels = np.stack(np.unravel_index(np.arange(6), (2, 3)), axis=1)
    images = np.zeros((6, 1, 2, 2), dtype=np.float32)
    images[:, 0, 0, 0], images[:, 0, 0, 1] = labels[:, 0], labels[:, 1] / 4
    return vl.ArrayDataset(images, labels, ["one", "two"])


def test_latents_that_a_factor_moves_alike_tie_and_a_winner_stands_alone(linear_of, shades):
    # Latents 0 and 1 are the first pixel, 2 half of it, 3 the second pixel, 4 is constant.
    a = np.array([[1.0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    lens = linear_of(a, np.eye(4, 5), c=[0, 0, 0, 0, 1], shape=(1, 2, 2), logvar=[-2.0] * 5)
    effects = vl.factor_effects(lens, shades, n=40)
    assert effects.latent_shift_best.sel(factor="one").values.tolist() == [True, True, False, False, False]
    assert effects.latent_shift_best.sel(factor="two").values.tolist() == [False, False, False, True, False]
    # In their own standard deviations half the pixel moves as far as the pixel.
    assert effects.latent_effect_best.sel(factor="one").values.tolist() == [True, True, True, False, False]


def test_latents_that_no_image_moves_are_no_candidates(linear_of, shades):
    a = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [1e-5, 0, 0, 0]])
    lens = linear_of(a, np.eye(4, 3), shape=(1, 2, 2))
    effects = vl.factor_effects(lens, shades, factors="one", n=40)
    assert effects.active.values.tolist() == [True, True, False]
    assert "latent_shift_best" not in effects
    assert float(effects.latent_effect[0, 2]) == pytest.approx(float(effects.latent_effect[0, 0]))
    assert effects.latent_effect_best.values.tolist() == [[True, False, False]]


def test_the_set_of_a_factor_is_that_of_its_pairs(linear):
    model = linear(d=5, images=30, logvar=[0.0, -1.0, -2.0, 0.5, -0.5])
    ds = vl.ArrayDataset(model.x.numpy(), np.arange(30) % 3, ["kind"])
    effects = vl.factor_effects(model.lens, ds, n=25, seed=3)
    pairs = ds.pairs("kind", 25, seed=3)
    before, after = (part.flatten(1).double().numpy() @ model.a.T for part in (pairs.x, pairs.x2))
    shifts = np.abs(after - before) / np.exp(0.5 * np.array([0.0, -1.0, -2.0, 0.5, -0.5]))
    mean, replicates = resampled(shifts, seed=3)
    expected = best_set(mean, replicates, images=25)
    np.testing.assert_array_equal(effects.latent_shift_best[0], expected)
    assert 1 <= expected.sum() < 5


# Level 2


def test_latents_of_the_same_effect_tie_and_a_winner_stands_alone(linear_of):
    a = np.array([[1.0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    x = torch.rand(20, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for columns, expected in (([2.0, 2.0, 1.0], [True, True, False]), ([2.0, 3.0, 1.0], [False, True, False])):
        w = np.zeros((4, 3))
        w[[0, 1, 2], [0, 1, 2]] = columns
        effects = vl.latent_effects(linear_of(a, w, shape=(1, 2, 2)), x, progress=False)
        assert effects.ces_best.values.tolist() == expected
        assert effects.ces_posterior_best.values.tolist() == expected
        assert effects.specificity_normalised_best.values.tolist() == [True, True, True]  # one pixel each


def test_the_set_of_latents_is_that_of_their_effects_on_the_images(linear):
    model = linear(d=6, images=40, seed=5)
    effects = vl.latent_effects(model.lens, model.x, seed=2, progress=False)
    mean, replicates = resampled(linear_effects(model, np.linspace(-3, 3, 7)), seed=2)
    expected = best_set(mean, replicates, images=40)
    np.testing.assert_array_equal(effects.ces_best, expected)
    assert 1 <= expected.sum() < 6


def test_a_latent_without_code_is_no_candidate_however_strong(linear_of):
    a, w = np.zeros((2, 4)), np.zeros((4, 2))
    a[0, 0], w[0, 0], w[1, 1] = 1, 1, 100
    x = torch.rand(10, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    effects = vl.latent_effects(linear_of(a, w, shape=(1, 2, 2)), x, values=[-1.0, 1.0], progress=False)
    assert float(effects.ces[1]) > float(effects.ces[0])
    assert effects.ces_best.values.tolist() == [True, False]


def test_of_one_image_no_active_latent_is_excluded(linear):
    model = linear(images=1, logvar=[-1.0, -1.0, 0.0], seed=1)
    effects = vl.latent_effects(model.lens, model.x, progress=False)
    np.testing.assert_array_equal(effects.ces_best, effects.active)
    assert effects.active.values[:2].all()
    assert not effects.ces_posterior_best.any()  # there is no other image to take a value from


def test_positions_of_a_codebook_are_compared_by_their_effect(coded):
    # The first position's code is drawn ten times as bright as the others'.
    model = coded([[0.0], [1.0]], w=np.diag([10.0, 1, 1, 1]))
    x = torch.rand(12, 1, 2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    effects = vl.swap_effects(model.lens, x, progress=False)
    assert effects.ces_best.dims == ("position",)
    assert effects.ces_best.values.tolist() == [True, False, False, False]
    same = vl.swap_effects(coded([[0.0], [1.0]]).lens, x, progress=False)
    assert same.ces_best.values.tolist() == [True] * 4


# Level 3 and 4


def ratio_set(values, whole):
    """The best set of Σ values / Σ whole by hand, of (n, units) and (n,)."""
    mean, replicates = resampled(np.column_stack([values, whole]))
    return best_set(mean[:-1] / mean[-1], replicates[:, :-1] / replicates[:, -1:], images=len(values))


def test_units_are_compared_within_their_site_by_ratios_of_sums(linear):
    model = linear(d=5, images=40, seed=0)
    source = model.x.roll(1, 0)
    effects = vl.patching_effects(model.lens, model.x, source, sites=["latent"], progress=False)
    change = np.roll(model.z, 1, axis=0) - model.z
    total = change @ model.w.T  # (n, pixels)
    shared = np.einsum("no,ou,nu->nu", total, model.w, change)
    expected = ratio_set(shared, (total**2).sum(axis=1))
    np.testing.assert_array_equal(effects.recovered_best, expected)
    mediated = vl.mediation_effects(model.lens, model.x, source, "latent", progress=False)
    np.testing.assert_array_equal(mediated.indirect_best, expected)  # one estimand
    assert 1 <= expected.sum() < 5


def test_every_site_has_its_own_set(layer, joined):
    rng = np.random.default_rng(0)
    b, a = np.diag([3.0, 1.0, 1.0]), rng.normal(size=(2, 3))
    a[:, 0] = [4, 4]
    model = joined(
        torch.nn.Sequential(torch.nn.Flatten(), layer(b), layer(a)),
        torch.nn.Sequential(layer(np.eye(3, 2)), torch.nn.Unflatten(1, (1, 1, 3))),
    )
    x, y = torch.rand(2, 30, 1, 1, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    lens = vl.Lens(model, model.encoder, model.decoder, example=x[:1])
    effects = vl.patching_effects(lens, x, y, progress=False)
    sets = {site: group.values.tolist() for site, group in effects.recovered_best.groupby("site")}
    assert sets["encoder.0"] == [True, False, False]
    assert any(sets["latent"])
    without_source = vl.patching_effects(lens, x, method="zero", progress=False)
    assert "recovered_best" not in without_source


def test_a_treatment_without_effect_has_no_best_mediator(linear):
    model = linear(images=5)
    effects = vl.mediation_effects(model.lens, model.x, model.x, "latent", progress=False)
    assert effects.indirect.isnull().all()
    assert not effects.indirect_best.any()
