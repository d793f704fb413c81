"""The contest of searches: both ways run the same circuits."""

import numpy as np
import pytest
from benchmarks import circuits
from benchmarks.subject import Subject

from vaelens.circuits.circuit_runs import CircuitRuns


@pytest.mark.parametrize("whole", [False, True])
def test_both_ways_carry_the_same(whole):
    subject = Subject(pairs=6, side=16, steps=0)
    pairs = circuits.pairs_of(subject, "scale")
    ours, hooked = CircuitRuns(subject.lens, *pairs), circuits.HookedRuns(subject.lens, *pairs, whole)
    np.testing.assert_allclose(hooked.totals, ours.totals, rtol=1e-4)
    scale = float(ours.totals.sum())
    rng = np.random.default_rng(0)
    masks = rng.random((4, len(ours.table))) < np.array([[0.1], [0.5], [0.9], [0.99]])
    for measure in (
        lambda runs: runs.carried(masks),
        lambda runs: runs.without_each(masks[1]),
        lambda runs: runs.patched(),
        lambda runs: runs.patched(into_source=True),
    ):
        np.testing.assert_allclose(measure(hooked) / scale, measure(ours) / scale, atol=1e-4)
    np.testing.assert_allclose(
        hooked.estimated_without_each(masks[1]), ours.estimated_without_each(masks[1]), atol=1e-4
    )


def test_all_searches_end_at_the_same_units():
    subject = Subject(pairs=4, side=16, steps=0)
    lines = list(circuits.rows(subject, ["scale"]))
    assert [line.split(" | ")[0] for line in lines[1:]] == ["| scale", "| all"]
    assert lines[1].split(" | ")[-1] == "1.000 |"
    assert len(lines[0].splitlines()[0].split("|")) == len(lines[1].split("|"))
