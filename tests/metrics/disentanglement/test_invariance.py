"""Every metric of arrays, under the laws they share: the order of latents and factors and the signs do not show.

Trees alone see an order, where two splits are equally good: their scores are held to the tolerance stated here.
"""

import numpy as np
import pytest

from vaelens.metrics.disentanglement import dci, explicitness, gaussian_total_correlation, irs, mig, modularity, sap


def dci_scores(codes, factors, **options):
    result = dci(codes, factors, jobs=1, **options)
    return [result.disentanglement, result.completeness, result.informativeness]


def of(metric, mixed=False, **options):
    """A metric with options; where mixed, of the second and third factor as continuous ones."""

    def score(codes, factors):
        kinds = {"continuous": [False, True, True, False][: factors.shape[1]]} if mixed else {}
        return metric(codes, factors, **kinds, **options)

    return score


EXACT, SOLVED, TREES = 1e-9, 1e-3, 0.03
METRICS = {
    "mig": (of(mig), EXACT),
    "mig, continuous": (of(mig, mixed=True), EXACT),
    "mig, neighbours": (of(mig, estimator="nearest-neighbours"), EXACT),
    "modularity": (of(modularity), EXACT),
    "modularity, neighbours": (of(modularity, mixed=True, estimator="nearest-neighbours"), EXACT),
    "sap": (of(sap), EXACT),
    "sap, continuous": (of(sap, mixed=True), EXACT),
    "explicitness": (of(explicitness), SOLVED),
    "irs": (of(irs), EXACT),
    "gaussian_total_correlation": (lambda codes, factors: gaussian_total_correlation(codes), EXACT),
    "dci": (of(dci_scores), TREES),
    "dci, continuous": (of(dci_scores, mixed=True), TREES),
    "dci, forest": (of(dci_scores, estimator="random-forest"), TREES),
    "dci, forest, continuous": (of(dci_scores, mixed=True, estimator="random-forest"), TREES),
}


@pytest.fixture(params=METRICS)
def metric(request):
    return METRICS[request.param]


@pytest.fixture
def codes(grid):
    """Real numbers, in which every factor shows in two of five latents, one of them mostly noise."""
    noise = np.random.default_rng(0).normal(size=(len(grid), 5))
    return grid[:, [0, 1, 2, 1, 0]] + 0.4 * grid[:, [1, 2, 0, 2, 2]] + noise * [0.2, 0.4, 0.4, 0.4, 2]


def test_the_order_of_latents_does_not_show(metric, codes, grid):
    score, tolerance = metric
    assert score(codes[:, [3, 0, 4, 2, 1]], grid) == pytest.approx(score(codes, grid), abs=tolerance)


def test_signs_do_not_show(metric, codes, grid):
    score, tolerance = metric
    assert score(codes * [-1, 1, -1, 1, -1], grid) == pytest.approx(score(codes, grid), abs=tolerance)


def test_the_order_of_factors_does_not_show(metric, codes, grid):
    score, _ = metric
    assert score(codes, grid[:, [0, 2, 1]]) == pytest.approx(score(codes, grid), abs=EXACT)


def test_a_factor_with_one_value_does_not_show(metric, codes, grid):
    score, _ = metric
    constant = np.full((len(grid), 1), 3)
    assert score(codes, np.hstack([grid, constant])) == pytest.approx(score(codes, grid), abs=EXACT)
