"""Sequential stopping: the numbers of a sweep over the same images, stopped as early as the tolerance allows."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects import sweep as sweeping
from vaelens.lens import other_images

SIDE, LATENTS = 4, 3


@pytest.fixture(scope="module")
def lens():
    """A small VAE whose images are in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = nn.Linear(SIDE * SIDE, 2 * LATENTS), nn.Linear(LATENTS, SIDE * SIDE)
    with torch.no_grad():
        for parameter in (*encoder.parameters(), *decoder.parameters()):
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 3)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    return vl.Lens(
        model,
        lambda x: encoder(x.flatten(1)).chunk(2, dim=1),
        lambda z: torch.sigmoid(decoder(z)).view(-1, 1, SIDE, SIDE),
        torch.zeros(1, 1, SIDE, SIDE),
    )


def images(n, seed=0):
    return torch.rand(n, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


def changes(lens, x):
    """Each image's effect by hand, mean over the 7 values, (n, latents)."""
    z, found = lens.encode(x), []
    for latent in range(LATENTS):
        of_value = []
        for value in np.linspace(-3, 3, 7):
            edited = z.clone()
            edited[:, latent] = value
            of_value.append((lens.decode(edited) - lens.decode(z)).flatten(1).norm(dim=1))
        found.append(torch.stack(of_value).mean(dim=0))
    return torch.stack(found, dim=1).numpy()


def test_it_stops_as_soon_as_the_sequence_is_narrow_enough(lens):
    x = images(3000)
    effects = vl.latent_effects(lens, x, tolerance=0.15, seed=5, progress=False)
    used = effects.attrs["images"]
    assert 64 < used < 3000
    assert used % 64 == 0
    assert (effects.attrs["images_given"], effects.attrs["tolerance"]) == (3000, 0.15)
    assert effects.attrs["tolerance_reached"] == 1
    half = (effects.ces_high - effects.ces_low).values / 2
    assert half.max() <= 0.15
    # Independently: a sequence that is given the same images' effects is still too wide 64 images before, and no more.
    order = np.random.default_rng((5, 2)).permutation(3000)[:used]
    sequence = vl.statistics.ConfidenceSequence((LATENTS,), (0, 4.0), 1 - 0.05 / LATENTS)
    for batch in np.split(changes(lens, x)[order], used // 64):
        assert np.subtract(*sequence.interval()[::-1]).max() / 2 > 0.15
        sequence.update(batch)
    np.testing.assert_allclose([effects.ces_low, effects.ces_high], sequence.interval(), rtol=1e-4)
    np.testing.assert_allclose(effects.ces, sequence.mean, rtol=1e-5)


def test_what_it_measures_is_that_of_the_images_used(lens, same):
    x = images(900)
    stopped = vl.latent_effects(lens, x, tolerance=0.3, seed=1, progress=False)
    used = np.random.default_rng((1, 2)).permutation(900)[: stopped.attrs["images"]]
    assert len(used) < 512  # so that the reference distance is over all pairs
    alone = vl.latent_effects(lens, x[used], seed=1, progress=False)
    # In the order in which they were taken, resamples are the same; other images are drawn among all.
    other = ("ces_posterior", "kl_", "support", "cycle_error", "removal_cost", "information", "specificity_baseline")
    differing = ["ces_low", "ces_high", *(name for name in alone if str(name).startswith(other))]
    same(stopped.drop_vars(differing), alone.drop_vars(differing), rtol=1e-5, atol=1e-6)
    (z, logvar), others = lens.posterior(x), other_images(900, 1)
    noise = torch.from_numpy(np.random.default_rng((1, 3, 0)).standard_normal(z.shape, dtype=np.float32))
    samples = z + (logvar / 2).exp() * noise
    for latent in range(LATENTS):
        changed = z[used].clone()
        changed[:, latent] = samples[others[used], latent]
        moved = (lens.decode(changed) - lens.decode(z[used])).flatten(1).norm(dim=1).mean()
        np.testing.assert_allclose(stopped.ces_posterior[latent], moved, rtol=1e-5)
    np.testing.assert_allclose(stopped.attrs["reference_distance"], alone.attrs["reference_distance"], rtol=1e-5)


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
def test_too_few_images_are_all_used_and_give_the_usual_numbers(lens, mode):
    x = images(150)
    with pytest.warns(
        vl.VaelensWarning, match=r"tolerance 0.01 is not reached: all 150 images leave the CES of latent"
    ):
        asked = vl.latent_effects(lens, x, mode=mode, tolerance=0.01, progress=False)
    usual = vl.latent_effects(lens, x, mode=mode, progress=False)
    assert (asked.attrs["images"], asked.attrs["images_given"], asked.attrs["tolerance_reached"]) == (150, 150, 0)
    for name in usual.variables:
        if not name.endswith(("_low", "_high", "_resampled")):  # images in another order have other resamples
            np.testing.assert_allclose(asked[name], usual[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert (asked.ces_low < usual.ces).all()
    assert (asked.ces_high > usual.ces).all()
    assert "tolerance" not in usual.attrs


def test_groups_of_latents_stop_together(lens, same, monkeypatch):
    x = images(900)
    whole = vl.latent_effects(lens, x, tolerance=0.3, progress=False)
    monkeypatch.setattr(sweeping, "_PICTURE_BYTES", 1)  # one latent a group
    same(vl.latent_effects(lens, x, tolerance=0.3, progress=False), whole)


def test_swaps_and_positions_stop_too():
    generator = torch.Generator().manual_seed(0)
    encoder, decoder = nn.Conv2d(1, 2, 2, 2), nn.ConvTranspose2d(2, 1, 2, 2)
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    codebook = torch.randn(8, 2, generator=generator) / 2
    lens = vl.Lens(
        model, encoder, lambda z: torch.sigmoid(decoder(z)), torch.zeros(1, 1, SIDE, SIDE), codebook=codebook
    )
    x = images(2000)
    for options in ({"mode": "swap"}, {"positions": "one"}):
        effects = vl.latent_effects(lens, x, tolerance=0.2, progress=False, **options)
        assert effects.attrs["images"] < 2000
        assert effects.attrs["codes_used"] <= 8


def test_the_mean_over_all_images_is_covered(lens):
    x = images(4000)
    truth = changes(lens, x).mean(axis=0)
    for seed in range(4):
        effects = vl.latent_effects(lens, x, tolerance=0.3, seed=seed, progress=False)
        assert (effects.ces_low.values <= truth).all()
        assert (truth <= effects.ces_high.values).all()


def test_a_strength_says_how_many_images_it_took(lens):
    x = images(900)
    strength = vl.causal_effect_strength(lens, x, tolerance=0.3, progress=False)
    effects = vl.latent_effects(lens, x, tolerance=0.3, progress=False)
    np.testing.assert_array_equal(strength, effects.ces)
    assert strength.attrs == {
        "long_name": effects.ces.attrs["long_name"],
        "units": "pixel-L2",
        "images": effects.attrs["images"],
        "images_given": 900,
        "tolerance": 0.3,
        "tolerance_reached": 1,
    }
    assert set(vl.causal_effect_strength(lens, x[:9], progress=False).attrs) == {"long_name", "units"}


def test_progress_ends_at_the_end(lens):
    seen = []
    vl.latent_effects(lens, images(900), tolerance=0.3, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (900 * LATENTS * 8, 900 * LATENTS * 8)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_a_record_with_a_tolerance_is_stored(lens, tmp_path):
    effects = vl.latent_effects(lens, images(900), tolerance=0.3, progress=False)
    effects.to_netcdf(tmp_path / "effects.nc", engine="h5netcdf")
    assert (tmp_path / "effects.nc").stat().st_size > 0


@pytest.mark.parametrize("tolerance", [0, -1.0, True, "small", float("nan"), float("inf")])
def test_a_tolerance_is_positive(lens, tolerance):
    with pytest.raises(vl.VaelensError, match=r"tolerance is .*; expected a positive number"):
        vl.latent_effects(lens, images(2), tolerance=tolerance, progress=False)


def test_images_beyond_0_and_1_have_no_guarantee():
    model = nn.ModuleDict({"encoder": nn.Linear(16, 2), "decoder": nn.Linear(2, 16)})
    with torch.no_grad():
        model["decoder"].weight.fill_(5.0)
    lens = vl.Lens(
        model,
        lambda x: model["encoder"](x.flatten(1)),
        lambda z: model["decoder"](z).view(-1, 1, 4, 4),
        torch.zeros(1, 1, 4, 4),
    )
    with pytest.raises(
        vl.VaelensError, match=r"images in \[0, 1\] are at most 4 apart: this model decodes to values outside"
    ):
        vl.latent_effects(lens, images(9), tolerance=0.3, progress=False)
