"""The spread of decoder units against NumPy on all activations at once."""

import numpy as np
import torch

import vaelens as vl
from vaelens.metrics.unit_spread import with_unit_spread


def test_spreads_are_those_of_all_activations_at_once(monkeypatch):
    monkeypatch.setattr("vaelens.metrics.unit_spread._ROWS", 7)
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3))
    x = torch.rand(37, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    responses = with_unit_spread(lens, x, vl.decoder_responses(lens, x))
    deviations = []
    for site, activation in lens.run(x, capture="decoder.*").activations.items():
        if site != lens.sites.output:
            values = activation.double().flatten(2) if activation.ndim > 2 else activation.double()[:, :, None]
            deviations.append((values - values.mean(dim=0)).square().mean(dim=2).numpy())
    expected = np.concatenate(deviations, axis=1)  # (images, units)
    np.testing.assert_allclose(responses.unit_spread, np.sqrt(expected.mean(axis=0)), rtol=1e-5, atol=1e-9)
    parts = [np.sqrt(expected[part::16].mean(axis=0)) for part in range(16)]
    np.testing.assert_allclose(responses.unit_spread_part, parts, rtol=1e-5, atol=1e-9)
    assert responses.unit_spread.dims == ("unit",)


def test_a_unit_that_is_the_same_in_all_images_has_none(layer, joined):
    lens = vl.Lens(
        model := joined(
            torch.nn.Sequential(torch.nn.Flatten(), layer(np.eye(2, 4))),
            torch.nn.Sequential(
                layer([[1.0, 0], [0, 0], [0, 1e-9]], [0.0, 0.1, 3.0]),
                layer(np.ones((4, 3))),
                torch.nn.Unflatten(1, (1, 2, 2)),
            ),
        ),
        model.encoder,
        model.decoder,
        example=torch.zeros(1, 1, 2, 2),
    )
    x = torch.rand(20, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    responses = with_unit_spread(lens, x, vl.decoder_responses(lens, x))
    first, constant, rounding = responses.unit_spread.values
    assert first > 0.1
    assert constant == rounding == 0
    assert (responses.unit_spread_part.values[:, 1:] == 0).all()


def test_parts_without_images_are_nan(linear):
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    lens, x = vl.Lens(model), torch.rand(3, 1, 8, 8)
    responses = with_unit_spread(lens, x, vl.decoder_responses(lens, x))
    assert np.isnan(responses.unit_spread_part.values[3:]).all()
    assert np.isfinite(responses.unit_spread_part.values[:3]).all()
    layerless = with_unit_spread(linear().lens, linear().x, vl.decoder_responses(linear().lens, linear().x))
    assert layerless.unit_spread.shape == (0,)
