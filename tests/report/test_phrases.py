from vaelens.report.phrases import any_of, of_the_best, the_largest, together
from vaelens.report.ranking import Estimate, Front


def front_of(*names):
    best, *tied = (Estimate(name, 1.0, 0.5, 1.5) for name in names)
    return Front(best, tuple(tied))


def test_names_that_begin_alike_are_joined_and_others_listed():
    assert together(["latent 4", "latent 12"]) == "latents 4 and 12"
    assert together(["position (0, 1)", "position (1, 1)"]) == "position (0, 1) and position (1, 1)"
    assert together(["latent 1", "decoder.0 unit 1"]) == "latent 1 and decoder.0 unit 1"


def test_one_alone_is_named_a_few_are_one_of_them_and_many_are_counted():
    assert any_of(front_of("latent 3")) == "latent 3"
    assert any_of(front_of("latent 3", "latent 1")) == "one of latents 3 and 1"
    assert any_of(front_of(*(f"latent {k}" for k in range(9)))) == "one of 9 latents that can't be told apart"
    assert the_largest(front_of("latent 3")) == "latent 3"
    assert the_largest(front_of("latent 3", "latent 1")) == "one of latents 3 and 1, which can't be told apart,"
    assert of_the_best(front_of("latent 3")) == ""
    assert of_the_best(front_of("latent 3", "latent 1")) == " of latent 3"
