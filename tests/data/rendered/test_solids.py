import numpy as np
import pytest

from vaelens.data.rendered.solids import SOLIDS

INSIDE = {
    "cube": lambda p: (np.abs(p[:, :2]).max(axis=1) <= 1) & (p[:, 2] >= 0) & (p[:, 2] <= 2),
    "cylinder": lambda p: (np.hypot(p[:, 0], p[:, 1]) <= 1) & (p[:, 2] >= 0) & (p[:, 2] <= 2),
    "sphere": lambda p: np.linalg.norm(p - [0, 0, 1], axis=1) <= 1,
    "capsule": lambda p: np.hypot(np.hypot(p[:, 0], p[:, 1]), p[:, 2] - np.clip(p[:, 2], 1, 3)) <= 1,
}


def rays(n=400):
    """Rays from outside towards the neighbourhood of the solids, some of which miss them."""
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(n, 3))
    origins *= 6 / np.linalg.norm(origins, axis=1, keepdims=True)
    targets = rng.uniform([-1.4, -1.4, 0], [1.4, 1.4, 4], size=(n, 3))
    return origins, (targets - origins) / 3


@pytest.mark.parametrize("shape", SOLIDS)
def test_first_hits_agree_with_a_march_along_the_ray(shape):
    origins, directions = rays()
    distance, normal = SOLIDS[shape](origins, directions)
    steps = np.arange(0, 8, 0.004)
    for origin, direction, found, n in zip(origins, directions, distance, normal, strict=True):
        within = INSIDE[shape](origin + steps[:, None] * direction)
        if not within.any():
            # A ray that only grazes the solid may pass between two steps.
            assert np.isinf(found) or not INSIDE[shape](origin + np.array([[found + 0.01]]) * direction).any()
            continue
        assert steps[within.argmax()] - 0.004 <= found <= steps[within.argmax()]
        point = origin + found * direction
        assert np.linalg.norm(n) == pytest.approx(1)
        assert n @ direction < 0
        assert INSIDE[shape]((point - 1e-4 * n)[None])[0]
        assert not INSIDE[shape]((point + 1e-4 * n)[None])[0]


@pytest.mark.parametrize(
    ("shape", "origin", "direction", "distance", "normal"),
    [
        ("cube", (-5, 0, 1), (2, 0, 0), 2, (-1, 0, 0)),  # 4 away, in lengths of the direction
        ("cube", (0, 0, 7), (0, 0, -1), 5, (0, 0, 1)),
        ("cylinder", (0, -3, 1), (0, 1, 0), 2, (0, -1, 0)),
        ("cylinder", (0.5, 0, 4), (0, 0, -1), 2, (0, 0, 1)),
        ("sphere", (0, -3, 1.6), (0, 1, 0), 2.2, (0, -0.8, 0.6)),
        ("capsule", (0, 0, 6), (0, 0, -1), 2, (0, 0, 1)),
        ("capsule", (3, 0, 2.5), (-1, 0, 0), 2, (1, 0, 0)),
        ("capsule", (0, -3, 3.6), (0, 1, 0), 2.2, (0, -0.8, 0.6)),
    ],
)
def test_hits_by_hand(shape, origin, direction, distance, normal):
    found, n = SOLIDS[shape](np.array([origin], dtype=float), np.array([direction], dtype=float))
    assert found[0] == pytest.approx(distance)
    np.testing.assert_allclose(n[0], normal, atol=1e-9)


@pytest.mark.parametrize("shape", SOLIDS)
def test_what_lies_behind_or_beside_is_not_met(shape):
    origins = np.array([[-5.0, 0, 1], [-5, 1.01, 1], [1.01, 0, 9]])
    directions = np.array([[-1.0, 0, 0], [1, 0, 0], [0, 0, -1]])
    assert np.isinf(SOLIDS[shape](origins, directions)[0]).all()
