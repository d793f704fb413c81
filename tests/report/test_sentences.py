import re
from pathlib import Path

import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.report import sentences
from vaelens.report.sentences import CONTINUOUS, FEW, FIRST, LAST, MOST, QUANTISED, conditions, headlines

KINDS = {
    "factors": {},
    "of an earlier version": {"earlier": True},
    "observed": {"observed": [3.0, 0.2]},
    "no factors": {"factors": None},
    "many factors": {"factors": [f"attribute_{k}" for k in range(40)]},
    "none active": {"active": [False] * 3},
    "one latent": {"ces": [7.0]},
    "nothing moves": {"ces": [0.0] * 3, "half": 0.0, "moved": np.zeros((2, 3)), "indirect": np.zeros((2, 3))},
    "no values": {"ces": [np.nan] * 3},
    "codebook": {"swaps": [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]},
    "dead codebook": {"codes": (512, 1)},
    "failed": {"checks": {"identity_patch_changes_no_bit": False}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_at_most_eight_each_whole_and_none_of_what_was_not_measured(analysis_of, kind):
    said = sentences(analysis_of(**KINDS[kind]))
    assert 1 <= len(said) <= MOST == 8
    for sentence in said:
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence.endswith(".")
        assert "nan" not in sentence
        assert "—" not in sentence
        assert "None" not in sentence.removeprefix("None of the 3 latents")


@pytest.mark.parametrize("kind", KINDS)
def test_headlines_are_at_most_five_of_them_in_their_order(analysis_of, kind):
    analysis = analysis_of(**KINDS[kind])
    said, few = sentences(analysis), headlines(analysis)
    assert len(few) == min(len(said), FEW)
    assert [sentence for sentence in said if sentence in few] == few


def test_a_failed_check_is_the_first_headline_and_hidden_units_are_none(analysis_of):
    few = headlines(analysis_of(**KINDS["failed"]))
    assert few[0].startswith("The self-check failed")
    assert not any(sentence.startswith("Of the hidden units") for sentence in few)


def test_they_stand_in_one_order_most_general_first(analysis_of):
    starts = [
        sentence.split()[0] for sentence in sentences(analysis_of(checks={"identity_patch_changes_no_bit": False}))
    ]
    assert starts == ["The", "Reconstructions", "Each", "Latent", "By", "Of", "Of", "Scores"]


def test_of_parts_that_are_missing_nothing_is_said(analysis_of):
    analysis = analysis_of()
    for name in list(analysis.effects):
        if name != "patching":
            del analysis.effects[name]
    error, units, scores = sentences(analysis)
    assert error.startswith("Reconstructions of held-out images are off")
    assert units.startswith("Of the hidden units")
    assert scores.startswith("Scores from 0 to 1 above chance")


def test_a_quantised_latent_has_sentences_of_its_own_in_the_place_of_two_others(analysis_of):
    starts = [" ".join(sentence.split()[:2]) for sentence in sentences(analysis_of(**KINDS["codebook"]))]
    assert starts == [
        "Reconstructions of",
        "12 of",
        "Swapping the",
        "Changing one",
        "Of the",
        "Of the",
        "Scores from",
    ]


@pytest.mark.parametrize("sentence", [*FIRST, *CONTINUOUS, *QUANTISED, *LAST])
def test_each_states_when_it_is_printed_and_what_it_rests_on(sentence):
    written = " ".join(str(sentence.__doc__).split())
    assert written.startswith("Says ")
    assert "Printed " in written
    assert "Rests on " in written


def test_what_all_rest_on_is_said_once(analysis_of):
    said = conditions(analysis_of())
    assert said.startswith("Brackets hold 95 % intervals over images. They are of this one trained model")
    assert "Axes of the latent space are not identified" in said
    assert "Axes" not in conditions(
        analysis_of(**KINDS["codebook"])
    )  # no prior, and so none that is the same everywhere


def test_something_else_is_refused():
    with pytest.raises(VaelensError, match=r"expected an Analysis, got a dict; make one with vl\.analyse"):
        sentences({})


def test_the_documentation_lists_each_with_its_condition():
    table = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+_sentence)`", table, re.MULTILINE)
    assert listed == [sentence.__name__ for sentence in (*FIRST, *CONTINUOUS, *QUANTISED, *LAST)]
