"""Autoencoders of diffusers that need more than observations and codes, return several things, or go their own ways."""

import pytest
import torch
from diffusers import (
    AutoencoderKLAllegro,
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTXVideo,
    AutoencoderKLTemporalDecoder,
    AutoencoderVidTok,
    ConfigMixin,
    ModelMixin,
)
from diffusers.configuration_utils import register_to_config
from diffusers.models.autoencoders import LongCatAudioDiTVae
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")  # of how diffusers builds them

SMALL = {"block_out_channels": (8, 8, 8, 8), "norm_num_groups": 4, "layers_per_block": 1}


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: AutoencoderKLTemporalDecoder(block_out_channels=(32,)),
            r"needs num_frames besides; .*, such as decode=lambda z: model.decode\(z, num_frames=…\)",
        ),
        (
            lambda: AutoencoderKLLTXVideo(
                latent_channels=4,
                block_out_channels=(4, 4, 4, 4),
                decoder_block_out_channels=(4, 4, 4, 4),
                layers_per_block=(1,) * 5,
                decoder_layers_per_block=(1,) * 5,
                timestep_conditioning=True,
            ),
            r"does not run on clips and codes alone \(TypeError: .*\); give encode= and decode= that hand it what it",
        ),
        (lambda: AutoencoderKLAllegro(**SMALL), r"alone \(NotImplementedError: Encoding without tiling .*\); give"),
        (
            lambda: AutoencoderVidTok(
                ch=32, ch_mult=[1] * 4, z_channels=6, num_res_blocks=1, regularizer="fsq", double_z=False
            ),
            "encode of this AutoencoderVidTok returns 2 things, expected one latent",
        ),
        (
            lambda: AutoencoderKLLTX2Audio(base_channels=8, ch_mult=(1, 1), num_res_blocks=1),
            "takes spectrograms, whose range it does not state; give encode=, decode= and example=",
        ),
    ],
)
def test_what_no_lens_can_look_at_by_itself_is_refused_in_one_sentence(model, sentence):
    with pytest.raises(VaelensError, match=sentence):
        vl.Lens(model())


def test_the_code_is_a_mean_where_encode_would_draw():
    model = LongCatAudioDiTVae(
        channels=8, c_mults=[1, 2], strides=[2], latent_dim=4, encoder_latent_dim=8, downsampling_ratio=2
    ).eval()
    x = torch.rand(2, 1, 8)
    with torch.no_grad():
        expected = model.encode(x, sample_posterior=False).latents
    assert torch.equal(vl.Lens(model, execution="hooks").encode(x), expected)


class Normalising(ModelMixin, ConfigMixin):
    """An autoencoder that takes images in [0, 1], normalises them itself, and returns tensors."""

    @register_to_config
    def __init__(self, in_channels=1, encoder_norm_mean=(0.5,), sample_size=8):
        super().__init__()
        self.encoder, self.decoder = nn.Conv2d(1, 2, 2, 2), nn.ConvTranspose2d(2, 1, 2, 2)

    def encode(self, x):
        return self.encoder(x - 0.5)

    def decode(self, z):
        return self.decoder(z) + 0.5


class Twofold(Normalising):
    def encode(self, x):
        return {"latent": self.encoder(x), "latents": self.encoder(x)}


def test_a_model_that_normalises_images_is_given_them_as_they_are():
    model = Normalising()
    lens, x = vl.Lens(model), torch.rand(2, 1, 8, 8)
    assert lens.image_shape == (1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(lens.reconstruct(x), model.decode(model.encode(x)), rtol=0, atol=1e-6)
    with pytest.raises(VaelensError, match="encode of this Twofold returns `latent` and `latents`, expected one laten"):
        vl.Lens(Twofold())
