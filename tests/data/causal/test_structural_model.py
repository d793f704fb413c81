import numpy as np
import pytest

from vaelens.data import StructuralModel, Variable
from vaelens.errors import VaelensError

HALF = (0.5, 0.5)


def small():
    """a and b are coins; c = a + b with noise; d = 2 - c without any."""
    return StructuralModel(
        (
            Variable("a", 2, HALF),
            Variable("b", 2, (0.25, 0.75)),
            Variable("c", 3, (0.1, 0.7, 0.2), ("a", "b"), lambda a, b: a + b, "a + b"),
            Variable("d", 3, (1.0,), ("c",), lambda c: 2 - c, "2 - c", values=(0.0, 0.5, 1.0)),
        )
    )


def test_mechanisms_by_hand():
    c = small()["c"]
    parents = [np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])]
    assert c.levels(parents, np.array([0, 0, 0, 0])).tolist() == [0, 1, 1, 2]
    assert c.levels(parents, np.array([-1, 1, -1, 1])).tolist() == [0, 2, 0, 2]  # kept in 0..2
    assert small()["d"].levels([np.array([0, 1, 2])], np.zeros(3, dtype=int)).tolist() == [2, 1, 0]


def test_probabilities_by_hand():
    model = small()
    np.testing.assert_allclose(model.probabilities("a"), [0.5, 0.5])
    np.testing.assert_allclose(model.probabilities("c", a=0, b=0), [0.8, 0.2, 0])
    np.testing.assert_allclose(model.probabilities("c", a=1, b=0), [0.1, 0.7, 0.2])
    np.testing.assert_allclose(model.probabilities("c", a=1, b=1), [0, 0.1, 0.9])
    np.testing.assert_allclose(model.probabilities("d", c=2), [1, 0, 0])


def test_samples_follow_the_probabilities():
    model, n = small(), 20_000
    drawn = model.sample(n, seed=5)
    assert drawn.dtype == np.int64
    assert abs(drawn[:, 1].mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / n)
    for a in range(2):
        for b in range(2):
            c = drawn[(drawn[:, 0] == a) & (drawn[:, 1] == b), 2]
            expected = model.probabilities("c", a=a, b=b)
            margin = 4 * np.sqrt(expected * (1 - expected) / len(c))
            assert (np.abs(np.bincount(c, minlength=3) / len(c) - expected) <= margin).all()
    assert (drawn[:, 3] == 2 - drawn[:, 2]).all()
    # The noise is independent of the parents and of the other noise.
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 4 / np.sqrt(n)


def test_do_sets_a_variable_cuts_its_edges_and_moves_its_effects_only():
    model = small()
    world = model.do(c=0)
    assert set(model.graph.edges) == {("a", "c"), ("b", "c"), ("c", "d")}
    assert set(world.graph.edges) == {("c", "d")}
    before, after = model.sample(500, seed=1), world.sample(500, seed=1)
    assert (after[:, 2] == 0).all()
    assert (after[:, 3] == 2).all()
    assert (after[:, :2] == before[:, :2]).all()  # the same individuals
    assert (model.do(d=1).sample(500, seed=1)[:, :3] == before[:, :3]).all()
    assert (model.do(a=1, b=1).sample(500, seed=1)[:, 2] >= 1).all()
    assert model.do(a=1).do(b=0).sample(9, seed=1).tolist() == model.do(a=1, b=0).sample(9, seed=1).tolist()
    np.testing.assert_allclose(world.probabilities("c"), [1, 0, 0])


def test_individuals_keep_their_noise_in_another_world():
    # c = min(max(a + b + e, 0), 2): where nothing is cut off, e can be read off both worlds, and is the same.
    model = small()
    before, after = model.sample(2000, seed=3), model.do(a=1, b=0).sample(2000, seed=3)
    noise = after[:, 2] - 1
    expected = np.clip(before[:, 0] + before[:, 1] + noise, 0, 2)
    assert (before[:, 2] == expected).all()


def test_rare_and_impossible_noise():
    model = StructuralModel((Variable("a", 4, (0.0, 1.0, 0.0, 0.0)),))
    assert (model.sample(1000) == 1).all()
    tenth = StructuralModel((Variable("a", 10, (0.1,) * 10),))  # adds up to a little less than 1
    assert set(tenth.sample(2000)[:, 0]) == set(range(10))


def test_prints_its_equations():
    assert repr(small().do(a=1)).splitlines() == [
        "a = 1",
        "b drawn from 0..1",
        "c = a + b + noise (-1: 0.1, +0: 0.7, +1: 0.2), kept in 0..2",
        "d = 2 - c + noise (+0: 1), kept in 0..2",
    ]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"size": 1, "noise": (1.0,)}, "must have at least 2 levels, got 1"),
        ({"size": 2, "noise": (0.5, 0.6)}, "must be probabilities that add up to 1"),
        ({"size": 2, "noise": (-0.5, 1.5)}, "must be probabilities that add up to 1"),
        ({"size": 3, "noise": HALF}, "has 3 levels and no parents, so as many probabilities"),
        ({"size": 2, "noise": HALF, "parents": ("b",)}, "both parents and an equation, or neither"),
        ({"size": 2, "noise": HALF, "parents": ("b",), "equation": lambda b: b}, "centred on 0"),
        ({"size": 2, "noise": HALF, "values": (1.0,)}, "has 2 levels but 1 values"),
    ],
)
def test_refuses_wrong_variables(arguments, match):
    with pytest.raises(VaelensError, match=match):
        Variable("x", **arguments)


def test_refuses_wrong_models_and_questions():
    with pytest.raises(VaelensError, match=r"unknown parent of 'c' \(causes come before effects\) 'a'; known: none"):
        StructuralModel((small()["c"], small()["a"]))
    with pytest.raises(VaelensError, match="names must differ, got 'a'"):
        StructuralModel((small()["a"], small()["a"]))
    with pytest.raises(VaelensError, match="unknown variable 'e'; known: a, b, c, d"):
        small().do(e=1)
    with pytest.raises(VaelensError, match="c is 3; expected a whole number from 0 to 2"):
        small().do(c=3)
    with pytest.raises(VaelensError, match=r"do\(\) sets nothing"):
        small().do()
    with pytest.raises(VaelensError, match="'c' has the parents a, b, got a"):
        small().probabilities("c", a=1)
