"""What the tests of the effects ask of every result."""

import numpy as np
import pytest

import vaelens as vl


def check_provenance(effects, **made):
    assert len(effects.attrs["weights_sha256"]) == 64
    assert effects.attrs["model"]
    assert effects.attrs["version"] == vl.__version__
    for name, value in made.items():
        assert effects.attrs[name] == value, name


def check_intervals(effects, *names):
    """low <= mean <= high wherever there is a mean."""
    for name in names:
        low, mean, high = (effects[f"{name}{end}"].values for end in ("_low", "", "_high"))
        slack = 1e-6 * np.abs(mean) + 1e-12
        known = np.isfinite(mean)
        assert known.any(), name
        assert (low <= mean + slack)[known].all(), name
        assert (mean <= high + slack)[known].all(), name


def check_same(one, other, rtol=1e-6, atol=1e-9):
    """Two results agree in every variable and coordinate."""
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        if one[name].dtype.kind in "fc":
            slack = max(atol, 1e-6) if name.endswith(("_low", "_high")) and rtol else atol  # resamples are in float32
            np.testing.assert_allclose(one[name].values, other[name].values, rtol=rtol, atol=slack, err_msg=name)
        else:
            np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


@pytest.fixture
def provenance():
    """Asserts that a result says how it was made."""
    return check_provenance


@pytest.fixture
def intervals():
    """Asserts that intervals hold their mean."""
    return check_intervals


@pytest.fixture
def same():
    """Asserts that two results agree."""
    return check_same
