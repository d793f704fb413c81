import numpy as np
import pytest
import xarray as xr

from vaelens.report.codebook import code_use, codebook_sentence, swap_sentence
from vaelens.report.codes import code_cards

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


def test_a_card_says_of_a_code_what_was_measured(coded_effects):
    first, last = code_cards(coded_effects)
    assert (first["code"], first["count"], first["share"], first["images"]) == (2, "9 positions", "75.0 %", "3 images")
    assert first["written"]["effect_once"] == {"value": "1.00", "interval": "[0.75, 1.25]"}
    assert [exemplar["where"] for exemplar in first["exemplars"]] == ["image 0, row 0, column 1"]
    assert first["nearest"] == 7
    assert first["places"].startswith("data:image/png;base64,")
    assert "effect" not in last["written"]  # NaN of a code that no image takes
    assert last["exemplars"] == []
    assert code_cards(None) == []


@pytest.fixture
def coded_effects():
    """Two codes on a grid of 2 × 2, the second of which no image takes."""
    numbers = {"effect": 2.0, "effect_once": 1.0, "effect_placed": 4.0, "reach": 0.0}
    variables = {}
    for name, value in numbers.items():
        for end, of in (("", 0.0), ("_low", -0.25), ("_high", 0.25)):
            variables[name + end] = ("code", [value + of, np.nan])
    patch = np.full((2, 1, 1, 6, 6), 0.5)
    patch[:, :, :, 0] = np.nan
    variables |= {
        "count": ("code", [9, 0]),
        "share": ("code", [0.75, 0.0]),
        "images": ("code", [3, 0]),
        "nearest_code": ("code", [7, 2]),
        "nearest_distance": ("code", [0.5, 0.5]),
        "occurrence": (("code", "position"), [[1.0, 0.5, 0.5, 0.25], [0.0] * 4]),
        "exemplar_image": (("code", "exemplar"), [[0], [-1]]),
        "exemplar_position": (("code", "exemplar"), [[1], [-1]]),
        "exemplar_patch": (("code", "exemplar", "channel", "patch_height", "patch_width"), patch),
        "effect_map": (("code", "channel", "height", "width"), np.ones((2, 1, 4, 4))),
    }
    rows, columns = ("position", [0, 0, 1, 1]), ("position", [0, 1, 0, 1])
    return xr.Dataset(variables, {"code": [2, 5], "row": rows, "column": columns})
