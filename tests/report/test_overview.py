import numpy as np
import pytest

from vaelens.report.overview import (
    carries_nothing,
    check_sentence,
    informative,
    latents_sentence,
    reconstruction_sentence,
)


def test_the_failed_checks_are_named_and_passed_ones_not_spoken_of(analysis_of):
    failed = check_sentence(analysis_of(checks={"identity_patch_changes_no_bit": False, "whole_latent": True}))
    assert failed == "The self-check failed (identity patch changes no bit): the numbers below can't be relied on."
    assert check_sentence(analysis_of()) is None


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ("held out", "Reconstructions of held-out images are off by a mean squared error of 0.0123 [0.0101, 0.0145]"),
        ("seen", "Reconstructions of images that the model was trained on are off by a mean squared error of 0.0123"),
        ("unknown", "whether the model was trained on these images is not recorded."),
    ],
)
def test_the_error_says_whether_its_images_were_trained_on(analysis_of, seen, expected):
    assert expected in reconstruction_sentence(analysis_of(seen=seen))


def test_an_analysis_of_an_earlier_version_does_not_know_what_was_trained_on(analysis_of):
    analysis = analysis_of()
    del analysis.provenance["images_seen_in_training"]
    assert "is not recorded" in reconstruction_sentence(analysis)


def test_all_reconstructions_alike_are_said_to_be_in_place_of_the_error(analysis_of):
    analysis = analysis_of()
    analysis.effects["latent"].attrs["reference_distance"] = 0.0
    assert reconstruction_sentence(analysis) == (
        "All reconstructions are alike (mean squared error 0.0123 [0.0101, 0.0145] a pixel): the model returns the "
        "same image whatever it is shown, so no latent and no unit can carry a difference between two images."
    )
    assert "alike" not in reconstruction_sentence(analysis_of())


def test_the_fewest_latents_that_carry_the_information_and_what_the_others_cost(analysis_of):
    # 3 + 5 + 1.5 of 10 nats are the fewest that reach 95 %; of the other two the costs are 3 and 2 nats.
    said = latents_sentence(analysis_of(ces=[1.0] * 5, information=[3.0, 0.3, 5.0, 0.2, 1.5]))
    assert said == (
        "3 of 5 latents carry 95 % of the information about the image, 9.50 nats in sum; removing any one of the other "
        "two costs at most 3.00 [2.90, 3.10] nat of the reconstruction (latent 1)."
    )
    one = latents_sentence(analysis_of(ces=[1.0] * 2, information=[9.9, 0.1]))
    assert one == (
        "1 of 2 latents carries 99 % of the information about the image, 9.90 nats in sum; removing latent 1 costs "
        "1.00 [0.90, 1.10] nat of the reconstruction."
    )


def test_the_latents_that_the_analysis_calls_informative_come_first(analysis_of):
    analysis = analysis_of(information=[3.0, 0.5, 5.0])
    analysis.effects["latent"]["informative"] = ("latent", np.array([False, False, True]))
    assert latents_sentence(analysis).startswith("1 of 3 latents carries 59 % of the information")
    assert informative(analysis.effects["latent"]).tolist() == [False, False, True]


def test_information_as_large_as_it_can_be_estimated_is_a_lower_bound(analysis_of):
    analysis = analysis_of()
    analysis.effects["latent"].attrs["information_limit"] = np.log(25)  # 3.22 nats, and one latent has 3
    assert "at least 6.00 nats in sum" in latents_sentence(analysis)


def test_latents_that_all_carry_and_one_alone_and_none(analysis_of):
    assert (
        latents_sentence(analysis_of())
        == "Each of the 3 latents carries information about the image, 6.00 nats in sum."
    )
    assert latents_sentence(analysis_of(ces=[7.0])) == (
        "Its one latent carries 1.00 nats of information about the image; there is no other to compare it with."
    )
    dead = analysis_of(information=[0.001, 0.002, 0.0])
    assert latents_sentence(dead) == (
        "None of the 3 latents is informative: the most information about the image is 0.00200 nat (latent 1), so they "
        "are not ranked here."
    )
    assert latents_sentence(analysis_of(ces=[7.0], information=[0.002])) == (
        "Its one latent is not informative: it carries 0.00200 nat of information about the image."
    )
    assert carries_nothing(dead)
    assert not carries_nothing(analysis_of())
    assert carries_nothing(analysis_of(active=[False] * 3, earlier=True))


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ([True, True, True], "All 3 latents are active (KL above 0.01 nat)."),
        ([True, False, True], "2 of 3 latents are active (KL above 0.01 nat); latent 1 is not."),
        ([False, True, False], "1 of 3 latents is active (KL above 0.01 nat); latents 0 and 2 are not."),
        ([False] * 3, "None of the 3 latents is active (KL above 0.01 nat), so they are not ranked here."),
    ],
)
def test_without_information_the_active_latents_are_counted(analysis_of, active, expected):
    assert latents_sentence(analysis_of(active=active, earlier=True)) == expected


def test_activity_without_a_variance_names_the_other_rule(analysis_of):
    analysis = analysis_of(earlier=True)
    analysis.effects["latent"] = analysis.effects["latent"].drop_vars("kl")
    assert latents_sentence(analysis) == "All 3 latents are active (code spread above a thousandth of the largest)."
