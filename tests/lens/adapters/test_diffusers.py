import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny
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
    assert len(sites) == layers(one.model) + 1, "the latent is a site besides"
    assert sites["encoder.0"].shape[1:] == (16, 16)
    assert sites["latent"].shape == (2, 8, 8)
    assert sites[sites.output].shape == (3, 16, 16)


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


class OtherDecode(AutoencoderKL):
    def decode(self, z, return_dict=True, generator=None):
        raise AssertionError("the lens would go past this")


def test_other_models_of_diffusers_are_refused():
    with pytest.raises(VaelensError, match="the lens knows AutoencoderKL and VQModel, not AutoencoderTiny; give enc"):
        vl.Lens(AutoencoderTiny(encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4))
    with pytest.raises(VaelensError, match="OtherDecode changes 'decode' of diffusers' AutoencoderKL; give encode="):
        vl.Lens(OtherDecode(block_out_channels=(8,), norm_num_groups=4))
