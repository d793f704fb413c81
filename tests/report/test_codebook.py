import numpy as np

from vaelens.report.codebook import code_use, codebook_sentence, swap_sentence

SWAPS = [[1.0, 2.0, 3.0], [4.0, 5.0, 8.0]]


def test_a_continuous_latent_has_no_codebook_to_speak_of(analysis_of):
    assert code_use(analysis_of()) == {}
    assert codebook_sentence(analysis_of()) is None
    assert swap_sentence(analysis_of()) is None


def test_what_is_said_of_a_codebook(analysis_of):
    assert codebook_sentence(analysis_of(swaps=SWAPS)) == (
        "12 of the codebook's 512 codes are in use on 40 images, as varied as 6.00 codes used evenly (their "
        "perplexity); at one position of 6 all images take the same code."
    )


def test_where_a_swap_moves_the_image_most(analysis_of):
    assert swap_sentence(analysis_of(swaps=SWAPS)) == (
        "Swapping the code at position (1, 2), by row and column from 0, for another in use moves the image most: CES "
        "8.00 [7.75, 8.25] pixel-L2, where two reconstructions are 10.0 apart."
    )
    tied = swap_sentence(analysis_of(swaps=[[7.8, 7.9, 3.0], [4.0, 5.0, 8.0]]))
    assert tied.startswith(
        "Swapping the code at one of position (1, 2), position (0, 1) and position (0, 0), which can't be told apart, "
        "for another in use moves the image most: CES 8.00 [7.75, 8.25] pixel-L2 of position (1, 2), where two"
    )
    all_alike = swap_sentence(analysis_of(swaps=np.full((4, 4), 2.0)))
    assert all_alike.startswith("Swapping the code at one of 16 positions that can't be told apart for another in use")


def test_of_one_position_nothing_is_the_most(analysis_of):
    said = swap_sentence(analysis_of(swaps=[[2.0]]))
    assert said.startswith(
        "Swapping the code of the latent's one position for another in use moves the image: CES 2.00"
    )


def test_swaps_without_any_effect(analysis_of):
    said = swap_sentence(analysis_of(swaps=np.zeros((2, 2)), half=0.0))
    assert said == "Swapping a code for another in use changes the image at no position: CES is 0 at all of them."


def test_a_dead_codebook_is_said_to_be_dead(analysis_of):
    dead = analysis_of(codes=(512, 1))
    assert swap_sentence(dead) is None
    assert codebook_sentence(dead) == (
        "The codebook is dead on these images: all positions take one of its 512 codes, so none can be swapped for "
        "another."
    )


def test_alike_reconstructions_have_no_strongest_position(analysis_of):
    alike = analysis_of(swaps=SWAPS)
    alike.effects["latent"].attrs["reference_distance"] = 0.0
    assert swap_sentence(alike) is None
