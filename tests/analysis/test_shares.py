import pytest

from vaelens.analysis.shares import shares


def test_a_narrow_model_gives_every_part_its_full_share():
    take = shares(512, latents=10, positions=1)
    assert (take.latent, take.modes, take.recoded, take.changed) == (512, 128, 64, 256)
    assert (take.patched, take.mediated, take.responses, take.scored, take.predicted) == (64, 128, 128, 15_000, 15_000)


@pytest.mark.parametrize("latents", [24, 64, 128])
def test_what_is_swept_of_a_wide_model_grows_no_further(latents):
    take = shares(512, latents, positions=16)
    assert take.latent * latents <= 512 * 12
    assert take.swapped == 256
    assert take.changed == 256  # a change of the input costs the same, however many latents there are


@pytest.mark.parametrize(("images", "fewest"), [(512, 16), (8, 8)])
def test_an_interval_has_images_to_be_drawn_from(images, fewest):
    take = shares(images, latents=4096, positions=4096)
    assert {take.latent, take.modes, take.recoded, take.swapped, take.mediated, take.responses} == {fewest}
    assert (take.scored, take.predicted) == (15_000, 1536)
