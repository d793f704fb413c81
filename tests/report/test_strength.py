import numpy as np

from vaelens.report.strength import range_support, strength_sentence


def test_the_strongest_latent_stands_alone_where_the_best_set_has_no_other(analysis_of):
    assert strength_sentence(analysis_of()) == (
        "Latent 1 moves the image most when set to its value on another one: posterior CES 3.50 [3.38, 3.62] pixel-L2, "
        "where two reconstructions are 10.0 apart."
    )


def test_it_is_ranked_by_posterior_ces_not_by_that_of_the_range(analysis_of):
    analysis = analysis_of(ces=[2.0, 7.0, 4.0])
    latent = analysis.effects["latent"]
    for end in ("", "_low", "_high"):
        latent[f"ces_posterior{end}"] = latent[f"ces_posterior{end}"][[1, 0, 2]].drop_vars("latent")
    latent["ces_posterior_best"] = latent["ces_posterior_best"][[1, 0, 2]].drop_vars("latent")
    assert strength_sentence(analysis).startswith("Latent 0 moves the image most")


def test_a_best_set_of_several_names_them_whatever_their_intervals(analysis_of):
    two = analysis_of(ces=[6.75, 7.0, 4.0])
    assert strength_sentence(two).startswith(
        "One of latents 1 and 0, which can't be told apart, moves the image most when set to its value on another one: "
        "posterior CES 3.50 [3.38, 3.62] pixel-L2 of latent 1, where two reconstructions are 10.0 apart."
    )
    two.effects["latent"]["ces_posterior_best"] = ("latent", np.array([False, True, False]))
    assert strength_sentence(two).endswith("are 10.0 apart.")  # a paired comparison tells what overlap does not
    many = strength_sentence(analysis_of(ces=[5.0] * 12))
    assert many.startswith("One of 12 latents that can't be told apart moves the image most")


def test_of_an_earlier_version_overlapping_intervals_are_not_told_apart(analysis_of):
    said = strength_sentence(analysis_of(ces=[6.75, 7.0, 4.0], earlier=True))
    assert said.startswith("One of latents 1 and 0, which can't be told apart, moves the image most")


def test_where_there_is_nothing_to_compare_nothing_is_the_most(analysis_of):
    one = strength_sentence(analysis_of(ces=[7.0]))
    assert one.startswith("Setting its one latent to its value on another image moves the image: posterior CES 3.50")
    only = strength_sentence(analysis_of(active=[False, True, False]))
    assert only.startswith("Latent 1, the only active one, moves the image when set to its value on another one:")
    assert not any("most" in said for said in (one, only))


def test_inactive_latents_and_those_without_a_value_take_no_part(analysis_of):
    assert strength_sentence(analysis_of(active=[True, False, True])).startswith("Latent 2 moves the image most")
    assert strength_sentence(analysis_of(ces=[np.nan, 7.0, 4.0])).startswith("Latent 1 moves the image most")


def test_no_effect_at_all_is_said(analysis_of):
    assert strength_sentence(analysis_of(ces=[0.0] * 3, half=0.0)) == (
        "No active latent changes the image when set to its value on another one: posterior CES is 0."
    )


def test_nothing_is_said_of_latents_that_carry_nothing_or_of_a_codebook(analysis_of):
    assert strength_sentence(analysis_of(active=[False] * 3)) is None
    assert strength_sentence(analysis_of(information=[0.0, 0.001, 0.002])) is None
    alike = analysis_of()
    alike.effects["latent"].attrs["reference_distance"] = 0.0
    assert strength_sentence(alike) is None
    assert strength_sentence(analysis_of(swaps=[[1.0, 2.0]])) is None


def test_codes_of_the_range_off_the_support_are_said_when_they_are_the_larger_part(analysis_of):
    off = analysis_of(support=0.125)
    assert strength_sentence(off).endswith(
        " Of the codes that mode range sets, for CES and the traversals, only 12 % lie where codes of images do."
    )
    assert range_support(off.effects["latent"]) == 0.125
    assert "lie where" not in strength_sentence(analysis_of(support=0.5))
    assert "lie where" not in strength_sentence(analysis_of(earlier=True))
