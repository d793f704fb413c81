"""The benchmark of planted models, on scorers whose marks are known."""

import numpy as np
import pytest
from benchmarks import planted

import vaelens as vl


def every_unit_alike(lens, pairs):
    return {name: np.zeros(site.units) for name, site in lens.sites.items() if name != lens.sites.output}


def test_a_scorer_that_knows_nothing_finds_nothing():
    outcome = planted.measure(every_unit_alike, "aligned", range(2), depths=[2], pairs=8)
    assert (outcome.recall, outcome.auroc, outcome.perfect, outcome.factors) == (0, 0.5, 0, 12)


def test_the_search_finds_all():
    outcome = planted.measure(planted.named("circuit"), "backup", range(2), depths=[2], pairs=32)
    assert (outcome.recall, outcome.auroc, outcome.perfect) == (1, 1, 1)


def test_patching_misses_what_has_a_backup():
    outcome = planted.measure(planted.named("exact"), "backup", range(2), depths=[2], pairs=32)
    assert outcome.perfect == 0.5  # the second factor has none


def test_it_prints_a_table_and_refuses_what_it_does_not_know(capsys):
    planted.main(["random", "--seeds", "1", "--depths", "2", "--kinds", "chain"])
    assert "| chain |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no scorer 'nothing:here'"):
        planted.main(["nothing:here"])


def test_scorers_of_others_are_imported():
    scorer = planted.named("vaelens.planted:planted_model")
    assert scorer is vl.planted.planted_model
