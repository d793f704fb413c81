import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression

import vaelens as vl
from vaelens.metrics.association import association

N = 300


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_an_ordered_label_is_compared_by_ranks(rng):
    codes = rng.normal(size=(N, 3))
    levels = np.digitize(codes[:, 0] + 0.5 * rng.normal(size=N), [-1.0, 0.0, 1.0]).astype(float)
    measured = association(codes, levels, "ordinal")
    np.testing.assert_allclose(measured.values, [spearmanr(z, levels).statistic for z in codes.T])
    assert measured.measure == "spearman"
    # Whatever goes up with a latent may take its place.
    np.testing.assert_allclose(association(np.exp(codes), levels**3, "continuous").values, measured.values)
    np.testing.assert_allclose(association(-codes, levels, "ordinal").values, -measured.values)


def test_classes_are_compared_by_the_variance_between_them():
    codes = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0], [6.0, 1.0]] * 2)
    labels = np.array([0, 0, 1, 1] * 2)
    # Of the first latent the classes' means are 1 and 5, 4 of the variance of 5; the second is the same for all.
    measured = association(codes, labels, "categorical")
    np.testing.assert_allclose(measured.values, [0.8, 0.0])
    assert measured.best.tolist() == [True, False]
    assert association(codes, 7 - 3 * labels, "categorical").values[0] == pytest.approx(0.8)  # names mean nothing


def test_a_circular_label_is_compared_round_its_circle(rng):
    angle = rng.integers(0, 12, size=N)
    phi = 2 * np.pi * angle / 12
    codes = np.stack([np.cos(phi + 1.0), np.sin(2 * phi), rng.normal(size=N) + np.sin(phi)], axis=1)
    measured = association(codes, angle, "circular", size=12)
    circle = np.stack([np.cos(phi), np.sin(phi)], axis=1)
    expected = [LinearRegression().fit(circle, z).score(circle, z) for z in codes.T]
    np.testing.assert_allclose(measured.values, expected, atol=1e-12)
    assert measured.values[0] == pytest.approx(1)
    # Where counting begins does not matter, as it would for ranks.
    turned = association(codes, (angle + 5) % 12, "circular", size=12)
    np.testing.assert_allclose(turned.values, measured.values, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "chance"),
    [("categorical", 4 / (N - 1)), ("circular", 2 / (N - 1)), ("ordinal", np.sqrt(2 / (np.pi * (N - 1))))],
)
def test_chance_is_the_mean_over_shuffles(rng, kind, chance):
    codes, labels = rng.normal(size=(N, 200)), rng.integers(0, 5, size=N)
    measured = association(codes, labels, kind, size=5)
    assert measured.chance == pytest.approx(chance)
    assert np.abs(measured.values).mean() == pytest.approx(chance, rel=0.25)


def test_intervals_hold_what_many_images_have(rng):
    """Of 50 samples of 60 images each; η² of few images is too large by 4/59 on average, which is followed."""
    held = {"categorical": 0, "ordinal": 0}
    truth = {"categorical": 0.0, "ordinal": 6 / np.pi * np.arcsin(0.5 / 2)}  # of a Gaussian with ρ = ½ (Pearson, 1907)
    for _ in range(50):
        codes = rng.normal(size=(60, 1))
        labels = {
            "categorical": rng.integers(0, 5, size=60),
            "ordinal": 0.5 * codes[:, 0] + np.sqrt(0.75) * rng.normal(size=60),
        }
        for kind, label in labels.items():
            measured = association(codes, label, kind)
            held[kind] += int(measured.low[0] <= truth[kind] <= measured.high[0])
    assert held["ordinal"] >= 43  # 95 % less three standard errors
    assert held["categorical"] >= 43


def test_missing_labels_are_left_out(rng):
    codes, labels = rng.normal(size=(N, 2)), rng.integers(0, 3, size=N).astype(float)
    labels[::3] = np.nan
    measured = association(codes, labels, "ordinal")
    has_label = ~np.isnan(labels)
    np.testing.assert_array_equal(measured.values, association(codes[has_label], labels[has_label], "ordinal").values)
    assert measured.images == has_label.sum()


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(vl.VaelensError, match="9 images have the label, with 1 values; expected at least 8 images"):
        association(np.zeros((9, 2)), np.ones(9), "ordinal")
    with pytest.raises(vl.VaelensError, match=r"codes have shape \(9, 2\) and labels \(8,\)"):
        association(np.zeros((9, 2)), np.ones(8), "ordinal")
    with pytest.raises(vl.VaelensError, match=r"unknown kind of label 'ordnal'; .* did you mean 'ordinal'"):
        association(np.zeros((9, 2)), np.arange(9), "ordnal")
