"""What latents tell of images, what their removal costs, and how concentrated their effects are image by image."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.statistics import posterior_information


def test_information_is_that_of_the_posteriors(linear, intervals):
    model = linear(images=50, logvar=[-6.0, 0.0, 9.0])
    effects = vl.latent_effects(model.lens, model.x, seed=2, progress=False)
    expected = posterior_information(model.z, np.broadcast_to([-6.0, 0.0, 9.0], (50, 3)), seed=2)
    np.testing.assert_allclose(effects.information, expected.nats, rtol=1e-5)
    np.testing.assert_allclose(effects.information_low, expected.low, rtol=1e-4, atol=1e-6)
    assert effects.attrs["information_limit"] == pytest.approx(np.log(50))
    assert effects.information[0] > effects.information[1] > effects.information[2]
    intervals(effects, "information")


def test_a_latent_that_is_active_by_its_divergence_can_tell_nothing(linear_of):
    # the posterior of the second latent is the same for all images, and far from the prior
    lens = linear_of([[3.0, 0, 0, 0], [0, 0, 0, 0]], np.eye(4, 2), c=[0, 2.0], shape=(1, 2, 2), logvar=[-2.0, -2.0])
    effects = vl.latent_effects(lens, torch.rand(30, 1, 2, 2))
    assert effects.active.values.tolist() == [True, True]
    assert float(effects.kl[1]) > 1
    assert float(effects.information[1]) == pytest.approx(0, abs=1e-9)
    assert float(effects.removal_cost[1]) == pytest.approx(0, abs=1e-9)
    assert float(effects.information[0]) > 0.5


def test_removal_costs_half_the_squared_error_more(linear, intervals):
    model = linear(images=40)
    effects = vl.latent_effects(model.lens, model.x)
    x = model.x.flatten(1).numpy()
    base = ((model.z @ model.w.T + model.b - x) ** 2).sum(axis=1) / 2
    for latent in range(3):
        removed = model.z.copy()
        removed[:, latent] = model.z[:, latent].mean()
        cost = (((removed @ model.w.T + model.b - x) ** 2).sum(axis=1) / 2 - base).mean()
        assert float(effects.removal_cost[latent]) == pytest.approx(cost, rel=1e-5)
    assert effects.attrs["likelihood"] == "squared error / 2"
    assert effects.attrs["removal_images"] == 40
    intervals(effects, "removal_cost")


def test_of_many_images_removal_is_measured_on_every_second(linear):
    model = linear(images=101)
    effects = vl.latent_effects(model.lens, model.x, progress=False)
    assert effects.attrs["removal_images"] == 51
    x, z = model.x.flatten(1).numpy()[::2], model.z[::2]
    base = ((z @ model.w.T + model.b - x) ** 2).sum(axis=1) / 2
    z = z.copy()
    z[:, 1] = model.z[:, 1].mean()
    expected = (((z @ model.w.T + model.b - x) ** 2).sum(axis=1) / 2 - base).mean()
    assert float(effects.removal_cost[1]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_vae_of_ours_has_its_own_likelihood(likelihood):
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2, likelihood=likelihood).double()
    with torch.no_grad():
        for weights in model.parameters():
            weights.mul_(2.5)
    x = torch.rand(6, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    effects = vl.latent_effects(vl.Lens(model), x)
    with torch.no_grad():
        z = model.encode(x)[0]
        losses = []
        for latent in (None, 0, 1):
            changed = z.clone()
            if latent is not None:
                changed[:, latent] = z[:, latent].mean()
            mean = model.mean(model.decoder(changed))
            if likelihood == "bernoulli":
                loss = -(x * mean.log() + (1 - x) * (1 - mean).log()).flatten(1).sum(dim=1)
            else:
                loss = (x - mean).square().flatten(1).sum(dim=1) / 2
            losses.append(float(loss.mean()))
    np.testing.assert_allclose(effects.removal_cost, np.array(losses[1:]) - losses[0], rtol=1e-5)
    assert effects.attrs["likelihood"] == likelihood


# Specificity image by image


def entropy(p):
    p = p[p > 0] / p.sum()
    return -(p * np.log(p)).sum()


@pytest.mark.parametrize("over", ["pixels", "latents"])
def test_specificity_per_image_is_the_mean_over_images(joined, layer, over, intervals):
    rng = np.random.default_rng(0)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), layer(rng.normal(size=(3, 4))))
    decoder = torch.nn.Sequential(layer(rng.normal(size=(4, 3))), torch.nn.ReLU(), torch.nn.Unflatten(1, (1, 2, 2)))
    x = torch.rand(8, 1, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lens = vl.Lens(joined(encoder, decoder), encoder, decoder, example=x)
    effects = vl.latent_effects(lens, x, over=over, values=[-1.0, 2.0])
    z = lens.encode(x)
    unit = z.std(dim=0, correction=0).numpy()

    def outputs(codes):
        images = lens.decode(codes)
        return images.flatten(1).numpy() if over == "pixels" else lens.encode_any(images) / unit

    def encode_any(images):
        with torch.no_grad():
            return encoder(images).numpy()

    lens.encode_any = encode_any
    for latents in ([0], [1], [2], [0, 1, 2]):
        changes = np.zeros((8, 4 if over == "pixels" else 3))
        for value in (-1.0, 2.0):
            changed = z.clone()
            changed[:, latents] = value
            changes += np.abs(outputs(changed) - outputs(z)) / 2
        scores = [1 - entropy(change) / np.log(len(change)) for change in changes if change.any()]
        name = "specificity_per_image" if len(latents) == 1 else "specificity_baseline"
        at = latents[0] if len(latents) == 1 else slice(None)
        np.testing.assert_allclose(effects[name][at], np.mean(scores), rtol=1e-6)
    intervals(effects, "specificity_per_image", "specificity_baseline")


def test_a_mean_over_images_smears_what_every_image_has_in_one_place(joined, layer):
    # each image is one bright pixel, and the latent its brightness: decoded at its place by gates of the other latents
    class Gated(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

        def forward(self, z):
            return (z[:, :1] * (z[:, 1:] > 0.5)).reshape(-1, 1, 2, 2)

    x = torch.eye(4, dtype=torch.float64).reshape(4, 1, 2, 2)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), layer(np.vstack([np.ones(4), np.eye(4)])))
    decoder = Gated()
    lens = vl.Lens(joined(encoder, decoder), encoder, decoder, example=x)
    effects = vl.latent_effects(lens, x, values=[3.0])
    assert float(effects.specificity_normalised[0]) == pytest.approx(0, abs=1e-7)
    assert float(effects.specificity_per_image[0]) == pytest.approx(1)


def test_images_that_do_not_change_count_for_nothing(coded):
    # code 1 at one position of one image: only there a value of 0.2 changes a code
    model = coded([[0.0], [1.0]])
    x = torch.zeros(5, 1, 2, 2, dtype=torch.float64)
    x[2, 0, 1, 1] = 1.0
    effects = vl.latent_effects(model.lens, x, values=[0.2])
    assert float(effects.specificity_per_image[0]) == pytest.approx(1)
    still = vl.latent_effects(model.lens, x * 0, values=[0.2])
    assert np.isnan(still.specificity_per_image).all()
    assert np.isnan(still.specificity_baseline).all()


def test_swaps_at_all_positions_are_the_baseline_of_swaps_at_one(coded):
    # an image is its codes: one swap changes one pixel, all of them all pixels alike
    effects = vl.swap_effects(coded([[0.0], [1.0]]).lens, torch.rand(8, 1, 2, 2), progress=False)
    np.testing.assert_allclose(effects.specificity_per_image, 1, atol=1e-6)
    np.testing.assert_allclose(effects.specificity_baseline, 0, atol=1e-6)


def test_rescaling_latents_leaves_the_specificity_over_them_what_it_is(linear, linear_of):
    logvar, scale = np.array([-1.0, 0.0, 1.0]), np.array([5.0, 1.0, 0.1])
    model = linear(logvar=logvar.tolist())
    other = linear_of(
        model.a * scale[:, None],
        model.w / scale,
        model.c * scale,
        model.b,
        shape=model.shape,
        logvar=(logvar + 2 * np.log(scale)).tolist(),
    )
    before, after = (vl.latent_effects(lens, model.x, mode="shift", over="latents") for lens in (model.lens, other))
    for name in ("specificity", "specificity_normalised", "specificity_per_image", "cycle_error", "support", "ces"):
        np.testing.assert_allclose(after[name], before[name], rtol=1e-5, err_msg=name)
