import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import Engine
from vaelens.statistics import BootstrapMean


@pytest.fixture
def two_layers(layer, joined):
    """Builds code = A x, hidden = V z (or its ReLU), image = U h, over 2×2 pixels."""

    def build(v, relu=False, logvar=None, **options):
        v = np.asarray(v, dtype=float)
        u = np.random.default_rng(1).normal(size=(4, len(v)))
        hidden = [layer(v), nn.ReLU()] if relu else [layer(v)]
        model = joined(
            nn.Sequential(nn.Flatten(), layer(np.eye(v.shape[1], 4))),
            nn.Sequential(*hidden, layer(u), nn.Unflatten(1, (1, 2, 2))),
        )

        def encode(x):
            z = model.encoder(x)
            return z if logvar is None else (z, z.new_tensor(logvar).expand_as(z))

        return vl.Lens(model, encode, model.decoder, example=torch.zeros(1, 1, 2, 2), **options)

    return build


IMAGES = torch.rand(7, 1, 2, 2, generator=torch.Generator().manual_seed(0))
VALUES = np.linspace(-3, 3, 7)


def range_of(z):
    """What mode "range" sets of codes that are not unit-scaled, as pixels in [0, 1] are not, (values, d)."""
    return z.mean(axis=0) + VALUES[:, None] * z.std(axis=0)


def test_responses_of_a_linear_layer_are_its_weights_times_the_moves(two_layers, provenance):
    v = np.random.default_rng(0).normal(size=(5, 3))
    lens = two_layers(v)
    responses = vl.decoder_responses(lens, IMAGES)
    z = IMAGES.flatten(1).numpy()[:, :3]
    moves = np.abs(range_of(z)[:, None] - z).mean(axis=(0, 1))  # (d,)
    assert responses.attrs["range_in"] == "standard deviations"
    np.testing.assert_allclose(responses.response, (np.abs(v) * moves).T, rtol=1e-5)
    assert responses.response.dims == ("latent", "unit")
    assert responses.site.values.tolist() == ["decoder.0"] * 5
    assert responses.index.values.tolist() == [0, 1, 2, 3, 4]
    provenance(responses, images=7, mode="range")
    chosen = vl.decoder_responses(lens, IMAGES, values=[1.0])
    np.testing.assert_allclose(chosen.response, (np.abs(v) * np.abs(1 - z).mean(axis=0)).T, rtol=1e-5)


def test_intervals_of_responses_are_those_of_each_image_s_mean(two_layers, monkeypatch, same):
    v = np.random.default_rng(0).normal(size=(5, 3))
    x = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    responses = vl.decoder_responses(two_layers(v), x, seed=3)
    z = x.flatten(1).numpy()[:, :3].astype(float)
    moves = np.abs(range_of(z)[:, None] - z).mean(axis=0)  # (images, latents)
    expected = BootstrapMean((3, 5), seed=3)
    expected.update(moves[:, :, None] * np.abs(v).T)
    for name, end in zip(("response_low", "response_high"), expected.interval(), strict=True):
        np.testing.assert_allclose(responses[name], end, rtol=1e-5)
    monkeypatch.setattr("vaelens.effects.responses._RESAMPLED_BYTES", 1)  # one latent after the other
    same(vl.decoder_responses(two_layers(v), x, seed=3), responses)


def test_responses_do_not_depend_on_chunks(two_layers, same):
    v = np.random.default_rng(0).normal(size=(5, 3))
    same(*(vl.decoder_responses(two_layers(v, relu=True, memory_mb=m), IMAGES) for m in (256, 1e-6)))


def test_responses_at_positions_are_averaged():
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=2)
    lens = vl.Lens(model)
    x = torch.rand(3, 1, 16, 16)
    responses = vl.decoder_responses(lens, x)
    z = lens.encode(x)
    expected = np.zeros((2, 32))
    with torch.no_grad():
        for i in range(2):
            for v in VALUES:
                moved = z.clone()
                moved[:, i] = v
                stage = model.decoder[:7]  # dense, ReLU, dense, ReLU, unflatten, transposed convolution, ReLU
                change = (stage(moved) - stage(z)).abs().mean(dim=(2, 3)).sum(dim=0)
                expected[i] += change.numpy() / (3 * 7)
    at = responses.site == "decoder.2"
    np.testing.assert_allclose(responses.response[:, at], expected, rtol=1e-4, atol=1e-8)
    assert set(responses.site.values.tolist()) == {"decoder.0", "decoder.1", "decoder.2"}


def test_latents_with_units_of_their_own_are_modular(two_layers):
    # one unit each of three: the correlation of two one-hot vectors of length 3 is −1/2
    lens = two_layers(np.eye(3))
    assert vl.circuit_modularity(lens, IMAGES, form="paper") == pytest.approx(1 - 1 / 2, rel=1e-6)


def test_latents_that_share_all_their_units_are_not_modular(two_layers):
    assert vl.circuit_modularity(two_layers([[1, -2], [2, 4], [0.5, 1]]), IMAGES, form="paper") == pytest.approx(
        0, abs=1e-9
    )


def test_modularity_is_one_less_the_mean_correlation_on_paper(two_layers):
    # |V| = (1,1,0,0), (1,0,1,0), (0,0,1,1): correlations 0, −1 and 0 of the pairs, signs dropped
    lens = two_layers(np.array([[1, 1, 0, 0], [-1, 0, 1, 0], [0, 0, 1, 1]]).T)
    assert vl.circuit_modularity(lens, IMAGES, form="paper") == pytest.approx(1 - 1 / 3, rel=1e-6)


def test_modularity_behind_a_relu_is_that_of_its_responses_by_hand(two_layers):
    v = np.random.default_rng(3).normal(size=(6, 3))
    z = IMAGES.flatten(1).numpy()[:, :3].astype(float)
    base = np.maximum(z @ v.T, 0)
    response = np.zeros((3, 6))
    for i in range(3):
        for value in range_of(z)[:, i]:
            moved = z.copy()
            moved[:, i] = value
            response[i] += np.abs(np.maximum(moved @ v.T, 0) - base).mean(axis=0) / 7
    centred = response - response.mean(axis=1, keepdims=True)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    expected = 1 - np.mean([abs(centred[i] @ centred[j]) for i, j in ((0, 1), (0, 2), (1, 2))])
    assert vl.circuit_modularity(two_layers(v, relu=True), IMAGES, form="paper") == pytest.approx(expected, rel=1e-5)


def test_inactive_latents_and_those_without_effect_are_left_out(two_layers):
    v = np.array([[1, 0, 5, 0], [0, 1, 5, 0], [0, 0, 1, 0]])
    # the third latent is active; made inactive by its posterior, the first two stay: one-hot in three units
    z = IMAGES.flatten(1).numpy().astype(float)
    lens = two_layers(v, logvar=(0.0, 0.0, 0.0, 0.0))
    kl = 0.5 * (z**2).mean(axis=0)
    assert (kl > 0.01).all()
    model = two_layers(v[:, [0, 1, 3]])
    assert vl.circuit_modularity(model, IMAGES, form="paper") == pytest.approx(
        1 / 2, rel=1e-6
    )  # the dead one does not count
    assert np.isfinite(vl.circuit_modularity(lens, IMAGES))
    dim = IMAGES * torch.tensor([1.0, 1.0, 0.01, 1.0]).reshape(1, 1, 2, 2)  # KL of the third: 5e-5 nat
    assert vl.circuit_modularity(lens, dim, form="paper") == pytest.approx(1 / 2, rel=1e-6)


def test_one_latent_alone_has_no_modularity(two_layers):
    assert np.isnan(vl.circuit_modularity(two_layers([[1.0], [2.0]]), IMAGES))


def test_a_decoder_of_one_layer_has_no_modularity(linear):
    model = linear()
    responses = vl.decoder_responses(model.lens, model.x)
    assert responses.response.shape == (3, 0)
    assert np.isnan(vl.circuit_modularity(model.lens, model.x))


def test_values_and_images_are_checked(two_layers):
    lens = two_layers(np.eye(3))
    with pytest.raises(vl.VaelensError, match=r"values of mode 'range' are \[\]; expected a list of finite numbers"):
        vl.decoder_responses(lens, IMAGES, values=[])
    with pytest.raises(vl.VaelensError, match="images range from"):
        vl.circuit_modularity(lens, IMAGES * 3)


def test_images_of_which_no_code_changes_are_not_decoded_again(monkeypatch):
    model = vl.build_model("vq-vae", image_shape=(1, 16, 16), latent_dim=2, codes=2)
    lens, x = vl.Lens(model), torch.rand(6, 1, 16, 16)
    z = lens.encode(x)
    between = float(z[:, 0].flatten(1).amax(dim=1).sort().values[2:4].mean())
    with torch.no_grad():  # along the second latent all codes are alike; along the first three images take one alone
        model.quantiser.codebook.copy_(torch.tensor([[between - 1, 0.0], [between + 1, 0.0]]))
    decoded, original = [], Engine.decoder_activations

    def counted(engine, codes, *arguments):
        decoded.append(len(codes))
        return original(engine, codes, *arguments)

    monkeypatch.setattr(Engine, "decoder_activations", counted)
    responses = vl.decoder_responses(lens, x, values=[between - 0.1])
    assert decoded == [6, 3], "the base run, and the three images that take the other code somewhere"
    sites = [site for site in lens.sites.of("decoder") if site != lens.sites.output]
    base = lens.run(x, capture=sites).activations
    there = lens.run(x, vl.Set("latent", 0, between - 0.1), capture=sites).activations
    each = [(there[s] - base[s]).abs().reshape(6, base[s].shape[1], -1).mean(dim=(0, 2)) for s in sites]
    np.testing.assert_allclose(responses.response[0], torch.cat(each), rtol=1e-4, atol=1e-8)
    assert (responses.response[1] == 0).all()


def test_parts_are_the_responses_of_every_sixteenth_image(two_layers):
    v = np.random.default_rng(0).normal(size=(5, 3))
    x = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(1))
    responses = vl.decoder_responses(two_layers(v), x, VALUES)
    assert responses.response_part.shape == (16, 3, 5)
    for part in (0, 9):
        alone = vl.decoder_responses(two_layers(v), x[part::16], VALUES)
        np.testing.assert_allclose(responses.response_part[part], alone.response, rtol=1e-5)
    counts = np.bincount(np.arange(40) % 16)
    weighted = (responses.response_part.values * counts[:, None, None]).sum(axis=0) / 40
    np.testing.assert_allclose(weighted, responses.response, rtol=1e-5)
