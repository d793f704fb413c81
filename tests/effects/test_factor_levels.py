"""What stands beside the effects of factors: random pairs, and, without a grid, effects less those of control pairs."""

import numpy as np
import pytest

import vaelens as vl


@pytest.fixture
def lens(linear_of):
    """Codes and images are the four pixels."""
    return linear_of(np.eye(4), np.eye(4), shape=(1, 2, 2), logvar=[-2.0] * 4)


def pictures(labels, noise=0.0, seed=0):
    """The first pixel by the first label, of two values, the second by the second, of three, the others at random."""
    x = np.zeros((len(labels), 1, 2, 2), dtype=np.float32)
    x[:, 0, 0, 0], x[:, 0, 0, 1] = labels[:, 0] / 2, labels[:, 1] / 4
    x[:, 0, 1] = noise * np.random.default_rng(seed).random((len(labels), 2))
    return x


def test_where_pairs_agree_on_all_else_and_controls_are_alike_nothing_is_taken_off(lens):
    labels = np.random.default_rng(0).integers(0, [2, 3], size=(200, 2))  # every combination, many times
    effects = vl.factor_effects(lens, vl.ArrayDataset(pictures(labels), labels, ["first", "second"]), n=60)
    np.testing.assert_allclose(effects.output_effect_adjusted, effects.output_effect, rtol=1e-6)
    np.testing.assert_allclose(effects.latent_shift_adjusted, effects.latent_shift, rtol=1e-6, atol=1e-12)
    first, second = effects.output_effect_adjusted_low.values
    assert first == pytest.approx(float(effects.output_effect_low[0]), rel=1e-6)
    assert second <= float(effects.output_effect_low[1])  # a few of the 200 images are in several pairs


def test_what_no_label_says_is_taken_off(lens):
    labels = np.random.default_rng(0).integers(0, [2, 3], size=(2000, 2))
    ds = vl.ArrayDataset(pictures(labels, noise=0.6), labels, ["first", "second"])
    effects = vl.factor_effects(lens, ds, n=1500)
    # Without noise, a change of the first label moves the image by 1/2.
    assert float(effects.output_effect.sel(factor="first")) > 0.6
    assert effects.output_effect_adjusted_low[0] < 0.5 * 1.1
    assert float(effects.output_effect_adjusted.sel(factor="first")) == pytest.approx(0.5, rel=0.1)
    assert float(effects.latent_shift_adjusted[0, 0]) == pytest.approx(0.5 / np.exp(-1), rel=0.01)


def test_a_label_without_meaning_has_an_interval_about_zero(lens):
    held = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.random((300, 1, 2, 2)).astype(np.float32)
        effects = vl.factor_effects(
            lens, vl.ArrayDataset(x, rng.integers(0, 4, (300, 1)), ["nonsense"]), n=100, seed=seed
        )
        held.append(float(effects.output_effect_adjusted_low[0]) <= 0 <= float(effects.output_effect_adjusted_high[0]))
        assert float(effects.output_effect[0]) > 0.5  # by which it seems to move the image
    assert np.mean(held) >= 0.85  # of 95 %, less two standard deviations


@pytest.mark.parametrize("carriers", [1, 3])
def test_a_label_without_meaning_that_few_images_carry_is_not_told(lens, carriers):
    told = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        labels = np.zeros((100, 1), dtype=int)
        labels[rng.choice(100, carriers, replace=False)] = 1
        ds = vl.ArrayDataset(rng.random((100, 1, 2, 2)).astype(np.float32), labels, ["rare"])
        effects = vl.factor_effects(lens, ds, n=80, seed=seed)  # each pair has one of them
        lows = np.array([effects.output_effect_adjusted_low[0], *effects.latent_shift_adjusted_low[0]])
        assert np.isnan(lows).all() == (carriers == 1)
        told.append((lows > 0).any())
    assert sum(told) <= 1


def test_a_grid_needs_no_controls(lens):
    labels = np.stack(np.unravel_index(np.arange(6), (2, 3)), axis=1)
    effects = vl.factor_effects(lens, vl.ArrayDataset(pictures(labels), labels, ["first", "second"]), n=40)
    assert not [name for name in effects if "adjusted" in str(name)]


def test_random_pairs_are_two_images_that_have_nothing_in_common(lens):
    rng = np.random.default_rng(0)
    x = rng.random((2000, 1, 2, 2)).astype(np.float32)
    effects = vl.factor_effects(lens, vl.ArrayDataset(x, rng.integers(0, 2, (2000, 1)), ["label"]), n=1500)
    first, second = rng.permutation(2000)[:1000], rng.permutation(2000)[:1000]
    expected = np.linalg.norm((x[first] - x[second]).reshape(1000, -1), axis=1).mean()
    assert float(effects.output_effect_random) == pytest.approx(expected, rel=0.05)
    assert effects.output_effect_random_low < expected < effects.output_effect_random_high
    # |u − v| of uniform numbers is 1/3 on average, and a posterior's standard deviation e⁻¹.
    np.testing.assert_allclose(effects.latent_shift_random, 1 / 3 / np.exp(-1), rtol=0.06)


@pytest.mark.parametrize("kinds", [{"first": "ordinal", "second": "circular", "third": "ordinal"}, None])
def test_pairs_that_differ_in_other_labels_too_are_brought_together(lens, kinds):
    # No two of 1,000 images agree on two of three labels, so every pair differs in the others.
    labels = np.random.default_rng(0).integers(0, 32, size=(1000, 3))
    angle = 2 * np.pi * labels[:, 1] / 32
    x = np.zeros((1000, 1, 2, 2), dtype=np.float32)
    x[:, 0, 0, 0] = (labels[:, 0] / 31) ** 2
    x[:, 0, 0, 1], x[:, 0, 1, 0] = 0.5 + 0.1 * np.cos(angle), 0.5 + 0.1 * np.sin(angle)
    x[:, 0, 1, 1] = labels[:, 2] / 31
    names = ["first", "second", "third"]
    effects = vl.factor_effects(lens, vl.ArrayDataset(x, labels, names, kinds=kinds), n=400)
    i, j = np.nonzero(~np.eye(32, dtype=bool))
    expected = [
        np.abs((i / 31) ** 2 - (j / 31) ** 2).mean(),
        (0.2 * np.abs(np.sin(np.pi * (i - j) / 32))).mean(),
        np.abs(i / 31 - j / 31).mean(),
    ]
    np.testing.assert_allclose(effects.output_effect_adjusted, expected, rtol=0.15)
    if kinds is None:  # the nearest images lie far apart, and the second label moves little
        assert float(effects.output_effect.sel(factor="second")) > 1.5 * expected[1]
