"""Users' own encoders and decoders: under every objective, saved, loaded, resumed; what does not fit is refused."""

import json

import pytest
import torch
from torch import nn

from vaelens.errors import VaelensError
from vaelens.models import CATALOGUE, VAE, build_model, train
from vaelens.models.checkpoints import load_checkpoint
from vaelens.models.own_modules import split_moments
from vaelens.models.run_folder import checkpoint_path
from vaelens.models.step import TrainingStep

SHAPE = (2, 6, 9)  # a shape that ours do not build for
PIXELS = 2 * 6 * 9
D = 3
IMAGES = torch.rand(30, *SHAPE, generator=torch.Generator().manual_seed(0))
SHORT = {"steps": 6, "batch_size": 6, "log_every": 3, "checkpoint_every": 2, "progress": False, "device": "cpu"}
EVERY = pytest.mark.parametrize("name", CATALOGUE)


class Pair(nn.Module):
    """Batch normalisation and dropout, and a pair for an output."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 8, 3, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        self.dropout = nn.Dropout(0.5)
        self.mu, self.logvar = nn.Linear(48, D), nn.Linear(48, D)

    def forward(self, x):
        hidden = self.dropout(self.body(x))
        return self.mu(hidden), self.logvar(hidden)


def mlp(quantised):
    """One tensor for an output; for a codebook, embeddings on a grid of 2×5."""
    outputs, code = (D * 10, D * 10) if quantised else (2 * D, D)
    grid = [nn.Unflatten(1, (D, 2, 5))] if quantised else []
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 16), nn.Tanh(), nn.Linear(16, outputs), *grid)
    decoder = nn.Sequential(nn.Flatten(), nn.Linear(code, 16), nn.Tanh(), nn.Linear(16, PIXELS), nn.Unflatten(1, SHAPE))
    return encoder, decoder


def convolutional(quantised):
    """With batch normalisation and dropout; for a codebook, embeddings on a grid of 2×3."""
    if quantised:
        encoder = nn.Sequential(nn.Conv2d(2, 8, 3, stride=3), nn.BatchNorm2d(8), nn.Dropout(0.5), nn.Conv2d(8, D, 1))
        start = [nn.Conv2d(D, 8, 1)]
    else:
        encoder, start = Pair(), [nn.Linear(D, 48), nn.Unflatten(1, (8, 2, 3))]
    return encoder, nn.Sequential(*start, nn.BatchNorm2d(8), nn.ReLU(), nn.ConvTranspose2d(8, 2, 3, stride=3))


MAKES = pytest.mark.parametrize("make", [mlp, convolutional])


def fresh(name, make, seed=0):
    """A model of new modules."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        encoder, decoder = make(CATALOGUE[name].quantised)
    quick = {"codes": 16, "decay": 0.8, "revival": 0.5} if CATALOGUE[name].quantised else {}
    return build_model(name, SHAPE, latent_dim=D, encoder=encoder, decoder=decoder, **quick)


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


@MAKES
@EVERY
def test_they_are_trained_resumed_saved_and_loaded_to_the_bit(name, make, tmp_path):
    whole, parted, untrained = fresh(name, make), fresh(name, make), fresh(name, make)
    train(whole, IMAGES, **SHORT)
    torch.manual_seed(1)  # dropout must not depend on the global random state
    train(parted, IMAGES, **SHORT | {"steps": 3}, folder=tmp_path / "run")
    parted = fresh(name, make, seed=9)
    train(parted, IMAGES, **SHORT, folder=tmp_path / "run", resume=True)
    assert same(whole, parted)
    for (parameter_name, parameter), before in zip(whole.named_parameters(), untrained.parameters(), strict=True):
        assert not torch.equal(parameter, before), parameter_name

    whole.eval().save_pretrained(tmp_path / "model")
    encoder, decoder = make(CATALOGUE[name].quantised)
    loaded = VAE.from_pretrained(tmp_path / "model", encoder=encoder, decoder=decoder)
    assert loaded.encoder is encoder
    assert loaded.decoder is decoder
    assert same(loaded, whole)
    assert loaded.config == whole.config
    assert torch.equal(loaded(IMAGES), whole(IMAGES))


@EVERY
def test_the_code_is_what_the_users_encoder_gives(name):
    model = fresh(name, mlp).eval()
    code, logvar = model.encode(IMAGES)
    output = model.encoder(IMAGES)
    if CATALOGUE[name].quantised:
        assert model.code_shape == (D, 2, 5)
        assert torch.equal(code, output)
        assert logvar is None
        assert model.quantise(code).indices.shape == (30, 2, 5)
    else:
        assert model.code_shape == (D,)
        assert torch.equal(torch.cat([code, logvar], dim=1), output)
        assert torch.equal(torch.sigmoid(model.decoder(code)), model.decode(code))


def test_a_pair_and_one_tensor_are_the_same():
    mu, logvar = torch.randn(4, 3), torch.randn(4, 3)
    for output in ((mu, logvar), [mu, logvar], torch.cat([mu, logvar], dim=1)):
        found = split_moments(output, 3)
        assert torch.equal(found[0], mu)
        assert torch.equal(found[1], logvar)


def test_modules_keep_their_weights_whatever_the_seed():
    encoder, decoder = mlp(False)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    encoder.eval()
    model = build_model("vae", SHAPE, latent_dim=D, encoder=encoder, decoder=decoder, seed=5)
    model.initialise(6)
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
    assert not encoder.training
    assert decoder.training


def test_building_leaves_statistics_and_random_state_alone():
    encoder, decoder = convolutional(False)
    state = torch.get_rng_state()
    build_model("vae", SHAPE, latent_dim=D, encoder=encoder, decoder=decoder)
    assert torch.equal(torch.get_rng_state(), state)
    assert encoder.body[1].num_batches_tracked == 0
    assert all(module.training for module in [*encoder.modules(), *decoder.modules()])


def test_dropout_draws_from_the_steps_noise_alone():
    model = fresh("vae", convolutional).train()
    step, before = TrainingStep(model, 30, 0), torch.get_rng_state()
    one, again, other = (step(IMAGES, 0, torch.Generator().manual_seed(seed)).terms["kl"] for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    noise = torch.Generator().manual_seed(1)
    assert not torch.equal(step(IMAGES, 0, noise).terms["kl"], step(IMAGES, 1, noise).terms["kl"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("name", "grid"), [("vae", None), ("factor-vae", None), ("vq-vae", (4, 4))])
@pytest.mark.parametrize("own", ["encoder", "decoder"])
def test_one_of_the_two_is_enough(name, grid, own, tmp_path):
    shape, pixels = (1, 8, 8), 64

    def make():
        if own == "encoder":
            outputs = [nn.Linear(pixels, D * 16), nn.Unflatten(1, (D, *grid))] if grid else [nn.Linear(pixels, 2 * D)]
            return {"encoder": nn.Sequential(nn.Flatten(), *outputs)}
        inputs = D * 16 if grid else D
        return {"decoder": nn.Sequential(nn.Flatten(), nn.Linear(inputs, pixels), nn.Unflatten(1, shape))}

    model = build_model(name, shape, latent_dim=D, **make())
    other = {"encoder": "decoder", "decoder": "encoder"}[own]
    assert model.config[own] == "torch.nn.modules.container.Sequential"
    assert model.config[other] == "standard"
    train(model, torch.rand(20, *shape, generator=torch.Generator().manual_seed(0)), **SHORT)
    model.save_pretrained(tmp_path)
    assert same(VAE.from_pretrained(tmp_path, **make()), model)
    with pytest.raises(VaelensError, match=rf"was built with the {other} 'standard'; leave {other}= out"):
        VAE.from_pretrained(tmp_path, **make(), **{other: nn.Identity()})
    with pytest.raises(
        VaelensError, match=rf"the {own} 'torch.*Sequential'; give it: from_pretrained\(folder, {own}=…"
    ):
        VAE.from_pretrained(tmp_path)


def test_a_codebook_takes_any_grid():
    encoder = nn.Conv2d(1, 5, 4, stride=4)
    decoder = nn.ConvTranspose2d(5, 1, 4, stride=4)
    model = build_model("vq-vae", (1, 32, 32), latent_dim=5, codes=16, encoder=encoder, decoder=decoder).eval()
    assert model.code_shape == (5, 8, 8)
    x = torch.rand(2, 1, 32, 32)
    indices = model.quantise(model.encode(x)[0]).indices
    assert indices.shape == (2, 8, 8)
    patch = encoder(x)[1, :, 6, 2]
    assert indices[1, 6, 2] == (model.quantiser.codebook - patch).square().sum(1).argmin()


class Sharing(nn.Module):
    """An encoder or decoder, part of which may be another's too."""

    def __init__(self, shared, before, after, shape):
        super().__init__()
        self.shared = shared
        self.before, self.after = nn.Linear(before, 7), nn.Linear(7, after)
        self.shape = shape

    def forward(self, x):
        return self.after(self.shared(self.before(x.flatten(1)))).unflatten(1, self.shape)


def sharing(seed):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        shared = nn.Linear(7, 7)
        return {"encoder": Sharing(shared, PIXELS, 2 * D, (2 * D,)), "decoder": Sharing(shared, D, PIXELS, SHAPE)}


def test_encoder_and_decoder_may_share_a_part(tmp_path):
    whole, parted = (build_model("vae", SHAPE, latent_dim=D, **sharing(0)) for _ in range(2))
    train(whole, IMAGES, **SHORT, folder=tmp_path / "whole")
    train(parted, IMAGES, **SHORT | {"steps": 3}, folder=tmp_path / "parted")
    parted = build_model("vae", SHAPE, latent_dim=D, **sharing(1))
    train(parted, IMAGES, **SHORT, folder=tmp_path / "parted", resume=True)
    assert same(whole, parted)
    whole.save_pretrained(tmp_path / "model")
    loaded = VAE.from_pretrained(tmp_path / "model", **sharing(2))
    assert same(loaded, whole)
    assert loaded.encoder.shared is loaded.decoder.shared
    kept = load_checkpoint(checkpoint_path(tmp_path / "whole")).weights
    assert torch.equal(kept["encoder.shared.weight"], whole.encoder.shared.weight)
    assert torch.equal(kept["decoder.shared.weight"], whole.encoder.shared.weight)


class Halves(nn.Module):
    """An encoder without weights: the first pixels are the means, the next the log-variances."""

    def forward(self, x):
        return x.flatten(1)[:, : 2 * D]


class Spread(nn.Module):
    """A decoder without weights: the first latent is every pixel."""

    def forward(self, z):
        return z[:, :1, None, None].expand(-1, *SHAPE)


def test_a_module_without_weights_is_taken(tmp_path):
    decoder = mlp(False)[1]
    model = build_model("vae", SHAPE, latent_dim=D, encoder=Halves(), decoder=decoder)
    train(model, IMAGES, **SHORT, folder=tmp_path / "run")
    model.save_pretrained(tmp_path / "model")
    loaded = VAE.from_pretrained(tmp_path / "model", encoder=Halves(), decoder=mlp(False)[1])
    assert same(loaded, model)
    mu, logvar = loaded.encode(IMAGES)
    assert torch.equal(mu, IMAGES.flatten(1)[:, :D])
    assert torch.equal(logvar, IMAGES.flatten(1)[:, D : 2 * D])
    assert loaded.double().decode(mu.double()).dtype == torch.float64


def test_without_any_weight_a_model_is_saved_and_loaded_but_not_trained(tmp_path):
    model = build_model("vae", SHAPE, latent_dim=D, likelihood="gaussian", encoder=Halves(), decoder=Spread())
    model.save_pretrained(tmp_path / "model")
    loaded = VAE.from_pretrained(tmp_path / "model", encoder=Halves(), decoder=Spread())
    assert torch.equal(loaded(IMAGES), IMAGES[:, :1, :1, :1].expand_as(IMAGES))
    with pytest.raises(VaelensError, match="the model has nothing to train"):
        train(model, IMAGES, **SHORT, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_of_several_precisions_are_kept(tmp_path):
    def make():
        encoder, decoder = mlp(False)
        decoder.register_buffer("scale", torch.rand(3, dtype=torch.float64))
        decoder.register_buffer("offset", torch.rand(3, dtype=torch.float16))
        return {"encoder": encoder, "decoder": decoder}

    model = build_model("vae", SHAPE, latent_dim=D, **make())
    model.save_pretrained(tmp_path)
    assert same(VAE.from_pretrained(tmp_path, **make()), model)


def test_frozen_weights_stay():
    model = fresh("vae", mlp)
    model.encoder.requires_grad_(False)
    before, decoder = model.encoder[1].weight.clone(), model.decoder[1].weight.clone()
    train(model, IMAGES, **SHORT)
    assert torch.equal(model.encoder[1].weight, before)
    assert not torch.equal(model.decoder[1].weight, decoder)
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())


def test_the_config_names_their_classes(tmp_path):
    fresh("vae", convolutional).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["encoder"] == f"{Pair.__module__}.Pair"
    assert config["decoder"] == "torch.nn.modules.container.Sequential"


def flat(outputs):
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, outputs))


class Gives(nn.Module):
    """An encoder whose output is whatever it is made with, of the batch's size."""

    def __init__(self, give):
        super().__init__()
        self.give = give

    def forward(self, x):
        return self.give(len(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": "mlp"}, "encoder is a str; expected a torch.nn.Module, or None for ours"),
        ({"decoder": nn.Linear}, "decoder is a type; expected a torch.nn.Module"),
        ({"encoder": flat(D)}, r"the encoder gives \(2, 3\); expected \(n, 6\), the means of the 3 latents"),
        ({"encoder": flat(5)}, r"the encoder gives \(2, 5\); expected \(n, 6\)"),
        ({"encoder": nn.Linear(4, 6)}, r"the encoder does not take \(2, 2, 6, 9\): RuntimeError: .*; give image_shape"),
        ({"encoder": nn.Identity()}, r"the encoder gives \(2, 2, 6, 9\); expected \(n, 6\)"),
        ({"encoder": Gives(lambda n: None)}, "the encoder gives NoneType; expected"),
        ({"encoder": Gives(lambda n: (torch.zeros(n, 3),))}, r"the encoder gives \(\(2, 3\)\); expected"),
        (
            {"encoder": Gives(lambda n: (torch.zeros(n, 3), torch.zeros(1, 3)))},
            r"the encoder gives \(\(2, 3\), \(1, 3\)\); expected .*, or a pair of them",
        ),
        ({"encoder": Gives(lambda n: (torch.zeros(n, 3), None))}, r"gives \(\(2, 3\), NoneType\); expected"),
        ({"decoder": nn.Linear(4, 6)}, r"the decoder does not take \(2, 3\): RuntimeError"),
        ({"decoder": nn.Linear(3, 6)}, r"the decoder gives \(2, 6\) for codes \(2, 3\); expected \(2, 2, 6, 9\)"),
        ({"decoder": Gives(lambda n: "image")}, r"the decoder gives str for codes \(2, 3\); expected"),
        ({"image_shape": (2, 0)}, r"image_shape is \(2, 0\); expected \(channels, height, width\), \(features,\)"),
        ({"image_shape": (2, 0, 9)}, r"image_shape is \(2, 0, 9\); expected"),
        ({"image_shape": (1, 10**6, 10**6)}, "1,000,000,000,000 values an image; expected at most 67,108,864"),
        ({"image_shape": "269"}, "image_shape is '269'; expected"),
        ({"image_shape": (2, 6, 10)}, r"the encoder does not take \(2, 2, 6, 10\)"),
        ({"latent_dim": 4}, r"the encoder gives \(2, 6\); expected \(n, 8\), the means of the 4 latents"),
        ({"encoder": None}, r"unsupported image shape \(2, 6, 9\)"),
        ({"name": "vq-vae"}, r"the encoder gives \(2, 6\); a codebook expects \(n, 3, height, width\)"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    encoder, decoder = mlp(False)
    given = {"name": "vae", "image_shape": SHAPE, "latent_dim": D, "encoder": encoder, "decoder": decoder}
    with pytest.raises(VaelensError, match=message):
        build_model(**given | arguments)
    assert all(module.training for module in [*encoder.modules(), *decoder.modules()])


def test_a_codebooks_decoder_of_ours_expects_our_grid():
    with pytest.raises(
        VaelensError, match=r"the decoder gives \(2, 1, 64, 64\) for codes \(2, 5, 8, 8\); expected \(2, 1"
    ):
        build_model("vq-vae", (1, 32, 32), latent_dim=5, encoder=nn.Conv2d(1, 5, 4, stride=4))


def test_the_wrong_modules_are_refused_when_loading(tmp_path):
    fresh("vae", mlp).save_pretrained(tmp_path)
    encoder, decoder = mlp(False)
    with pytest.raises(VaelensError, match=r"was built with the encoder 'torch.*Sequential'; give it: from_pretrained"):
        VAE.from_pretrained(tmp_path, decoder=decoder)
    with pytest.raises(VaelensError, match=r"cannot be built: encoder is a str; expected a torch\.nn"):
        VAE.from_pretrained(tmp_path, encoder="mlp", decoder=decoder)
    with pytest.raises(VaelensError, match=r"cannot be built: the encoder gives \(2, 3\); expected"):
        VAE.from_pretrained(tmp_path, encoder=flat(D), decoder=decoder)
    before = {name: tensor.clone() for name, tensor in decoder.state_dict().items()}
    with pytest.raises(VaelensError, match=r"do not fit the config: the file .*, or other modules of your own"):
        VAE.from_pretrained(tmp_path, encoder=flat(2 * D), decoder=decoder)
    assert all(torch.equal(before[name], tensor) for name, tensor in decoder.state_dict().items())
    build_model("vae", (1, 8, 8)).save_pretrained(tmp_path / "ours")
    with pytest.raises(VaelensError, match="was built with the encoder 'standard'; leave encoder= out"):
        VAE.from_pretrained(tmp_path / "ours", encoder=encoder)
