from dataclasses import replace

import numpy as np
import pytest

from vaelens.report.codebook import codebook_sentences
from vaelens.report.sentences import sentences

SWAPS = [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]


def test_a_continuous_latent_has_no_codebook_to_speak_of(made):
    assert codebook_sentences(made()) == []


def test_what_is_said_of_a_codebook(made):
    use, swaps, beside = codebook_sentences(made(swaps=SWAPS))
    assert use == (
        "12 of the codebook's 512 codes are in use on 40 images, as varied as 6.00 codes used evenly (their "
        "perplexity). At one position of 6 all images take the same code."
    )
    assert swaps == (
        "Swapping the code at position (1, 2), by row and column from 0, for another in use moves the image most: CES "
        "8.00 [7.75, 8.25] pixel-L2, 0.800 [0.775, 0.825] times the mean distance between two reconstructions. At "
        "position (0, 0) it moves it least: 1.00 [0.75, 1.25]."
    )
    assert beside == (
        "In units of the mean distance between two reconstructions, setting one latent to values of the range moves "
        "the image by 0.433 on average when it is set at all positions, and by 0.108 when it is set at one; swapping "
        "the whole code of one position moves it by 0.383. The comparison depends on what counts as one unit."
    )


def test_positions_whose_intervals_overlap_are_not_ranked(made):
    _, three, _ = codebook_sentences(made(swaps=[[7.8, 7.9, 3.0], [4.0, 5.0, 8.0]]))
    assert " It can't be told apart from positions (0, 1) and (0, 0): their intervals overlap its own." in three
    _, all_alike, _ = codebook_sentences(made(swaps=np.full((4, 4), 2.0)))
    assert all_alike.endswith(" 15 other positions can't be told apart from it: their intervals overlap its own.")


def test_swaps_without_any_effect(made):
    said = codebook_sentences(made(swaps=np.zeros((2, 2)), half=0.0))
    assert "Swapping a code for another in use changes the image at no position: CES is 0 at all of them." in said


def test_what_can_not_be_compared_is_not(made):
    analysis = made(swaps=SWAPS)
    analysis.scores.loc["ces_relative", "value"] = np.nan
    assert len(codebook_sentences(analysis)) == 2
    without = replace(analysis, scores=analysis.scores.drop(index="ces_relative_one_position"))
    assert len(codebook_sentences(without)) == 2


def test_a_dead_codebook_is_said_to_be_dead(made):
    said = codebook_sentences(made(codes=(512, 1)))
    assert said == [
        "The codebook is dead on these images: all positions take one of its 512 codes, so none can be swapped for "
        "another."
    ]


@pytest.mark.parametrize("kind", [{"swaps": SWAPS}, {"codes": (512, 1)}])
def test_they_stand_among_the_findings(made, kind):
    analysis = made(**kind)
    found = sentences(analysis)
    first = found.index(codebook_sentences(analysis)[0])
    assert found[first - 1].startswith("The change that latent 1 makes is the most concentrated")
