"""The share of patched values that lie outside what units take on the base images."""

import numpy as np
import pytest
import torch

import vaelens as vl


@pytest.fixture
def lens(layer, joined):
    """code = the image, image = the code, two latents of four pixels hidden between."""
    model = joined(
        torch.nn.Sequential(torch.nn.Flatten(), layer(np.eye(4))),
        torch.nn.Sequential(layer(np.eye(4)), layer(np.eye(4)), torch.nn.Unflatten(1, (1, 2, 2))),
    )
    return vl.Lens(model, model.encoder, model.decoder, example=torch.zeros(1, 1, 2, 2), memory_mb=0.001)


BASE = torch.tensor([[0.2, 0.5, 0.1, 0.4], [0.6, 0.5, 0.9, 0.4]], dtype=torch.float64).reshape(2, 1, 2, 2)
SOURCE = torch.tensor([[0.1, 0.5, 0.2, 0.4], [0.7, 0.6, 0.8, 0.4]], dtype=torch.float64).reshape(2, 1, 2, 2)


def test_values_beyond_those_of_the_base_images_are_counted(lens, intervals):
    effects = vl.patching_effects(lens, BASE, SOURCE)
    # by pixel: both outside [0.2, 0.6]; one above 0.5; both within [0.1, 0.9]; both at 0.4
    np.testing.assert_array_equal(effects.outside_range, [1, 0.5, 0, 0] * 2)
    intervals(effects, "outside_range")


@pytest.mark.parametrize(("method", "expected"), [("zero", 1), ("mean", 0), ("resample", 0)])
def test_means_and_other_images_are_always_inside_and_zero_may_not_be(lens, method, expected):
    assert (vl.patching_effects(lens, BASE, method=method).outside_range == expected).all()


def test_nothing_of_the_base_images_is_outside(lens):
    assert (vl.patching_effects(lens, BASE, BASE).outside_range == 0).all()


def test_at_positions_each_value_is_compared_with_its_channels_range():
    encoder, decoder = torch.nn.Conv2d(1, 2, 1), torch.nn.Conv2d(2, 1, 1)
    generator = torch.Generator().manual_seed(0)
    x, y = torch.rand(2, 5, 1, 4, 4, generator=generator)
    lens = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=x)
    base, source = lens.encode(x / 2), lens.encode(y)
    low, high = (ends[None, :, None, None] for ends in (base.amin(dim=(0, 2, 3)), base.amax(dim=(0, 2, 3))))
    outside = ((source < low) | (source > high)).double()  # (n, 2, 4, 4)
    boxes = outside.reshape(5, 2, 2, 2, 2, 2).mean(dim=(0, 1, 3, 5)).flatten()
    for unit, expected in (
        ("channel", outside.mean(dim=(0, 2, 3))),
        ("position", outside.mean(dim=(0, 1)).flatten()),
        ((2, 2), boxes),
    ):
        effects = vl.patching_effects(lens, x / 2, y, sites=["latent"], unit=unit, progress=False)
        np.testing.assert_allclose(effects.outside_range, expected, rtol=1e-6)


def test_along_a_path_it_is_what_arrives_that_counts(lens):
    effects = vl.path_effects(lens, BASE, SOURCE, "latent", "decoder.0", units=[0])
    np.testing.assert_array_equal(effects.outside_range, [1, 0, 0, 0])


def test_it_does_not_depend_on_where_the_sweep_stops(lens):
    with pytest.warns(vl.VaelensWarning, match="tolerance"):
        effects = vl.patching_effects(lens, BASE, SOURCE, ["latent"], tolerance=0.1, progress=False)
    np.testing.assert_array_equal(effects.outside_range, [1, 0.5, 0, 0])
