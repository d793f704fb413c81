"""Made-up codes with the reference implementation's values, and codes whose scores are known on paper."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

REFERENCE = Path(__file__).parents[4] / "shared" / "reference"
CASES = ("aligned", "rotated", "duplicated", "noise", "nonlinear", "dead")


@pytest.fixture(params=CASES)
def reference(request):
    """One reference case: its arrays by name, and the values expected of them."""
    if not REFERENCE.is_dir():
        pytest.skip(f"the reference values are not here: {REFERENCE} is no folder")
    expected = json.loads((REFERENCE / "expected.json").read_text(encoding="utf-8"))["cases"][request.param]
    with np.load(REFERENCE / f"{request.param}.npz") as arrays:
        return dict(arrays), expected


@pytest.fixture
def grid():
    """Every combination of three factors with 2, 3 and 4 values, 10 times: factors exactly independent."""
    return np.array(list(itertools.product(range(2), range(3), range(4))) * 10)
