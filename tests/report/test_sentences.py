import numpy as np
import pytest

from vaelens.errors import VaelensError
from vaelens.report import sentences


def about(analysis, start):
    """The one sentence that starts so."""
    (found,) = [sentence for sentence in sentences(analysis) if sentence.startswith(start)]
    return found


def test_the_strongest_latent_stands_alone_where_no_interval_reaches_it(made):
    assert about(made(), "Latent") == (
        "Latent 1 moves the image most: CES 7.00 [6.75, 7.25] pixel-L2, 0.700 [0.675, 0.725] times the mean distance "
        "between two reconstructions. Of the active latents, latent 0 moves it least: 2.00 [1.75, 2.25]."
    )


def test_the_most_concentrated_change(made):
    assert about(made(), "The change") == (
        "The change that latent 1 makes is the most concentrated: normalised specificity over pixels "
        "0.350 [0.349, 0.351], where 0 is all pixels alike and 1 a single one."
    )


def test_overlapping_intervals_are_not_ranked(made):
    two = about(made(ces=[6.75, 7.0, 4.0]), "Latent")
    assert "It can't be told apart from latent 0 (6.75 [6.50, 7.00]): the intervals overlap." in two
    assert two.endswith("latent 2 moves it least: 4.00 [3.75, 4.25].")
    three = about(made(ces=[6.75, 7.0, 6.625]), "Latent")
    assert three.endswith(" It can't be told apart from latents 0 and 2: their intervals overlap its own.")
    many = about(made(ces=[5.0] * 12), "Latent 0")
    assert many.endswith(" 11 other latents can't be told apart from it: their intervals overlap its own.")


def test_without_intervals_only_equal_values_are_tied(made):
    assert about(made(ces=[6.999, 7.0, 7.0], half=np.nan), "Latent") == (
        "Latent 1 moves the image most: CES 7.00 pixel-L2, 0.700 times the mean distance between two reconstructions. "
        "It can't be told apart from latent 2 (7.00): the intervals overlap. Of the active latents, latent 0 moves it "
        "least: 7.00."
    )


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        ([True, True, True], "All 3 latents are active (KL above 0.01 nat)."),
        ([True, False, True], "2 of 3 latents are active (KL above 0.01 nat); latent 1 is not."),
        ([False, True, False], "1 of 3 latents is active (KL above 0.01 nat); latents 0 and 2 are not."),
        ([False] * 3, "None of the 3 latents is active (KL above 0.01 nat), so they are not ranked here."),
    ],
)
def test_activity(made, active, expected):
    assert expected in sentences(made(active=active))


def test_activity_without_a_variance_names_the_other_rule(made):
    analysis = made()
    analysis.effects["latent"] = analysis.effects["latent"].drop_vars("kl")
    assert about(analysis, "All 3") == "All 3 latents are active (code spread above a thousandth of the largest)."


def test_inactive_latents_are_not_ranked(made):
    found = sentences(made(active=[True, False, True], moved=[[1.0, 9.0, 2.0], [3.0, 9.0, 2.0]]))
    assert any(sentence.startswith("Latent 2 moves the image most") for sentence in found)
    assert any(sentence.startswith("Changing shape moves latent 2 most, by 2.00 [1.90, 2.10]") for sentence in found)
    assert not any("latent 1 " in sentence for sentence in found if "Changing" in sentence)


def test_no_active_latent_leaves_out_what_ranks_them(made):
    found = sentences(made(active=[False] * 3))
    assert not any(word in sentence for sentence in found for word in ("moves", "concentrated", "indirect"))
    assert any("recovers the largest" in sentence for sentence in found)


def test_no_effect_at_all_is_said(made):
    found = sentences(made(ces=[0.0, 0.0, 0.0], half=0.0, moved=np.zeros((2, 3))))
    assert "No active latent changes the image: CES is 0 for all of them." in found
    assert any(sentence.startswith("Changing shape moves no active latent.") for sentence in found)


def test_latents_without_a_value_take_no_part(made):
    found = sentences(made(ces=[np.nan, 7.0, np.nan]))
    assert any(sentence.startswith("Latent 1 moves the image most: CES 7.00 [6.75, 7.25]") for sentence in found)
    assert not any("nan" in sentence for sentence in found)


def test_factors_with_what_passes_through_which_latent(made):
    found = made(moved=[[1.0, 1.15, 0.2], [0.1, 0.2, 3.0]], indirect=[[0.3, 0.5, 0.1], [0.04, 0.03, 0.02]])
    assert about(found, "Changing shape") == (
        "Changing shape moves latent 1 most, by 1.15 [1.05, 1.25] standard deviations. It can't be told apart from "
        "latent 0 (1.00 [0.90, 1.10]): the intervals overlap. Of its effect on the image, the largest part through one "
        "latent goes through latent 1: indirect fraction 0.50 [0.45, 0.55]."
    )
    assert about(found, "Changing scale") == (
        "Changing scale moves latent 2 most, by 3.00 [2.90, 3.10] standard deviations. No single latent carries a part "
        "of its effect on the image that its interval tells from 0: the largest indirect fraction is 0.04 "
        "[−0.01, 0.09] (latent 0)."
    )


def test_a_long_list_of_factors_is_cut_to_those_that_change_the_image_most(made):
    found = sentences(made(factors=[f"attribute_{k}" for k in range(40)]))
    assert "Of 40 factors, the 8 that change the reconstruction most are named here." in found
    assert [s.split()[1] for s in found if s.startswith("Changing")] == [f"attribute_{k}" for k in range(32, 40)]


def test_without_factors(made):
    found = sentences(made(factors=None))
    assert any(
        s.startswith("The manipulation shift (strength 0.125) moves latent 2 most, by 3.00 [2.90, 3.10]") for s in found
    )
    assert (
        "Of what putting in another image changes, the largest part through one latent goes through latent 2: "
        "indirect fraction 0.80 [0.75, 0.85]."
    ) in found
    assert found[-1] == "DCI, MIG and the like are not computed: the dataset has no factors."


def test_units_of_encoder_and_decoder_are_ranked_apart(made):
    found = made()
    assert about(found, "Of 7 units") == (
        "Of 7 units after the encoder, decoder.0 unit 3 recovers the largest fraction of another image's "
        "reconstruction when patched alone: 0.500 [0.499, 0.501], where a typical unit of its site recovers 0.0625."
    )
    assert "encoder.1 unit 69 recovers the largest fraction of another image's code" in about(found, "Of 73 units")


def test_units_that_recover_nothing_are_not_named(made):
    analysis = made()
    patching = analysis.effects["patching"]
    patching["recovered_low"] = patching["recovered_low"] - 1
    assert (
        "Patched alone, no unit in the encoder recovers a part of another image's code that its interval tells from 0."
        in sentences(analysis)
    )
    patching["recovered"] = patching["recovered"] * np.nan
    assert not any("recovers" in sentence for sentence in sentences(analysis))


def test_one_patched_site_reads_back_from_netcdf_as_a_string(made):
    analysis = made(sites={"decoder.0": 4})
    analysis.effects["patching"].attrs["outcomes"] = "decoder.0: image"
    assert about(analysis, "Of 4 units").startswith(
        "Of 4 units after the encoder, decoder.0 unit 3 recovers the largest fraction"
    )


def test_scores_that_are_not_defined_are_said_to_be_so(made):
    found = sentences(made())
    assert "Against the factors, each from 0 to 1: DCI disentanglement 0.321 and MIG 0.0456." in found
    assert "DCI completeness is not computed: it compares latents, and there is only 1." in found


def test_modularity_of_too_few_latents_is_said_to_be_missing(made):
    analysis = made()
    analysis.scores.loc["circuit_modularity", "value"] = np.nan
    analysis.scores.loc["circuit_modularity", "made"] = "not computed: only 1 active latent drives units"
    assert about(analysis, "Circuit modularity") == (
        "Circuit modularity is not defined here: only 1 active latent drives units."
    )


def test_a_failed_check_comes_first(made):
    first = sentences(made(checks={"identity_patch_changes_no_bit": False}))[0]
    assert first == "The self-check failed (identity patch changes no bit): the numbers below can't be relied on."


def test_something_else_is_refused():
    with pytest.raises(VaelensError, match=r"expected an Analysis, got a dict; make one with vl\.analyse"):
        sentences({})


def test_a_score_stands_beside_chance_and_one_not_above_it_is_no_finding(made):
    analysis = made()
    analysis.scores.loc["dci_disentanglement", ["low", "high", "chance"]] = [0.3, 0.35, 0.01]
    analysis.scores.loc["mig", ["low", "high", "chance"]] = [0.04, 0.05, 0.042]
    found = sentences(analysis)
    assert (
        "Against the factors, each from 0 to 1: DCI disentanglement 0.321 [0.300, 0.350] (by chance 0.0100)." in found
    )
    assert "Not told from what chance alone gives: MIG 0.046 [0.040, 0.050] (by chance 0.0420)." in found
    analysis.scores.loc["circuit_modularity", "chance"] = 0.75
    assert about(analysis, "Circuit").startswith(
        "Circuit modularity is 0.625, where units that are shuffled within each site have 0.750 (3 active latents, 20 "
        "images): 1 when"
    )


def test_all_reconstructions_alike_are_said_to_be(made):
    analysis = made()
    analysis.effects["latent"].attrs["reference_distance"] = 0.0
    assert about(analysis, "All reconstructions are alike").endswith("that a latent or a unit could carry.")
    assert not any("alike:" in sentence for sentence in sentences(made()))


def test_one_latent_has_nothing_to_be_compared_with(made):
    found = sentences(made(ces=[7.0]))
    assert "Its one latent is active (KL above 0.01 nat); there is no other to compare it with." in found
    assert any(sentence.startswith("Setting its latent moves the image: CES 7.00") for sentence in found)
    assert any(
        sentence == "Changing shape moves latent 0 by 0.50 [0.40, 0.60] standard deviations." for sentence in found
    )
    assert not any("concentrated" in sentence or "indirect" in sentence for sentence in found)


def test_the_only_active_latent_is_said_to_be_so(made):
    assert about(made(active=[False, True, False]), "Latent 1").startswith(
        "Latent 1, the only one that is active, moves the image: CES 7.00"
    )


def test_of_parts_that_are_missing_nothing_is_said(made):
    analysis = made()
    for name in ("latent", "modes", "recoded", "input", "importance"):
        del analysis.effects[name]
    found = sentences(analysis)
    assert not any("moves" in sentence or "Against" in sentence for sentence in found)
    assert any(sentence.startswith("Of 7 units after the encoder") for sentence in found)
