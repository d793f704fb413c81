"""Autoencoders of diffusers that no adapter knows by name: waveforms, clips, images."""

import functools

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    AutoencoderKLCosmos,
    AutoencoderKLMagvit,
    AutoencoderKLWan,
    AutoencoderOobleck,
)

import vaelens as vl
from vaelens.errors import VaelensError

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # of how diffusers builds them


def clips(model, frames=5, side=16):
    """A model of clips with its own encode and decode, and the shape of a clip."""
    model.double()

    def encode(x):
        dist = model.encode(2 * x - 1).latent_dist
        return dist.mode()

    return model, encode, lambda z: model.decode(z).sample / 2 + 0.5, (3, frames, side, side)


def oobleck():
    model = AutoencoderOobleck(
        encoder_hidden_size=4,
        decoder_channels=4,
        decoder_input_channels=2,
        downsampling_ratios=[2, 4],
        channel_multiples=[1, 2],
    ).double()
    return model, lambda x: model.encode(x).latent_dist.mean, lambda z: model.decode(z).sample, (2, 16)


def cogvideox():
    return clips(
        AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 2,
            up_block_types=("CogVideoXUpBlock3D",) * 2,
            block_out_channels=(4, 4),
            latent_channels=2,
            layers_per_block=1,
            norm_num_groups=2,
            temporal_compression_ratio=2,
        )
    )


def wan():
    return clips(
        AutoencoderKLWan(
            base_dim=4,
            z_dim=2,
            dim_mult=[1, 1],
            num_res_blocks=1,
            temperal_downsample=[True],
            latents_mean=[0.5, -1.0],
            latents_std=[1.0, 2.0],
            scale_factor_temporal=2,
            scale_factor_spatial=2,
        ),
        side=4,
    )


def magvit():
    return clips(
        AutoencoderKLMagvit(
            latent_channels=2,
            block_out_channels=[4, 4],
            down_block_types=["SpatialDownBlock3D", "SpatialTemporalDownBlock3D"],
            up_block_types=["SpatialUpBlock3D", "SpatialTemporalUpBlock3D"],
            layers_per_block=1,
            norm_num_groups=2,
        ),
        frames=5,
        side=4,
    )


def cosmos():
    return clips(
        AutoencoderKLCosmos(
            latent_channels=2,
            encoder_block_out_channels=(4, 4),
            decode_block_out_channels=(4, 4),
            attention_resolutions=(64,),
            resolution=64,
            num_layers=1,
            patch_size=2,
            spatial_compression_ratio=4,
            temporal_compression_ratio=4,
            latents_mean=None,
            latents_std=None,
        ),
        side=8,
    )


SEVERAL = {"oobleck": oobleck, "cogvideox": cogvideox, "wan": wan, "magvit": magvit, "cosmos": cosmos}


@pytest.fixture(scope="module")
def build(make):
    """Builds one of the models by name, once, under a lens that runs it by hooks: an export takes seconds."""
    return functools.cache(lambda name: make(SEVERAL[name], execution="hooks"))


def held(model):
    """What each module of a model holds."""
    return [(module, dict(vars(module)), dict(module._buffers)) for module in model.modules()]


@pytest.mark.parametrize("name", SEVERAL)
def test_code_and_reconstruction_are_the_models_own_and_it_is_left_as_it_was(build, name):
    one = build(name)
    before = held(one.model)
    codes, reconstructions = one.lens.encode(one.x), one.lens.reconstruct(one.x)
    one.lens.run(one.x, vl.Set("latent", 0, 0.5), capture="all")
    assert held(one.model) == before, "caches too"
    code, expected = one.reference.forward(one.x)
    assert torch.equal(codes, code)
    torch.testing.assert_close(reconstructions, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "noun", "axes", "span", "shape", "latent"),
    [
        ("oobleck", "waveforms", ("channel", "time"), "[-1, 1]", (2, 16), (2, 2)),
        ("cogvideox", "clips", ("channel", "frame", "height", "width"), "[0, 1]", (3, 5, 16, 16), (2, 3, 8, 8)),
        ("wan", "clips", ("channel", "frame", "height", "width"), "[0, 1]", (3, 5, 4, 4), (2, 3, 2, 2)),
    ],
)
def test_an_observation_is_what_the_model_takes(build, name, noun, axes, span, shape, latent):
    lens = build(name).lens
    record = lens.observation
    assert (record.noun, record.axes, record.span, record.shape) == (noun, axes, span, shape)
    assert lens.sites["latent"].shape == latent
    assert lens.sites[lens.sites.output].shape[0] == shape[0]


@pytest.mark.parametrize(("name", "every"), [("oobleck", 9), ("cogvideox", 17), ("wan", 29), ("magvit", 17)])
def test_patching_every_unit(build, patching_agrees, name, every):
    one = build(name)
    names = [site for site in one.lens.sites if site != one.lens.sites.output]
    patching_agrees(one.lens, one.reference, one.x, one.y, [*names[::every], "latent"])


@pytest.mark.parametrize("name", ["oobleck", "wan"])
def test_ablation_of_every_unit(build, name):
    one = build(name)
    site = one.lens.sites.of("decoder")[1]
    place = one.reference.place(one.x, one.lens.run(one.x, capture=[site]).activations[site])
    _, whole = one.reference.forward(one.x)
    expected = []
    for unit in range(one.lens.sites[site].units):
        _, ablated = one.reference.forward(one.x, place, lambda a, unit=unit: a.index_fill(1, torch.tensor(unit), 0))
        expected.append(float((ablated - whole).flatten(1).norm(dim=1).mean()))
    actual = vl.patching_effects(one.lens, one.x, one.y, sites=[site], method="zero").effect.values
    np.testing.assert_allclose(actual, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["oobleck", "cogvideox", "wan"])
def test_effects_of_latents(build, name):
    one = build(name)
    values = [-1.0, 0.5]
    code, whole = one.reference.forward(one.x)
    expected = np.zeros(code.shape[1])
    with torch.no_grad():
        for latent in range(len(expected)):
            for value in values:
                changed = one.reference.decode(code.index_fill(1, torch.tensor(latent), value))
                expected[latent] += float((changed - whole).flatten(1).norm(dim=1).mean()) / len(values)
    np.testing.assert_allclose(vl.latent_effects(one.lens, one.x, values=values).ces.values, expected, rtol=1e-4)


def test_a_layer_that_runs_once_a_piece_of_a_clip_is_a_site_for_each(build):
    one = build("wan")
    first = [site for site in one.lens.sites.values() if site.module == "encoder.conv_in"]
    assert [(site.call, site.shape) for site in first] == [(0, (4, 1, 4, 4)), (1, (4, 4, 4, 4))]
    effects = []
    for site in first:  # frames 1 to 4 are the second piece: what comes of them is nothing for the first latent frame
        run = one.lens.run(one.x, vl.Ablate(site.name, "all"))
        effects.append((run.code - one.lens.encode(one.x)).abs().amax(dim=(0, 1, 3, 4)) > 0)
    assert effects[0].tolist() == [True, True, True]
    assert effects[1].tolist() == [False, True, True]


def test_a_model_is_left_as_it_was_after_an_error_between_two_pieces(build):
    one = build("wan")
    before = held(one.model)
    piece = []

    def fail(module, arguments, output):
        piece.append(module)
        if len(piece) == 2:
            raise RuntimeError("in the second piece")

    handle = one.model.encoder.mid_block.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="in the second piece"):
        one.lens.encode(one.x)
    handle.remove()
    assert held(one.model) == before
    assert torch.equal(one.lens.encode(one.x), one.reference.forward(one.x)[0])


def test_waveforms_may_have_another_length(make):
    one = make(oobleck, execution="hooks")
    x = torch.rand(2, 2, 24, dtype=torch.float64) * 2 - 1
    assert torch.equal(one.lens.reconstruct(x), one.reference.forward(x)[1])
    assert (one.lens.observation.shape, one.lens.observation.span) == ((2, 24), "[-1, 1]")
    with pytest.raises(VaelensError, match="waveforms have 1 channel, this AutoencoderOobleck takes 2; mono ones go"):
        one.lens.encode(torch.rand(2, 1, 16))


def test_clips_may_have_another_size(make):
    one = make(wan, execution="hooks")
    x = torch.rand(2, 3, 1, 6, 4, dtype=torch.float64)
    torch.testing.assert_close(one.lens.reconstruct(x), one.reference.forward(x)[1], rtol=0, atol=1e-12)
    assert one.lens.sites["encoder.0"].call is None, "a clip of one piece"
    assert vl.Lens(one.model, example=x, execution="hooks").sites == one.lens.sites
    with pytest.raises(VaelensError, match=r"decode gives clips of shape \(3, 1, 4, 4\) for clips of shape \(3, 2, 4"):
        one.lens.encode(torch.rand(2, 3, 2, 4, 4))
    with pytest.raises(VaelensError, match=r"clips have shape \(2, 3, 4, 4\), expected \(n, 3, 1, 6, 4\)"):
        one.lens.encode(torch.rand(2, 3, 4, 4))


@pytest.mark.parametrize("way", ["slicing", "tiling"])
def test_a_model_that_cuts_what_it_is_given_is_refused(build, way):
    one = build("wan")
    getattr(one.model, f"enable_{way}")()
    with pytest.raises(VaelensError, match=rf"{way} is enabled, .*; call disable_{way}\(\) on the model"):
        one.lens.encode(one.x)
    getattr(one.model, f"disable_{way}")()


def test_the_table_says_what_a_diffusion_model_sees(build):
    said = "the model's own, unscaled; a diffusion model sees"
    assert f"({said} (z − latents_mean) / latents_std by channel)" in str(build("wan").lens)
    assert f"({said} 1.15258 · z)" in str(build("cogvideox").lens)
    assert "sees" not in str(build("oobleck").lens)
