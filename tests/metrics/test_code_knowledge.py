import numpy as np
import pytest

from vaelens.metrics.code_knowledge import code_knowledge


@pytest.mark.parametrize("kind", ["categorical", "ordinal", "continuous", "circular"])
def test_it_is_near_one_where_the_code_is_the_label_and_zero_where_it_is_not(kind):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 6, size=900)
    phi = 2 * np.pi * label / 6
    codes = np.stack([label, np.cos(phi), np.sin(phi)], axis=1) + 0.01 * rng.normal(size=(900, 3))
    assert code_knowledge(codes, label, kind, size=6) > 0.99
    assert code_knowledge(rng.normal(size=(900, 3)), label, kind, size=6) < 0.06


def test_of_classes_it_is_measured_from_the_most_frequent_one():
    """Codes that know nothing are right nine times of ten, which is no knowledge."""
    rng = np.random.default_rng(0)
    label = (rng.random(900) < 0.1).astype(int)
    assert code_knowledge(rng.normal(size=(900, 2)), label, "categorical") < 0.05


def test_the_scale_of_a_latent_does_not_matter():
    rng = np.random.default_rng(0)
    label = rng.normal(size=600)
    codes = np.stack([label, rng.normal(size=600)], axis=1)
    wide = code_knowledge(codes * [1e-3, 1e3], label, "continuous")
    assert wide == pytest.approx(code_knowledge(codes, label, "continuous"), abs=1e-9)
    assert wide > 0.8
