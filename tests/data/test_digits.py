import numpy as np
from sklearn.datasets import load_digits

from vaelens.data import Digits


def cubic(distance, a=-0.75):
    """Keys' cubic convolution kernel, with the coefficient of the usual image libraries."""
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def test_all_1797_digits_with_their_labels():
    ds = Digits()
    _, f = ds.sample(1797)
    assert len(ds) == 1797
    assert ds.image_shape == (1, 32, 32)
    assert ds.factors.names == ("label",)
    assert ds.factors.kinds == ("categorical",)
    assert np.bincount(f[:, 0]).tolist() == np.bincount(load_digits().target).tolist()
    assert [int(ds[k][1]) for k in range(10)] == list(range(10))


def test_images_are_the_originals_enlarged_three_times_in_the_middle():
    # Pixel p of the output is the point (p + 2 + 0.5) / 3 - 0.5 of the originals padded by two cells.
    weights = np.array([[cubic((p + 2.5) / 3 - 0.5 - (cell + 2)) for cell in range(8)] for p in range(32)])
    originals = load_digits().images[:50] / 16
    expected = np.clip(weights @ originals @ weights.T, 0, 1)
    np.testing.assert_allclose(Digits().images_at(np.arange(50))[:, 0].numpy(), expected, atol=1e-6)


def test_pairs_match_on_all_other_factors_as_there_are_none():
    pairs = Digits().pairs("label", 200, seed=0)
    assert pairs.matched.all()
    assert (pairs.f != pairs.f2).all()
