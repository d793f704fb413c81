"""What every predictor of DCI does: importances that add to one, the same numbers for the same seed."""

import numpy as np
import pytest

from vaelens.metrics.disentanglement import dci
from vaelens.metrics.disentanglement.predictors import PREDICTORS, classified, regressed

GENERATOR = np.random.default_rng(0)
BITS = GENERATOR.integers(2, size=(240, 3))
CODES = BITS + 0.05 * GENERATOR.normal(size=(240, 3))


@pytest.fixture(params=PREDICTORS)
def predictor(request):
    return PREDICTORS[request.param]


@pytest.mark.parametrize(("fit", "kind"), [(classified, np.int64), (regressed, np.float64)])
def test_importance_is_the_share_of_what_each_latent_explains(predictor, fit, kind):
    # 3 a + b of two even bits: of the variance 9/4 + 1/4 the first explains nine tenths.
    values = (3 * BITS[:, 0] + BITS[:, 1]).astype(kind)
    prediction = fit(predictor, CODES, values, CODES, values, 0)
    assert prediction.importance.sum() == pytest.approx(1)
    assert prediction.importance[2] == pytest.approx(0, abs=0.02)
    if fit is regressed:
        assert prediction.importance[0] == pytest.approx(0.9, abs=0.03)
    assert prediction.score == pytest.approx(1, abs=1e-3)
    assert prediction.error == pytest.approx(0, abs=0.03)
    again = fit(predictor, CODES, values, CODES, values, 0)
    np.testing.assert_array_equal(again.importance, prediction.importance)


@pytest.mark.parametrize("estimator", PREDICTORS)
def test_threads_do_not_show_with_factors_of_both_kinds(estimator):
    first, second = (
        dci(CODES, BITS, estimator=estimator, continuous=[True, False, True], jobs=jobs, seed=2) for jobs in (1, 3)
    )
    np.testing.assert_array_equal(first.importance, second.importance)
    np.testing.assert_array_equal(first.error_per_factor, second.error_per_factor)
