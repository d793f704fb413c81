from math import inf
from pathlib import Path

import pytest

from vaelens.analysis.scores import SCORERS
from vaelens.metrics.catalogue import METRICS, markdown_table
from vaelens.metrics.disentanglement.scorers import scorers

ELSEWHERE = {"factor_vae_score", "beta_vae_score"}  # computed where they are asked for alone


def test_every_score_has_one_line_and_every_line_a_score():
    of_factors = {key for scorer in scorers(10_000).values() for key in scorer.keys}
    assert set(METRICS) == {*SCORERS} | of_factors | ELSEWHERE
    assert not set(SCORERS) & of_factors


@pytest.mark.parametrize("key", METRICS)
def test_a_line_says_all_that_tables_need(key):
    metric = METRICS[key]
    assert metric.key == key == key.lower()
    assert key.isidentifier()
    assert metric.better in ("higher", "lower", "")
    assert 0 <= metric.range[0] < metric.range[1]
    assert metric.is_fraction == (metric.range == (0.0, 1.0))
    assert metric.meaning.endswith(".")
    assert metric.meaning.count(".") == 1


def test_labels_tell_the_scores_apart():
    assert len({metric.label for metric in METRICS.values()}) == len(METRICS)


def test_the_table_has_a_row_for_each_with_its_range():
    head, _, *rows = markdown_table().splitlines()
    assert head == "| key | score | better | range | unit | what it says |"
    assert len(rows) == len(METRICS)
    for row, metric in zip(rows, METRICS.values(), strict=True):
        ends = f"{metric.range[0]:g} or more" if metric.range[1] == inf else "[0, 1]"
        assert row.split(" | ")[1:4] == [metric.label, metric.better or "neither", ends]


def test_the_documentation_has_this_very_table():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    assert markdown_table() in page.read_text(encoding="utf-8"), "run: python -m benchmarks.catalogue --write-docs"
