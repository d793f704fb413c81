import pytest
import pythae.models
import torch
from pythae.models import AE, VAE, VQVAE, AEConfig, VAEConfig, VQVAEConfig
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.models.nn.benchmarks.mnist import Decoder_Conv_AE_MNIST, Encoder_Conv_VAE_MNIST

import vaelens as vl
from vaelens.errors import VaelensError

REFUSED = {
    "HVAE": "steps along gradients",
    "RHVAE": "steps along gradients",
    "SVAE": "lie on a sphere",
    "PoincareVAE": "lie in a hyperbolic ball",
}
CONFIGS = {name: name.removesuffix("Config").removesuffix("_") for name in pythae.models.__all__ if "Config" in name}
KINDS = {model: config for config, model in CONFIGS.items() if model != "BaseAE"}


def pythae_model(name, shape=(1, 8, 8), **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = getattr(pythae.models, KINDS[name])(input_dim=shape, latent_dim=3, **options)
        return getattr(pythae.models, name)(config)


def images(n, *shape):
    return torch.rand(n, *shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(KINDS.keys() - REFUSED.keys()))
def test_every_model_reconstructs_as_it_does_itself_without_noise(name, monkeypatch):
    model, x = pythae_model(name, (1, 16, 16)), images(3, 1, 16, 16)
    lens = vl.Lens(model)
    assert list(lens.sites)[:2] == ["encoder.0", "latent"]
    assert lens.image_shape == (1, 16, 16)
    actual = lens.reconstruct(x)
    monkeypatch.setattr(torch, "randn_like", lambda tensor, **options: torch.zeros_like(tensor))
    expected = model.eval().reconstruct(x.clone()).detach()
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_models_that_decode_something_else_than_their_code_are_refused(name):
    with pytest.raises(
        VaelensError, match=rf"Pythae's {name} cannot be taken apart: .*{REFUSED[name]}.*; give encode="
    ):
        vl.Lens(pythae_model(name))


def test_the_sites_and_the_posterior_of_the_default_networks():
    model, x = pythae_model("BetaVAE"), images(4, 1, 8, 8)
    lens = vl.Lens(model)
    assert {name: site.shape for name, site in lens.sites.items()} == {
        "encoder.0": (512,),
        "latent": (3,),
        "decoder.0": (512,),
        "decoder.1": (1, 8, 8),
    }
    mean, logvar = lens.posterior(x)
    with torch.no_grad():
        output = model.encoder(x)
    assert torch.equal(mean, output.embedding)
    assert torch.equal(logvar, output.log_covariance)


@pytest.mark.parametrize(("name", "options"), [("RAE_L2", {}), ("Adversarial_AE", {"deterministic_posterior": True})])
def test_a_model_that_draws_nothing_gives_no_variance(name, options):
    assert vl.Lens(pythae_model(name, **options)).posterior(images(2, 1, 8, 8))[1] is None


def test_an_autoencoder_with_the_encoder_of_a_vae_gives_no_variance():
    vae = pythae_model("VAE")
    lens = vl.Lens(AE(AEConfig(input_dim=(1, 8, 8), latent_dim=3), encoder=vae.encoder))
    assert lens.posterior(images(2, 1, 8, 8))[1] is None
    assert "encoder.1" not in lens.sites, "the log-variance beside the code is no site"


def test_the_benchmark_networks_of_mnist():
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=3)
    model, x = VAE(config, Encoder_Conv_VAE_MNIST(config), Decoder_Conv_AE_MNIST(config)).train(), images(2, 1, 28, 28)
    lens = vl.Lens(model)
    assert [site.shape for site in lens.sites.values()] == [
        *((128, 14, 14), (256, 7, 7), (512, 3, 3), (1024, 1, 1), (3,)),
        *((1024, 4, 4), (512, 7, 7), (256, 14, 14), (1, 28, 28)),
    ]
    actual = lens.reconstruct(x)
    assert all(module.training for module in model.modules())
    expected = model.eval().predict(x).recon_x.detach()
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ema", [False, True])
def test_the_codebook_is_read_live(ema):
    model = VQVAE(VQVAEConfig(input_dim=(1, 8, 8), latent_dim=3, num_embeddings=4, use_ema=ema))
    lens, x = vl.Lens(model), images(5, 1, 8, 8)
    assert lens.codebook.shape == (4, 1)
    assert lens.sites["latent"].shape == (1, 3), "each number of a vector is a position"
    embeddings, codes = model.quantizer.embeddings, lens.encode(x).flatten()
    with torch.no_grad():  # four codes across what the encoder gives, so that more than one is the nearest
        codebook = torch.linspace(codes.min(), codes.max(), 4)[:, None]
        (embeddings if ema else embeddings.weight).copy_(codebook)
        output = model.eval()({"data": x})
    assert torch.equal(lens.code_indices(x).flatten(), output.quantized_indices.flatten())
    assert len(lens.code_indices(x).unique()) > 1
    torch.testing.assert_close(lens.reconstruct(x), output.recon_x, rtol=0, atol=1e-6)


def test_a_flow_is_part_of_the_decoder():
    model, x = pythae_model("VAE_IAF", n_made_blocks=1, n_hidden_in_made=1, hidden_size=5), images(2, 1, 8, 8)
    lens = vl.Lens(model)
    assert [lens.sites[f"decoder.{k}"].shape for k in range(4)] == [(5,), (6,), (512,), (1, 8, 8)]
    assert torch.equal(lens.encode(x), model.encoder(x).embedding)


def test_data_that_are_no_images_are_refused():
    with pytest.raises(
        VaelensError, match=r"this VAE takes data of shape \(1, 784\), a lens looks at images \(C, H, W"
    ):
        vl.Lens(pythae_model("VAE", (1, 784)))


class Encoder(BaseEncoder):
    def __init__(self):
        super().__init__()
        self.inner = pythae_model("VAE").encoder

    def forward(self, x):
        return self.inner(x)


class Decoder(BaseDecoder):
    def __init__(self):
        super().__init__()
        self.inner = pythae_model("VAE").decoder

    def forward(self, z):
        return self.inner(z)


def test_a_model_of_unknown_shape_needs_an_example():
    model = VAE(VAEConfig(latent_dim=3), Encoder(), Decoder())
    with pytest.raises(VaelensError, match=r"a VAE does not state the shape of its images.*give example=images"):
        vl.Lens(model)
    assert vl.Lens(model, example=images(1, 1, 8, 8)).encode(images(2, 1, 8, 8)).shape == (2, 3)


class OtherLoss(VAE):
    def loss_function(self, *terms):
        raise AssertionError("a lens needs no loss")


class OtherForward(VAE):
    def forward(self, inputs, **options):
        raise AssertionError("a lens runs only parts")


class Unknown(pythae.models.BaseAE):
    pass


def test_own_classes_are_known_as_long_as_their_path_is():
    config = VAEConfig(input_dim=(1, 8, 8), latent_dim=3)
    assert repr(vl.Lens(OtherLoss(config))).startswith("Lens on OtherLoss\n")
    with pytest.raises(VaelensError, match="OtherForward changes the forward of Pythae's VAE; give encode= and decode"):
        vl.Lens(OtherForward(config))
    with pytest.raises(VaelensError, match="Unknown is not one of the Pythae models that the lens knows"):
        vl.Lens(Unknown(AEConfig(input_dim=(1, 8, 8), latent_dim=3)))


def test_a_quantiser_of_other_make_is_refused():
    model = pythae_model("VQVAE")
    model.quantizer = torch.nn.Identity()
    with pytest.raises(VaelensError, match="the quantizer of this VQVAE is a Identity, not one of Pythae's; give enc"):
        vl.Lens(model)
