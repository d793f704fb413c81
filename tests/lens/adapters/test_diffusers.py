import pytest
import torch
from diffusers import AutoencoderKL, UNet2DModel
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError


def layers(model):
    """Its weighted layers but the one that gives the moments or the embedding."""
    found = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return len(found) - 1


@pytest.mark.parametrize("name", ["autoencoder-kl", "vq-model", "vq-model spatial"])
def test_every_layer_is_a_site_in_order(build_by_hooks, name):
    one = build_by_hooks(name)
    small = vl.Lens(one.model, execution="hooks")  # of the size that the model is made for
    assert small.image_shape == (3, *[min(64, one.model.config.sample_size)] * 2)
    small.encode(one.x)
    assert small.sites == one.lens.sites
    sites = one.lens.sites
    paths = [f"encoder.down_blocks.{k}" for k in (0, 1)] + ["encoder.mid_block", "decoder.mid_block"]
    paths += [f"decoder.up_blocks.{k}" for k in (0, 1)]
    assert [sites[path].name for path in paths] == sorted({sites[path].name for path in paths}, key=list(sites).index)
    blocks = [name for name in sites if "block" in name]  # the others' outputs are a layer's
    assert len(sites) == layers(one.model) + 1 + len(blocks), "the latent is a site besides"
    assert sites["encoder.0"].shape[1:] == (16, 16)
    assert sites["latent"].shape == (2, 8, 8)
    assert sites[sites.output].shape == (3, 16, 16)


@pytest.mark.parametrize("name", ["autoencoder-kl", "asymmetric", "tiny", "dc"])
def test_a_block_gives_what_its_module_returns(build_by_hooks, name):
    one = build_by_hooks(name)
    blocks = [site for site in one.lens.sites.values() if site.name == site.module]
    assert len(blocks) >= 4
    run, returned = one.lens.run(one.x, capture=[site.name for site in blocks]), {}
    for site in blocks:
        handle = one.model.get_submodule(site.module).register_forward_hook(
            lambda module, arguments, output, path=site.module: returned.setdefault(path, output)
        )
        one.reference.forward(one.x)
        handle.remove()
    for site in blocks:
        torch.testing.assert_close(run.activations[site.name], returned[site.module], rtol=0, atol=1e-12)


def test_the_code_of_a_tiny_autoencoder_is_not_rounded_to_bytes(build_by_hooks):
    one = build_by_hooks("tiny")
    assert torch.equal(one.lens.encode(one.x), one.model.encode(2 * one.x - 1).latents.detach())
    with torch.no_grad():  # as its forward does
        bytes_of_code = (one.model.scale_latents(one.lens.encode(one.x)) * 255).round()
        rounded = one.model.decode(one.model.unscale_latents(bytes_of_code / 255)).sample / 2 + 0.5
    assert not torch.allclose(one.lens.reconstruct(one.x), rounded, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "tile"), [("tiny", 512), ("dc", 8)])
def test_tiles_of_small_autoencoders_are_refused(build_by_hooks, name, tile):
    one = build_by_hooks(name)
    if name == "dc":
        one.model.enable_tiling(8, 8, 4, 4)
    else:
        one.model.enable_tiling()
    with pytest.raises(
        VaelensError, match=rf"16×16 here would go .* in tiles of {tile}, .*; call disable_tiling\(\) on"
    ):
        one.lens.encode(one.x)


def test_an_autoencoder_dc_is_looked_at_by_images_that_it_divides(build_by_hooks):
    one = build_by_hooks("dc")
    one.model.spatial_compression_ratio = 128
    assert vl.Lens(one.model, execution="hooks").image_shape == (3, 128, 128)


def test_the_posterior_is_the_models(build_by_hooks):
    one = build_by_hooks("autoencoder-kl")
    with torch.no_grad():
        one.model.quant_conv.bias[3] = 50  # beyond the bounds that diffusers clamps to
        expected = one.model.encode(2 * one.x - 1).latent_dist
    mean, logvar = one.lens.posterior(one.x)
    assert torch.equal(mean, expected.mean)
    assert torch.equal(logvar, expected.logvar)
    assert (logvar[:, 1] == 20).all()


def test_codes_are_those_of_the_model(build_by_hooks):
    one = build_by_hooks("vq-model")
    with torch.no_grad():
        embedding = one.model.encode(2 * one.x - 1).latents
        expected = one.model.quantize(embedding)[2][2]
    assert torch.equal(one.lens.code_indices(one.x).flatten(), expected)
    assert len(expected.unique()) > 1
    assert torch.equal(one.lens.codebook, one.model.quantize.embedding.weight)


def test_what_is_decoded_is_not_clamped(build_by_hooks):
    one = build_by_hooks("autoencoder-kl")
    with torch.no_grad():
        one.model.decoder.conv_out.bias[:] = torch.tensor([-9.0, 0.0, 9.0])
    images = one.lens.reconstruct(one.x)
    assert images[:, 0].max() < -3
    assert images[:, 2].min() > 4


def test_a_sliced_model_gives_what_it_gives_itself(build_by_hooks):
    one = build_by_hooks("autoencoder-kl")
    one.model.enable_slicing()
    torch.testing.assert_close(one.lens.reconstruct(one.x), one.reference.forward(one.x)[1], rtol=0, atol=1e-6)


def test_a_tiled_model_is_refused_where_it_would_tile(build_by_hooks):
    one = build_by_hooks("autoencoder-kl")
    one.model.enable_tiling()
    torch.testing.assert_close(one.lens.reconstruct(one.x), one.reference.forward(one.x)[1], rtol=0, atol=1e-6)
    large = torch.rand(1, 3, 32, 16)
    with pytest.raises(VaelensError, match=r"32×16 here would go .* in tiles of 16.*; call disable_tiling\(\) on the"):
        vl.Lens(one.model, execution="hooks").encode(large)
    one.model.disable_tiling()
    lens = vl.Lens(one.model, execution="hooks")
    code = lens.encode(large)
    one.model.enable_tiling()
    with pytest.raises(VaelensError, match="what is 16×8 here would go through the model in tiles of 8"):
        lens.decode(code)


def test_images_of_other_channels_are_refused(build_by_hooks):
    with pytest.raises(VaelensError, match="images have 1 channel, this VQModel takes 3; grey ones go in as x"):
        build_by_hooks("vq-model").lens.encode(torch.rand(2, 1, 16, 16))
    with pytest.raises(VaelensError, match="images have 4 channels, this VQModel takes 3; give images of 3"):
        build_by_hooks("vq-model").lens.encode(torch.rand(2, 4, 16, 16))


def test_a_symbolic_trace_can_follow_the_parts(build_by_hooks):
    """Only calls of modules stand between image and code: no wrapper, and no branch on what the images hold."""
    one = build_by_hooks("autoencoder-kl")
    encode = one.lens.engine.parts.encoder.function

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.quant_conv = one.model.encoder, one.model.quant_conv

        def forward(self, x):
            return encode(x)

    class Tracer(torch.fx.Tracer):
        def is_leaf_module(self, module, name):
            return name in ("encoder", "quant_conv")

    part = Part()
    graph = Tracer().trace(part)
    mean, _ = torch.fx.GraphModule(part, graph)(one.x)
    torch.testing.assert_close(mean, one.lens.encode(one.x), rtol=0, atol=1e-12)


UNET = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2, "layers_per_block": 1}


class OtherDecode(AutoencoderKL):
    def decode(self, z, return_dict=True, generator=None):
        raise AssertionError("the lens would go past this")


def test_other_models_of_diffusers_are_refused():
    with pytest.raises(VaelensError, match=r"such as AutoencoderKL, .*, AutoencoderDC, and UNet2DModel is none; give"):
        vl.Lens(UNet2DModel(block_out_channels=(8, 8), norm_num_groups=4, **UNET))
    with pytest.raises(VaelensError, match="OtherDecode changes 'decode' of diffusers' AutoencoderKL; give encode="):
        vl.Lens(OtherDecode(block_out_channels=(8,), norm_num_groups=4))


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("autoencoder-kl", {}, "(the model's own, unscaled; a diffusion model sees 0.18215 · z)"),
        ("autoencoder-kl", {"shift_factor": 0.5}, "sees 0.18215 · (z − 0.5))"),
        (
            "autoencoder-kl",
            {"latents_mean": [1, 2], "latents_std": [1, 3], "scaling_factor": 1},
            "sees (z − latents_mean) / latents_std by channel)",
        ),
        ("tiny", {}, "2×32×32"),
    ],
)
def test_the_table_says_what_a_diffusion_model_sees(build_by_hooks, name, config, said):
    one = build_by_hooks(name)
    one.model.register_to_config(**config)
    lens = vl.Lens(one.model, execution="hooks")
    line = next(line for line in str(lens).splitlines() if line.startswith("latent"))
    assert line.endswith(said)
    assert torch.equal(lens.encode(one.x), one.lens.encode(one.x)), "codes are unscaled"
