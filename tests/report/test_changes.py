import numpy as np
import pytest

from vaelens.report.changes import changes, changes_sentence, is_intervened

TIE = [[1.0, 1.15, 0.2], [0.1, 0.2, 3.0]]


def test_on_a_grid_factors_are_changed_and_latents_ranked_by_d_prime(analysis_of):
    # `latent_effect` of these is largest for other latents.
    assert changes_sentence(analysis_of(moved=TIE)) == (
        "By d′, the distance in standard deviations of the posterior, changing shape moves one of latents 1 and 0 most "
        "(1.15 [1.05, 1.25]); scale latent 2 (3.00 [2.90, 3.10])."
    )


def test_a_factor_that_moves_nothing_is_said_to(analysis_of):
    said = changes_sentence(analysis_of(moved=[[0.0, 0.0, 0.0], [0.1, 0.2, 3.0]]))
    assert said.endswith(
        "changing scale moves latent 2 most (3.00 [2.90, 3.10]); changing shape moves no active latent."
    )
    assert changes_sentence(analysis_of(moved=np.zeros((2, 3)))) == "Changing shape and scale moves no active latent."


def test_inactive_latents_are_not_ranked_and_one_alone_is_not_the_most(analysis_of):
    moved = [[1.0, 9.0, 2.0], [3.0, 9.0, 2.0]]
    said = changes_sentence(analysis_of(active=[True, False, True], moved=moved))
    assert "changing shape moves latent 2 most (2.00 [1.90, 2.10]); scale latent 0 (3.00" in said
    alone = changes_sentence(analysis_of(active=[False, True, False], moved=moved))
    assert "changing shape moves latent 1 (9.00 [8.90, 9.10]); scale latent 1" in alone
    assert "most" not in alone


def test_observed_pairs_are_not_called_changed_and_at_chance_name_no_winner(analysis_of):
    # The effect of shape is 3 above that of pairs alike in it; that of scale is 0.2, with an interval about 0.
    analysis = analysis_of(moved=TIE, observed=[3.0, 0.2])
    assert not is_intervened(analysis)
    assert changes_sentence(analysis) == (
        "By d′, the distance in standard deviations of the posterior, images that differ in shape lie apart most in "
        "one of latents 1 and 0 (1.15 [1.05, 1.25] more than pairs that do not differ in it); images that differ in "
        "scale are not told from pairs that do not."
    )
    meaningless = changes_sentence(analysis_of(factors=("nonsense",), moved=[[0.02, 0.05, 0.0]], observed=[0.1]))
    assert meaningless == "Images that differ in nonsense are not told from pairs that do not."
    confounded = changes_sentence(analysis_of(moved=[[1.0, 1.5, 0.2], [0.05, 0.01, 0.02]], observed=[3.0, 3.0]))
    assert "images that differ in scale are not told" in confounded  # the image differs, but no latent is told to


def test_labels_that_the_images_say_nothing_of_are_not_called_untold(analysis_of):
    analysis = analysis_of(moved=TIE, observed=[3.0, np.nan])
    assert changes_sentence(analysis).endswith(
        " more than pairs that do not differ in it). Of scale nothing can be told from these images: the pairs that "
        "differ in it all differ in other labels too, or share one image."
    )
    nothing = changes_sentence(analysis_of(observed=[np.nan, np.nan]))
    assert nothing.startswith("Of shape and scale nothing can be told from these images: ")


@pytest.mark.parametrize("word", ["hanging", "intervening", "moves"])
def test_no_word_of_intervening_stands_in_what_is_said_of_observed_pairs(analysis_of, word):
    for kind in ({}, {"swaps": [[1.0, 2.0]]}):
        assert word not in changes_sentence(analysis_of(observed=[3.0, 0.2], **kind))


def test_of_an_earlier_version_the_size_of_the_dataset_tells_a_grid(analysis_of):
    grid = analysis_of(earlier=True)  # 3 · 6 images of factors with 3 and 6 values
    assert is_intervened(grid)
    assert changes_sentence(grid).startswith("By d′, the distance in standard deviations of the posterior, changing")
    grid.provenance["dataset"]["length"] = 17
    assert changes_sentence(grid) is None  # chance was not measured, so that nothing can be said
    label = analysis_of(factors=("shape",), earlier=True)
    label.provenance["dataset"] |= {"length": 3, "factor_sizes": [3]}
    assert not is_intervened(label)


def test_manipulations_are_named_with_their_strength(analysis_of):
    assert changes_sentence(analysis_of(factors=None, moved=TIE)).endswith(
        ", blur (strength 2) moves one of latents 1 and 0 most (1.15 [1.05, 1.25]); shift (strength 0.125) latent 2 "
        "(3.00 [2.90, 3.10])."
    )


def test_without_a_variance_the_image_is_spoken_of(analysis_of):
    assert changes_sentence(analysis_of(swaps=[[1.0, 2.0]])) == (
        "Changing one thing in the image moves the reconstruction by 3.0 [2.5, 3.5] (shape) and 4.0 [3.5, 4.5] (scale) "
        "pixel-L2."
    )
    observed = changes_sentence(analysis_of(swaps=[[1.0, 2.0]], observed=[3.0, 0.2]))
    assert observed == (
        "Reconstructions of images that differ in one label lie farther apart than those of pairs that do not, by 3.0 "
        "[2.5, 3.5] (shape) pixel-L2; images that differ in scale are not told from pairs that do not."
    )
    chance = changes_sentence(analysis_of(swaps=[[1.0, 2.0]], observed=[0.2, 0.2]))
    assert chance == "Images that differ in shape and scale are not told from pairs that do not."


def test_of_many_factors_those_are_named_that_change_the_image_most(analysis_of):
    analysis = analysis_of(factors=[f"attribute_{k}" for k in range(40)])
    said = changes_sentence(analysis)
    assert said.startswith("Of 40 factors, the 8 that change the reconstruction most are named. By d′")
    assert [k for k in range(40) if f"attribute_{k} " in said] == list(range(32, 40))
    assert len(changes(analysis)) == 40


def test_alike_reconstructions_and_missing_parts_say_nothing(analysis_of):
    alike = analysis_of()
    alike.effects["latent"].attrs["reference_distance"] = 0.0
    assert changes_sentence(alike) is None
    assert changes_sentence(analysis_of(active=[False] * 3)) is None
    del alike.effects["input"]
    assert changes(alike) == []
