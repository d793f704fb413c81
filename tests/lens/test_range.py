"""Decoded values that are no image's are warned of when the lens is built."""

import warnings

import pytest
import torch
from diffusers import AutoencoderKL
from torch import nn

import vaelens as vl


def lens_that_decodes(to_image):
    torch.manual_seed(0)
    model = nn.ModuleDict({"encoder": nn.Linear(16, 3), "decoder": nn.Linear(3, 16)})
    return vl.Lens(
        model,
        lambda x: model["encoder"](x.flatten(1)),
        lambda z: to_image(model["decoder"](z)).view(-1, 1, 4, 4),
        torch.rand(2, 1, 4, 4),
        progress=False,
    )


@pytest.mark.parametrize(
    ("to_image", "message"),
    [
        (lambda y: 20 * y, r"decode gives values from -\d.* to \d.*end it with torch\.sigmoid where these are logits"),
        (lambda y: torch.tanh(9 * y), r"return \(y \+ 1\) / 2 where they are from -1 to 1"),
        (lambda y: 255 * torch.sigmoid(y), "divide by 255 where they are from 0 to 255"),
    ],
)
def test_other_scales_are_said_at_once_with_what_to_do(to_image, message):
    with pytest.warns(vl.VaelensWarning, match=message):
        lens_that_decodes(to_image)


@pytest.mark.parametrize("to_image", [torch.sigmoid, lambda y: torch.sigmoid(y) * 1.1 - 0.05])
def test_images_and_a_little_overshoot_are_not(to_image):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lens_that_decodes(to_image)


def test_an_embedding_is_a_codebook_and_channels_that_do_not_fit_are_one_sentence():
    class Coded(nn.Module):
        def __init__(self):
            super().__init__()
            self.e, self.book, self.d = nn.Conv2d(1, 6, 4, 4), nn.Embedding(5, 6), nn.ConvTranspose2d(6, 1, 4, 4)

    model, x = Coded().eval(), torch.rand(4, 1, 8, 8)

    def decode(z):
        return torch.sigmoid(model.d(z))

    lens = vl.Lens(model, model.e, decode, x, codebook=model.book)
    assert torch.equal(lens.codebook, model.book.weight)
    with pytest.raises(
        vl.VaelensError, match=r"do not run on 2 images of shape \(3, 8, 8\) \(RuntimeError: .*channels"
    ):
        vl.Lens(model, model.e, decode, torch.rand(2, 3, 8, 8))


def test_a_label_for_each_image_baked_into_the_functions_is_one_sentence():
    model, labels = nn.ModuleDict({"e": nn.Linear(20, 3), "d": nn.Linear(7, 16)}), torch.eye(4).repeat(2, 1)
    with pytest.raises(vl.VaelensError, match="a lens runs them on any number of images, so nothing else"):
        vl.Lens(
            model,
            lambda x: model["e"](torch.cat([x.flatten(1), labels], 1)),
            lambda z: torch.sigmoid(model["d"](torch.cat([z, labels], 1))).view(-1, 1, 4, 4),
            torch.rand(8, 1, 4, 4),
        )


def test_weights_that_are_no_numbers_are_warned_of_at_once():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.warns(vl.VaelensWarning, match="decode gives NaN or infinite values.*look whether the weights are"):
        vl.Lens(model)


def test_infinite_weights_are_warned_of_although_a_sigmoid_hides_them():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    name, last = list(model.named_parameters())[-1]
    with torch.no_grad():
        last.fill_(float("inf"))
    with pytest.warns(vl.VaelensWarning, match=f"{name} of the VAE holds infinite weights"):
        vl.Lens(model)


def test_of_a_known_model_no_code_is_to_be_changed():
    model = AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, layers_per_block=1, sample_size=16)
    with torch.no_grad():
        model.decoder.conv_out.bias.fill_(9.0)
    with pytest.warns(vl.VaelensWarning, match="decode gives values from .*; these weights decode so") as told:
        vl.Lens(model)
    assert told[0].filename == __file__
