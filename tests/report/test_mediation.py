import numpy as np

from vaelens.report.mediation import mediation_sentence, passes_another_image

MOVED = [[0.1, 1.5, 0.2], [0.1, 0.2, 3.0]]


def test_the_latent_with_the_largest_fraction_and_whether_d_prime_names_it(analysis_of):
    assert mediation_sentence(analysis_of(moved=MOVED, indirect=[[0.3, 0.5, 0.1], [0.5, 0.2, 0.3]])) == (
        "Of the effect on the image, the largest fraction through one latent goes through a latent that d′ names too "
        "for shape (latent 1: 0.50 [0.45, 0.55]); through another latent than d′ names for scale (latent 0: 0.50 "
        "[0.45, 0.55])."
    )


def test_sets_that_cannot_be_told_apart_agree_where_they_have_one_in_common(analysis_of):
    said = mediation_sentence(analysis_of(moved=MOVED, indirect=[[0.55, 0.5, 0.1], [0.1, 0.2, 0.5]]))
    assert "names too for shape (one of latents 0 and 1: 0.55 [0.50, 0.60]) and scale (latent 2: 0.50" in said


def test_fractions_not_told_from_zero_name_no_latent(analysis_of):
    said = mediation_sentence(analysis_of(moved=MOVED, indirect=[[0.3, 0.5, 0.1], [0.04, 0.03, 0.02]]))
    assert said.endswith("; through none that is told from 0 for scale.")
    none = mediation_sentence(analysis_of(moved=MOVED, indirect=np.full((2, 3), 0.01)))
    assert none == "Of the effect on the image, no latent alone passes on a fraction told from 0, for shape and scale."


def test_observed_factors_at_chance_are_left_out(analysis_of):
    said = mediation_sentence(analysis_of(moved=MOVED, observed=[3.0, 0.2]))
    assert said.startswith("Of the difference between images that differ in one factor, the largest fraction")
    assert "scale" not in said
    assert mediation_sentence(analysis_of(moved=MOVED, observed=[0.2, 0.2])) is None
    unknown = analysis_of(earlier=True)
    unknown.provenance["dataset"]["length"] = 17
    assert mediation_sentence(unknown) is None


def test_without_d_prime_the_latents_are_named_alone(analysis_of):
    said = mediation_sentence(analysis_of(swaps=[[1.0, 2.0]], indirect=[[0.3, 0.5, 0.1], [0.5, 0.2, 0.3]]))
    assert said == (
        "Of the effect on the image, the largest fraction through one latent goes through latent 1 for shape (0.50 "
        "[0.45, 0.55]) and latent 0 for scale (0.50 [0.45, 0.55])."
    )


def test_another_image_is_the_treatment_where_there_are_no_factors(analysis_of):
    analysis = analysis_of(factors=None)
    assert passes_another_image(analysis)
    assert not passes_another_image(analysis_of())
    assert mediation_sentence(analysis) == (
        "Of what another image changes, the largest fraction that one latent alone passes on is 0.80 [0.75, 0.85], "
        "through latent 2."
    )
    assert mediation_sentence(analysis_of(factors=None, indirect=[[0.01, 0.02, 0.03]])) == (
        "Of what another image changes, no latent alone passes on a fraction that its interval tells from 0: the "
        "largest is 0.03 [−0.02, 0.08] (latent 2)."
    )


def test_where_one_latent_is_active_nothing_is_compared(analysis_of):
    assert mediation_sentence(analysis_of(ces=[7.0])) is None
    assert mediation_sentence(analysis_of(active=[False, True, False])) is None
    assert mediation_sentence(analysis_of(active=[False] * 3)) is None
