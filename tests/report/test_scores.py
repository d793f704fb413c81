import numpy as np

from vaelens.report.scores import scores_sentence


def test_scores_stand_beside_chance_and_an_untrained_copy(analysis_of):
    assert scores_sentence(analysis_of()) == (
        "Scores from 0 to 1 above chance and an untrained copy of the model: circuit modularity 0.625 [0.600, 0.650] "
        "(shuffled 0.500, untrained 0.550) and DCI disentanglement 0.321 [0.300, 0.350] (chance 0.0100, untrained "
        "0.0200); not told from chance: MIG 0.046 [0.040, 0.050] (chance "
        "0.0420, untrained 0.0100)."
    )


def test_what_an_untrained_copy_has_too_is_no_finding(analysis_of):
    analysis = analysis_of()
    analysis.scores["untrained"] = analysis.scores["value"]
    said = scores_sentence(analysis)
    assert said.startswith(
        "Scores from 0 to 1 above chance, but not above an untrained copy of the model: circuit modul"
    )
    assert "; not told from chance: MIG" in said
    analysis.scores["chance"] = np.nan
    assert scores_sentence(analysis).startswith("Scores from 0 to 1 not above an untrained copy of the model: circuit ")


def test_what_lies_below_chance_is_said_to(analysis_of):
    analysis = analysis_of()
    analysis.scores["chance"] = 0.9
    said = scores_sentence(analysis)
    assert said.startswith("Scores from 0 to 1 below chance: circuit modularity 0.625 [0.600, 0.650] (shuffled 0.900, ")
    assert "not told" not in said
    assert "above" not in said


def test_without_an_untrained_copy_chance_stands_alone(analysis_of):
    said = scores_sentence(analysis_of(earlier=True))
    assert "untrained" not in said
    assert said.startswith("Scores from 0 to 1 above chance: circuit modularity 0.625 [0.600, 0.650] (shuffled 0.500)")
    assert said.endswith("; not told from chance: MIG 0.046 [0.040, 0.050] (chance 0.0420).")


def test_scores_without_value_interval_or_level_are_left_to_the_table(analysis_of):
    analysis = analysis_of()
    analysis.scores.loc["circuit_modularity", "value"] = np.nan
    analysis.scores.loc["dci_disentanglement", ["low", "high"]] = np.nan
    analysis.scores.loc["mig", ["chance", "untrained"]] = np.nan
    assert scores_sentence(analysis) is None
    assert "completeness" not in scores_sentence(analysis_of())
