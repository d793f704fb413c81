"""The logistic regression that scores share: what it equals, and when it warns."""

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from vaelens.errors import VaelensWarning
from vaelens.metrics.disentanglement import explicitness
from vaelens.metrics.disentanglement.classes import logistic_regression, values_as_classes


@pytest.fixture
def noisy(grid):
    return np.random.default_rng(0).normal(size=(len(grid), 3)).astype(np.float32) + grid.astype(np.float32)


def test_it_is_scikit_learns_as_it_comes(noisy, grid):
    ours = logistic_regression(noisy, grid[:, 2], "score")
    theirs = LogisticRegression().fit(noisy.astype(float), grid[:, 2])
    np.testing.assert_array_equal(ours.coef_, theirs.coef_)
    assert ours.coef_.dtype == np.float64


def test_it_warns_in_one_sentence_where_it_does_not_converge(noisy, grid, monkeypatch):
    monkeypatch.setattr("vaelens.metrics.disentanglement.classes._STEPS", 3)
    with pytest.warns(VaelensWarning, match=r"explicitness's logistic regression has not.*standardise") as caught:
        score = explicitness(noisy, grid, noisy, grid)
    assert {warning.category for warning in caught} == {VaelensWarning}
    assert 0.5 < score <= 1


def test_only_the_warning_about_many_values_is_kept_quiet():
    with values_as_classes(), pytest.warns(UserWarning, match="something else"):
        warnings.warn("something else", UserWarning, stacklevel=1)
    model = logistic_regression(np.arange(4.0)[:, None], np.array([0, 1, 2, 2]), "score")  # warnings are errors here
    assert model.classes_.tolist() == [0, 1, 2]
