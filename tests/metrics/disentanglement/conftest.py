"""Made-up codes with the reference implementation's values, and codes whose scores are known on paper."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from vaelens.data import Factor, Factors, GridDataset
from vaelens.observation import Observation

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


class Pixels(GridDataset):
    """A full grid whose images show the factors: pixel k holds factor k's value, scaled to [0, 1]."""

    name = "pixels"

    def __init__(self, *sizes):
        self.factors = Factors(tuple(Factor(f"factor_{k}", size) for k, size in enumerate(sizes)))
        self.observation = Observation.image((1, 1, len(sizes)))

    def render(self, factors):
        return (factors / np.maximum(np.array(self.factors.sizes) - 1, 1)).reshape(-1, *self.image_shape)


@pytest.fixture
def pixels():
    """Grids of factors that can be read off the images, made from the factors' sizes."""
    return Pixels


@pytest.fixture
def read(linear_of):
    """Lenses on codes that are a linear function of the factors, made from a matrix (d, K)."""

    def lens(matrix):
        matrix = np.asarray(matrix, dtype=float)
        return linear_of(matrix, matrix.T, shape=(1, 1, matrix.shape[1]))

    return lens
