"""Missing labels are left out of every score and said: the score is that of the images that have the label."""

import numpy as np
import pandas as pd
import pytest

import vaelens as vl
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.metrics.disentanglement import dci, explicitness, irs, mig, modularity, sap
from vaelens.metrics.disentanglement.held_factors import HeldFactors


def dci_scores(codes, factors, *test, **options):
    result = dci(codes, factors, *test, jobs=1, estimator="random-forest", **options)
    return [*result.informativeness_per_factor, *result.importance.ravel(), result.disentanglement]


def of(metric, **options):
    return lambda *arrays: metric(*arrays, **options)


DISCRETE = {
    "mig": mig,
    "mig, neighbours": of(mig, estimator="nearest-neighbours"),
    "modularity": modularity,
    "modularity, neighbours": of(modularity, estimator="nearest-neighbours"),
    "sap": sap,
    "explicitness": explicitness,
    "irs": irs,
    "dci": dci_scores,
}
CONTINUOUS = {
    "mig, continuous": of(mig, continuous=True),
    "modularity, continuous": of(modularity, continuous=True),
    "modularity, continuous, neighbours": of(modularity, continuous=True, estimator="nearest-neighbours"),
    "sap, continuous": of(sap, continuous=True),
    "dci, continuous": of(dci_scores, continuous=True),
}


@pytest.fixture
def images():
    """Codes that know the factors, and which images have no label, about a third."""
    rng = np.random.default_rng(0)
    factors = np.column_stack([rng.integers(3, size=500), rng.integers(4, size=500)])
    gap = rng.random(500) < 0.35
    codes = np.column_stack([factors + 0.3 * rng.normal(size=(500, 2)), gap + 0.1 * rng.normal(size=500)])
    return codes, factors.astype(float), gap


def refuses_nothing(metric, *arrays, missing=r"\d+ of \d+ of factor"):
    with pytest.warns(VaelensWarning, match=rf"hold missing labels, −1 or NaN: {missing}"):
        return metric(*arrays)


@pytest.mark.parametrize("marker", [-1, np.nan])
@pytest.mark.parametrize("metric", DISCRETE.values(), ids=DISCRETE)
def test_images_without_any_label_are_left_out(metric, images, marker):
    codes, factors, gap = images
    holed = factors.copy()
    holed[gap] = marker
    counts = rf"{gap.sum()} of 500 of factor 0, {gap.sum()} of 500 of factor 1; .* number the classes from 0"
    scored = refuses_nothing(metric, codes, holed, missing=counts)
    np.testing.assert_array_equal(scored, metric(codes[~gap], factors[~gap]))


@pytest.mark.parametrize("metric", CONTINUOUS.values(), ids=CONTINUOUS)
def test_values_that_are_nan_are_left_out(metric, images):
    codes, factors, gap = images
    values = factors + 0.1 * codes[:, :2] - 1  # −1 is a value like any other
    holed = values.copy()
    holed[gap] = np.nan
    np.testing.assert_array_equal(refuses_nothing(metric, codes, holed), metric(codes[~gap], values[~gap]))


def test_minus_one_is_a_value_of_a_continuous_factor(images):
    codes, factors, _ = images
    assert sap(codes, factors - 1, continuous=True) == pytest.approx(sap(codes, factors, continuous=True), abs=1e-12)


@pytest.mark.parametrize("metric", (DISCRETE | CONTINUOUS).values(), ids=DISCRETE | CONTINUOUS)
def test_scores_without_any_label_are_refused(metric, images):
    codes, factors, _ = images
    with pytest.raises(
        VaelensError, match=r"every label in factors is missing \(−1 or NaN\); expected images with labels"
    ):
        metric(codes, np.full_like(factors, np.nan))


@pytest.mark.parametrize("metric", DISCRETE.values(), ids=DISCRETE)
def test_a_factor_without_labels_is_left_out_like_one_with_one_value(metric, images):
    codes, factors, _ = images
    empty = np.full(len(codes), -1.0)
    scored = refuses_nothing(metric, codes, np.column_stack([factors, empty]), missing="500 of 500 of factor 2; each")
    expected = metric(codes, np.column_stack([factors, np.zeros(len(codes))]))
    np.testing.assert_array_equal(scored, expected)


def test_each_factor_is_scored_over_the_images_that_have_its_label(images):
    codes, factors, gap = images
    holed = factors.copy()
    holed[gap, 1] = -1
    # Of both factors the mean gap, each over its own images: MIG is a mean over factors.
    alone = [factors[:, :1], np.where(gap, np.nan, factors[:, 1])[:, None]]
    edges = np.column_stack([np.linspace(z.min(), z.max(), 21) for z in codes.T])  # cut over all images
    scored = refuses_nothing(mig, codes, holed, missing=f"{gap.sum()} of 500 of factor 1; each")
    gaps = []
    for column in alone:
        have = ~np.isnan(column[:, 0])
        cells = np.column_stack([np.digitize(z, e[:-1]) for z, e in zip(codes.T, edges.T, strict=True)])[have]
        gaps.append(mig(cells, column[have].astype(int), bins=400))
    assert scored == pytest.approx(np.mean(gaps), abs=1e-12)


def test_sap_of_one_holed_factor_is_the_mean_of_each_alone(images):
    codes, factors, gap = images
    holed = factors.copy()
    holed[gap, 1] = np.nan
    scored = refuses_nothing(of(sap, continuous=True), codes, holed)
    each = [sap(codes, factors[:, :1], continuous=True), sap(codes[~gap], factors[~gap, 1:], continuous=True)]
    assert scored == pytest.approx(np.mean(each), abs=1e-12)


@pytest.mark.parametrize("name", ["sap", "explicitness", "dci"])
def test_missing_labels_of_test_images_are_left_out_too(name, images):
    codes, factors, gap = images
    holed = factors.copy()
    holed[gap] = -1
    scored = refuses_nothing(DISCRETE[name], codes, factors, codes, holed)
    np.testing.assert_array_equal(scored, DISCRETE[name](codes, factors, codes[~gap], factors[~gap]))
    holed[:, 1], holed[:, 0] = -1, factors[:, 0]
    with (
        pytest.warns(VaelensWarning, match="test_factors hold missing labels"),
        pytest.raises(VaelensError, match=r"no test image has a label of factor 1|factor 1 has one value"),
    ):
        DISCRETE[name](codes, factors, codes, holed)


@pytest.mark.parametrize("paired", [False, True])
def test_an_image_without_the_held_factors_label_is_never_drawn(paired):
    labels = pd.DataFrame({"a": [0, 0, None, 2, 2, None], "b": ["x", "y", "x", None, "y", "x"]})
    ds = vl.ArrayDataset(np.zeros((6, 1, 1, 2), dtype=np.uint8), labels)
    with pytest.warns(VaelensWarning, match=r"hold missing labels, −1 or NaN: 2 of 6 of 'a', 1 of 6 of 'b'"):
        sampler = HeldFactors(ds)
    held, first, second = sampler.draw(300, 4, np.random.default_rng(0), paired)
    values = ds.factor_values(np.arange(6))
    for k, labelled_images in ((0, {0, 1, 3, 4}), (1, {0, 1, 2, 4, 5})):
        assert set(first[held == k].ravel()) == set(second[held == k].ravel()) == labelled_images
        np.testing.assert_array_equal(values[first[held == k], k], values[second[held == k], k])
