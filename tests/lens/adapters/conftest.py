"""Tiny models of other libraries, and a slow reference: plain hooks, one forward for each unit.

The reference goes from image to image by the libraries' own methods (Pythae's quantiser apart, which knows float32
alone); of the lens it takes only which tensor a site's name stands for. All is in float64.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers import AsymmetricAutoencoderKL, AutoencoderDC, AutoencoderKL, AutoencoderTiny, VQModel
from pythae.models import VAE, VQVAE, VAEConfig, VQVAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from torch import nn

import vaelens as vl

KL = {
    "block_out_channels": (8, 8),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "latent_channels": 2,
    "sample_size": 16,
}


def same(one, other):
    """Equal but for rounding: diffusers adds to a chosen code what it subtracted from it before."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-9, atol=1e-12)


class Reference:
    """A model by its own methods, with `change` applied to what one call of a module returns, or to the code."""

    def __init__(self, model, encode, decode):
        self.model, self.encode, self.decode = model.eval(), encode, decode

    @torch.no_grad()
    def forward(self, x, place=None, change=None):
        counted = []

        def hook(module, arguments, output):
            counted.append(module)
            if len(counted) != place[1] + 1:
                return None
            if isinstance(output, tuple):  # beside a cache
                return change(output[0].clone()), *output[1:]
            return change(output.clone())

        handle = None if place is None or place == "latent" else place[0].register_forward_hook(hook)
        try:
            code = self.encode(x)
            code = change(code.clone()) if place == "latent" else code
            return code, self.decode(code)
        finally:
            if handle is not None:
                handle.remove()

    def activation(self, x, place):
        seen = []
        self.forward(x, place, lambda a: seen.append(a) or a)
        return seen[0]

    def place(self, x, activation):
        """The last call of a module whose result is this tensor.

        It is (module, how often it had been called before, the axis of the units in what it returns).
        """
        found, handles, counts = [], [], {}
        as_given = {1: activation, -1: activation.movedim(1, -1)}

        def hook(module, arguments, output):
            number = counts[module] = counts.get(module, -1) + 1
            handed_on = isinstance(module, nn.Identity)  # what it is given, to one of several readers
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and not handed_on:
                found.extend((module, number, axis) for axis, one in as_given.items() if same(tensor, one))

        try:
            for module in self.model.modules():
                handles.append(module.register_forward_hook(hook))
            self.forward(x)
        finally:
            for handle in handles:
                handle.remove()
        return found[-1]

    def patching(self, x, y, place, kind):
        """effect and recovered of every unit of one place; `kind` is 0 for the code as outcome, 1 for the image."""
        base, total = self.forward(x)[kind], self.forward(y)[kind] - self.forward(x)[kind]
        source = self.activation(y, place)
        axis = 1 if place == "latent" else place[2]  # the last of (n, tokens, channels) of attention
        effect, recovered = [], []
        for unit in range(source.shape[axis]):

            def change(a, unit=unit):
                a.select(axis, unit).copy_(source.select(axis, unit))
                return a

            moved = (self.forward(x, place, change)[kind] - base).double()
            effect.append(float(moved.flatten(1).norm(dim=1).mean()))
            recovered.append(float((moved * total).sum() / total.double().square().sum()))
        return np.array(effect), np.array(recovered)


def on_tokens(site):
    """Whether a site holds what attention's layers give, (n, tokens, channels)."""
    return (len(site.shape) == 2 and site.part != "latent") or ".attn.to_" in site.module


def check_patching(lens, reference, x, y, names):
    """Every unit of some sites, to 1e-4 of each value."""
    activations = lens.run(x, capture="all").activations
    effects = vl.patching_effects(lens, x, y, sites=names)
    for name in names:
        place = "latent" if name == "latent" else reference.place(x, activations[name])
        kind = 0 if name.startswith("encoder") else 1
        here = effects.site.values == name
        for column, expected in zip(("effect", "recovered"), reference.patching(x, y, place, kind), strict=True):
            actual = effects[column].values[here]
            slack = 1e-6 * np.abs(expected).max()
            assert slack > 0, f"nothing at {name} does anything"
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=slack, err_msg=f"{column} at {name}")


class ConvolutionalEncoder(BaseEncoder):
    def __init__(self, spatial=False):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 4, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 8, 4, 2, 1))
        self.act = nn.ReLU()
        self.mean = nn.Conv2d(8, 3, 1) if spatial else nn.Linear(128, 3)
        self.logvar = None if spatial else nn.Linear(128, 3)

    def forward(self, x):
        h = self.act(self.layers(x))
        if self.logvar is None:
            return ModelOutput(embedding=self.mean(h))
        return ModelOutput(embedding=self.mean(h.flatten(1)), log_covariance=self.logvar(h.flatten(1)))


class ConvolutionalDecoder(BaseDecoder):
    def __init__(self, spatial=False):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 1) if spatial else nn.Linear(3, 128)
        self.layers = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(8, 6, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(6, 1, 4, 2, 1), nn.Sigmoid()
        )

    def forward(self, z):
        return ModelOutput(reconstruction=self.layers(self.first(z).view(-1, 8, 4, 4)))


IMAGE = (1, 16, 16)


def gaussian(model):
    """A Pythae model that decodes its encoder's mean."""
    model.double()
    return model, lambda x: model.encoder(x).embedding, lambda z: model.decoder(z).reconstruction, IMAGE


def pythae_vae():
    return gaussian(VAE(VAEConfig(input_dim=IMAGE, latent_dim=3)))


def pythae_conv():
    return gaussian(VAE(VAEConfig(input_dim=IMAGE, latent_dim=3), ConvolutionalEncoder(), ConvolutionalDecoder()))


def pythae_vq(ema=False, spatial=True):
    nets = (ConvolutionalEncoder(True), ConvolutionalDecoder(True)) if spatial else (None, None)
    model = VQVAE(VQVAEConfig(input_dim=IMAGE, latent_dim=3, num_embeddings=6, use_ema=ema), *nets)
    model.double()
    with torch.no_grad():  # weights large enough that different images take different codes
        for weight in model.encoder.parameters():
            weight.mul_(3 if weight.ndim > 1 else 1)
    embeddings = model.quantizer.embeddings
    codes = embeddings if ema else embeddings.weight

    def encode(x):  # a vector's numbers are positions of one latent
        embedding = model.encoder(x).embedding
        return embedding if spatial else embedding[:, None]

    def decode(z):  # each position takes the nearest code
        positions = z.movedim(1, -1)
        nearest = torch.cdist(positions.reshape(-1, codes.shape[1]), codes).argmin(dim=1)
        chosen = codes[nearest].reshape(positions.shape).movedim(-1, 1)
        return model.decoder(chosen if spatial else chosen.flatten(1)).reconstruction

    in_use(codes, encode, IMAGE)
    return model, encode, decode, IMAGE


def autoencoder_kl(**options):
    model = AutoencoderKL(**{**KL, **options}).double()
    return (
        model,
        lambda x: model.encode(2 * x - 1).latent_dist.mean,
        lambda z: model.decode(z).sample / 2 + 0.5,
        (3, 16, 16),
    )


def vq_model(**options):
    model = VQModel(**{**KL, "num_vq_embeddings": 6, **options}).double()
    in_use(model.quantize.embedding.weight, lambda x: model.encode(2 * x - 1).latents, (3, 16, 16))
    return model, lambda x: model.encode(2 * x - 1).latents, lambda z: model.decode(z).sample / 2 + 0.5, (3, 16, 16)


@torch.no_grad()
def in_use(codes, encode, image):
    """Puts embeddings of images into a codebook, so that images do take its codes."""
    found = encode(torch.rand(len(codes), *image, dtype=codes.dtype)).movedim(1, -1).flatten(1, -2)
    codes.copy_(found[torch.arange(len(codes)), torch.arange(len(codes)) % found.shape[1]])


def asymmetric():
    model = AsymmetricAutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        down_block_out_channels=(8, 8),
        up_block_types=("UpDecoderBlock2D",) * 2,
        up_block_out_channels=(4, 8),
        norm_num_groups=4,
        latent_channels=2,
        sample_size=16,
    ).double()
    return (
        model,
        lambda x: model.encode(2 * x - 1).latent_dist.mean,
        lambda z: model.decode(z).sample / 2 + 0.5,
        (3, 16, 16),
    )


def tiny():
    model = AutoencoderTiny(
        encoder_block_out_channels=(6, 6),
        decoder_block_out_channels=(6, 6),
        num_encoder_blocks=(1, 1),
        num_decoder_blocks=(1, 1),
        latent_channels=2,
    ).double()
    return model, lambda x: model.encode(2 * x - 1).latents, lambda z: model.decode(z).sample / 2 + 0.5, (3, 16, 16)


def deep_compression():
    model = AutoencoderDC(
        latent_channels=4,
        attention_head_dim=4,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(4, 8),
        decoder_block_out_channels=(4, 8),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        encoder_qkv_multiscales=((), ()),
        decoder_qkv_multiscales=((), ()),
    ).double()
    return model, lambda x: model.encode(2 * x - 1).latent, lambda z: model.decode(z).sample / 2 + 0.5, (3, 16, 16)


BUILDERS = {
    "pythae vae": pythae_vae,
    "pythae conv": pythae_conv,
    "pythae vq": pythae_vq,
    "pythae vq ema": lambda: pythae_vq(ema=True),
    "pythae vq vector": lambda: pythae_vq(spatial=False),
    "pythae vq vector ema": lambda: pythae_vq(ema=True, spatial=False),
    "autoencoder-kl": autoencoder_kl,
    "autoencoder-kl without quant convs": lambda: autoencoder_kl(use_quant_conv=False, use_post_quant_conv=False),
    "asymmetric": asymmetric,
    "tiny": tiny,
    "dc": deep_compression,
    "vq-model": vq_model,
    "vq-model of other width": lambda: vq_model(vq_embed_dim=3),
    "vq-model lookup": lambda: vq_model(lookup_from_codebook=True),
    "vq-model spatial": lambda: vq_model(
        norm_type="spatial", block_out_channels=(32, 32), mid_block_add_attention=False
    ),
}


def built(name, **options):
    """A tiny model, its lens, its reference, and two batches of images; `options` of the lens."""
    return made(BUILDERS[name], **options)


def made(builder, **options):
    """The same of a function that builds the model and returns it with its encode, decode and shape."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, encode, decode, image = builder()
        dtype = next(model.parameters()).dtype
        x, y = torch.rand(2, 2, *image, dtype=dtype)
    lens = vl.Lens(model, **options)
    return SimpleNamespace(model=model, reference=Reference(model, encode, decode), lens=lens, x=x, y=y)


def by_hooks(name):
    """The same, for what does not hang on how sweeps run: an export takes seconds."""
    return built(name, execution="hooks")


@pytest.fixture(params=BUILDERS)
def foreign(request):
    """Each of the models in turn."""
    return by_hooks(request.param)


@pytest.fixture
def build_foreign():
    """Builds one of the models by name."""
    return built


@pytest.fixture
def build_by_hooks():
    """Builds one of the models by name, under a lens that runs it by hooks: an export takes seconds."""
    return by_hooks


@pytest.fixture(scope="session")
def make():
    """Makes lens and reference of what a function builds."""
    return made


@pytest.fixture
def patching_agrees():
    """Asserts that patching every unit of some sites gives what plain hooks give."""
    return check_patching


@pytest.fixture
def is_on_tokens():
    """Tells whether a site is one of attention's layers."""
    return on_tokens
