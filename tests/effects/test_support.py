"""How far interventions leave the codes of images, what the encoder makes of them, and the modes that stay near."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.natural_codes import MOST, NaturalCodes


def standardised(z):
    return z / z.std(axis=0)


def nearest(points, natural, itself=False):
    """The distance of each point to the nearest natural one, pair by pair."""
    distances = np.linalg.norm(points[:, None] - natural, axis=2)
    if itself:
        np.fill_diagonal(distances, np.inf)
    return distances.min(axis=1)


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
def test_support_is_the_share_within_the_distances_of_natural_codes(linear, intervals, mode):
    model = linear(images=30)
    values = [-3.0, 0.2, 2.0] if mode in ("range", "shift") else 2
    effects = vl.latent_effects(model.lens, model.x, mode=mode, values=values, seed=1)
    z, scale = standardised(model.z), model.z.std(axis=0)
    threshold = np.quantile(nearest(z, z, itself=True), 0.95)
    partners = [vl.lens.other_images(30, 1 + k) for k in range(2)]
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(model.z.shape, generator=generator).numpy() for _ in range(2)]
    for latent in range(3):
        for k in range(effects.sizes["value"]):
            changed = model.z.copy()
            changed[:, latent] = {
                "range": lambda k=k: np.full(30, values[k]),
                "shift": lambda k=k, i=latent: model.z[:, i] + values[k] * scale[i],
                "posterior": lambda k=k, i=latent: model.z[partners[k], i],
                "prior": lambda k=k, i=latent: noise[k][:, i],
            }[mode]()
            expected = (nearest(changed / scale, z) <= threshold * (1 + 1e-9)).mean()
            assert float(effects.support[latent, k]) == pytest.approx(expected), (latent, k)
    intervals(effects, "support")


def test_codes_set_to_what_they_are_are_all_supported_and_far_ones_are_not(linear):
    model = linear(images=20)
    still = vl.latent_effects(model.lens, model.x, mode="shift", values=[0.0, 50.0])
    assert (still.support[:, 0] == 1).all()
    assert (still.support[:, 1] == 0).all()


def test_support_over_positions_is_that_of_all_of_them(joined):
    encoder, decoder = torch.nn.Conv2d(1, 2, 1), torch.nn.Conv2d(2, 1, 1)
    x = torch.rand(12, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(joined(encoder, decoder), encoder, decoder, example=x)
    z = lens.encode(x).double().numpy()
    scale = z.swapaxes(0, 1).reshape(2, -1).std(axis=1)[:, None, None]
    flat = (z / scale).reshape(12, -1)
    threshold = np.quantile(nearest(flat, flat, itself=True), 0.95)
    effects = vl.latent_effects(lens, x, values=[0.1])
    for latent in range(2):
        changed = z.copy()
        changed[:, latent] = 0.1
        expected = (nearest((changed / scale).reshape(12, -1), flat) <= threshold * (1 + 1e-9)).mean()
        assert float(effects.support[latent, 0]) == pytest.approx(expected)


def test_a_latent_that_never_varies_is_off_support_wherever_it_is_moved(linear_of):
    lens = linear_of([[1.0, 0, 0, 0], [0, 0, 0, 0]], np.eye(4, 2), c=[0, 0.5], shape=(1, 2, 2))
    effects = vl.latent_effects(lens, torch.rand(9, 1, 2, 2), values=[0.5, 0.6])
    assert effects.support[1].values.tolist() == [1, 0]


def test_one_image_has_no_support(linear):
    model = linear(images=1)
    assert np.isnan(vl.latent_effects(model.lens, model.x).support).all()


def test_of_many_images_a_part_is_natural():
    codes = torch.as_tensor(np.random.default_rng(0).normal(size=(MOST + 500, 2)))
    natural = NaturalCodes(codes, np.ones(2), seed=3)
    assert len(natural.images) == len(set(natural.images.tolist())) == MOST
    assert natural.threshold() == pytest.approx(
        np.quantile(nearest(codes[natural.images].numpy(), codes[natural.images].numpy(), itself=True), 0.95)
    )
    far = natural.neighbours(codes, 3)
    assert far.shape == (MOST + 500, 2, 3)
    assert not (far == torch.arange(MOST + 500)[:, None, None]).any()


# Cycles


def test_the_cycle_error_is_how_far_the_encoder_is_from_what_was_set(linear, intervals):
    logvar = [0.0, 2 * np.log(0.5), 2 * np.log(3.0)]
    for given, unit in ((logvar, np.exp(np.array(logvar) / 2)), (None, None)):
        model = linear(logvar=given)
        effects = vl.latent_effects(model.lens, model.x, values=[-1.0, 2.0])
        unit = model.z.std(axis=0) if unit is None else unit
        assert effects.attrs["cycle_images"] == 6
        for latent in range(3):
            for k, value in enumerate([-1.0, 2.0]):
                changed = model.z.copy()
                changed[:, latent] = value
                encoded = (changed @ model.w.T + model.b) @ model.a.T + model.c
                expected = np.abs(encoded[:, latent] - value).mean() / unit[latent]
                np.testing.assert_allclose(effects.cycle_error[latent, k], expected, rtol=1e-5)
        intervals(effects, "cycle_error")


def test_a_perfect_autoencoder_has_no_cycle_error(linear_of):
    # image = the code, code = the image
    lens = linear_of(np.eye(4), np.eye(4), shape=(1, 2, 2))
    effects = vl.latent_effects(lens, torch.rand(40, 1, 2, 2), values=[0.25, 9.0])
    np.testing.assert_allclose(effects.cycle_error, 0, atol=1e-6)
    assert effects.attrs["cycle_images"] == 8 + 2  # the first 8 in random order, the 17th and the 33rd


def test_at_one_position_the_cycle_is_that_of_this_position(coded):
    # codes 0 and 1 by pixel; the embedding is the pixel, so 0.7 set comes back as 1 at its position
    model = coded([[0.0], [1.0]])
    x = torch.rand(6, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scale = float(x.std(correction=0))
    for positions in ("one", (0, 1), "all"):
        effects = vl.latent_effects(model.lens, x, values=[0.7], positions=positions)
        np.testing.assert_allclose(effects.cycle_error, 0.3 / scale, rtol=1e-6)


# Modes that stay near


def test_the_posterior_mode_draws_samples_of_other_images_posteriors(linear):
    logvar = [0.0, 2 * np.log(0.5), 2 * np.log(3.0)]
    model = linear(images=4000, logvar=logvar)
    effects = vl.latent_effects(model.lens, model.x, mode="posterior", progress=False)
    # |z_i' + σ_i ε − z_i| for independent images: its mean square is 2 Var z_i + σ_i²; here from 400,000 draws
    rng, columns = np.random.default_rng(0), np.linalg.norm(model.w, axis=0)
    pairs = rng.integers(4000, size=(2, 400_000))
    for latent in range(3):
        sample = model.z[pairs[0], latent] + np.exp(logvar[latent] / 2) * rng.normal(size=400_000)
        expected = columns[latent] * np.abs(sample - model.z[pairs[1], latent]).mean()
        assert float(effects.ces[latent]) == pytest.approx(expected, rel=0.05)
    np.testing.assert_array_equal(effects.ces, effects.ces_posterior)


def test_a_conditional_value_comes_of_an_image_that_is_near_in_the_other_latents(linear):
    model = linear(images=40)
    effects = vl.latent_effects(model.lens, model.x, mode="conditional", values=60, seed=2, progress=False)
    z, columns = standardised(model.z), np.linalg.norm(model.w, axis=0)
    for latent in range(3):
        rest = np.delete(z, latent, axis=1)
        distances = np.linalg.norm(rest[:, None] - rest, axis=2)
        np.fill_diagonal(distances, np.inf)
        neighbours = np.argsort(distances, axis=1)[:, :10]
        moves = np.abs(model.z[neighbours, latent] - model.z[:, [latent]])
        # every draw is one of the ten, and over draws all of them come alike
        assert float(effects.effect[latent].max()) <= columns[latent] * moves.max(axis=1).mean() * (1 + 1e-9)
        assert float(effects.effect[latent].min()) >= columns[latent] * moves.min(axis=1).mean() * (1 - 1e-9)
        assert float(effects.ces[latent]) == pytest.approx(columns[latent] * moves.mean(), rel=0.05)


def test_where_latents_determine_one_another_only_the_conditional_mode_stays_on_support(linear_of):
    # the second latent is the first but for a little: another image's value leaves the line that the codes lie on
    rng = np.random.default_rng(0)
    x = torch.as_tensor(rng.random((200, 1, 2, 2)))
    lens = linear_of([[1.0, 0, 0, 0], [1.0, 0.01, 0, 0]], np.eye(4, 2), shape=(1, 2, 2))
    share = {
        mode: float(vl.latent_effects(lens, x, mode=mode, progress=False).support.mean())
        for mode in ("posterior", "conditional", "prior")
    }
    assert share["conditional"] > 0.5
    assert share["posterior"] < 0.1
    assert share["prior"] < 0.1


def test_the_conditional_mode_needs_another_image(linear):
    model = linear(images=1)
    with pytest.raises(vl.VaelensError, match="mode 'conditional' takes values from similar images, but 1 image"):
        vl.latent_effects(model.lens, model.x, mode="conditional")
    two = linear(images=2)
    effects = vl.latent_effects(two.lens, two.x, mode="conditional")
    np.testing.assert_allclose(effects.ces, np.linalg.norm(two.w, axis=0) * np.abs(two.z[0] - two.z[1]))


# The range


@pytest.mark.parametrize(("factor", "own"), [(1, False), (20, True), (0.02, True)])
def test_the_default_range_is_in_the_latents_own_scale_where_that_is_not_the_priors(linear_of, factor, own):
    rng = np.random.default_rng(0)
    x = rng.random((50, 4))
    a = factor * np.eye(2, 4) / x.std(axis=0)
    lens = linear_of(a, np.eye(4, 2), shape=(1, 2, 2))
    z = x @ a.T
    effects = vl.latent_effects(lens, torch.as_tensor(x).reshape(50, 1, 2, 2))
    values = np.linspace(-3, 3, 7)
    where = z.mean(axis=0) + values[:, None] * z.std(axis=0) if own else np.repeat(values[:, None], 2, axis=1)
    np.testing.assert_allclose(effects.effect, np.abs(where[:, None] - z).mean(axis=1).T, rtol=1e-6)
    assert effects.attrs["range_in"] == ("standard deviations" if own else "code")
    assert effects.value.values.tolist() == values.tolist()
    asked = vl.latent_effects(lens, torch.as_tensor(x).reshape(50, 1, 2, 2), values=[0.5])
    np.testing.assert_allclose(asked.effect[:, 0], np.abs(0.5 - z).mean(axis=0), rtol=1e-6)
    assert asked.attrs["range_in"] == "code"


def test_a_posterior_as_wide_as_the_prior_is_on_its_scale(linear_of):
    # codes that hardly differ, and variances of 1: an untrained VAE, whose aggregated posterior is the prior
    lens = linear_of(0.3 * np.eye(2, 4), np.eye(4, 2), shape=(1, 2, 2), logvar=[0.0, 0.0])
    effects = vl.latent_effects(lens, torch.rand(9, 1, 2, 2))
    assert effects.active.any()
    assert effects.attrs["range_in"] == "code"
    narrow = linear_of(0.2 * np.eye(2, 4), np.eye(4, 2), shape=(1, 2, 2), logvar=[-9.0, -9.0])
    assert vl.latent_effects(narrow, torch.rand(9, 1, 2, 2)).attrs["range_in"] == "standard deviations"


def test_the_codebooks_of_the_paper_are_swept_as_in_the_paper(coded):
    effects = vl.latent_effects(coded([[0.0], [0.01]]).lens, torch.rand(4, 1, 2, 2) / 100)
    assert effects.attrs["range_in"] == "code"
