"""The models of the battery: our own VAE and modules of other people's making, with the sites they should have."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import vaelens as vl

IMAGE = (1, 8, 8)


def own():
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3)
    sites = {"encoder.0": (32, 8, 8), "encoder.1": (64, 4, 4), "encoder.2": (256,), "latent": (3,)}
    sites |= {"decoder.0": (256,), "decoder.1": (64, 4, 4), "decoder.2": (32, 8, 8), "decoder.3": (1, 16, 16)}
    return model, None, None, sites


def linear(bias=True):
    model = nn.ModuleDict({"e": nn.Linear(64, 3, bias=bias), "d": nn.Linear(3, 64, bias=bias)})
    sites = {"latent": (3,), "decoder.0": IMAGE}
    return model, lambda x: model["e"](x.flatten(1)), lambda z: model["d"](z).view(-1, *IMAGE), sites


def functional_sigmoid():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6)),
            "d": nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4))),
            "last": nn.ConvTranspose2d(4, 1, 4, 2, 1),
        }
    )
    sites = {"encoder.0": (4, 4, 4), "latent": (3,), "decoder.0": (4, 4, 4), "decoder.1": (1, 8, 8)}
    return model, lambda x: model["e"](x).chunk(2, 1), lambda z: torch.sigmoid(model["last"](model["d"](z))), sites


def functional_relu():
    model = nn.ModuleDict(
        {"e": nn.Conv2d(1, 4, 4, 2, 1), "m": nn.Linear(64, 3), "d": nn.Linear(3, 20), "o": nn.Linear(20, 64)}
    )

    def decode(z):
        return torch.sigmoid(model["o"](functional.relu(model["d"](z), inplace=True))).view(-1, *IMAGE)

    sites = {"encoder.0": (4, 4, 4), "latent": (3,), "decoder.0": (20,), "decoder.1": IMAGE}
    return model, lambda x: model["m"](functional.relu(model["e"](x)).flatten(1)), decode, sites


def two_heads(clamped=False):
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), nn.Linear(64, 12), nn.Tanh()),
            "mu": nn.Linear(12, 3),
            "logvar": nn.Linear(12, 3),
            "d": nn.Sequential(nn.Linear(3, 12), nn.Tanh(), nn.Linear(12, 64), nn.Sigmoid(), nn.Unflatten(1, IMAGE)),
        }
    )

    def encode(x):
        h = model["e"](x)
        logvar = model["logvar"](h)
        return model["mu"](h), logvar.clamp(-4, 4) if clamped else logvar

    sites = {"encoder.0": (12,), "latent": (3,), "decoder.0": (12,), "decoder.1": (1, 8, 8)}
    return model, encode, model["d"], sites


def in_place():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(
                nn.ReLU(inplace=True), nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(64, 6)
            ),
            "d": nn.Sequential(nn.LeakyReLU(0.5, inplace=True), nn.Linear(3, 64), nn.ReLU(inplace=True)),
            "o": nn.Sequential(nn.Linear(64, 64), nn.Sigmoid()),
        }
    )
    sites = {"encoder.0": (4, 4, 4), "latent": (3,), "decoder.0": (64,), "decoder.1": IMAGE}
    return model, lambda x: model["e"](x).chunk(2, 1), lambda z: model["o"](model["d"](z)).view(-1, *IMAGE), sites


def reused_activation():
    relu = nn.ReLU()
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), nn.Linear(64, 10), relu, nn.Linear(10, 8), relu, nn.Linear(8, 6)),
            "d": nn.Sequential(nn.Linear(3, 8), relu, nn.Linear(8, 10), relu, nn.Linear(10, 64)),
        }
    )
    sites = {"encoder.0": (10,), "encoder.1": (8,), "latent": (3,)}
    sites |= {"decoder.0": (8,), "decoder.1": (10,), "decoder.2": IMAGE}
    return model, lambda x: model["e"](x).chunk(2, 1), lambda z: model["d"](z).view(-1, *IMAGE), sites


def spatial():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.SiLU(), nn.Conv2d(4, 4, 3, 1, 1)),
            "d": nn.Sequential(nn.Conv2d(2, 5, 3, 1, 1), nn.SiLU(), nn.ConvTranspose2d(5, 1, 4, 2, 1), nn.Sigmoid()),
        }
    )
    sites = {"encoder.0": (4, 4, 4), "latent": (2, 4, 4), "decoder.0": (5, 4, 4), "decoder.1": (1, 8, 8)}
    return model, lambda x: model["e"](x).chunk(2, 1), model["d"], sites


def batch_norm():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(
                nn.Conv2d(1, 4, 4, 2, 1), nn.BatchNorm2d(4), nn.ReLU(True), nn.Dropout(0.5), nn.MaxPool2d(2)
            ),
            "m": nn.Sequential(nn.Flatten(), nn.Linear(16, 6)),
            "d": nn.Sequential(nn.Linear(3, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Linear(9, 64), nn.Unflatten(1, IMAGE)),
        }
    )
    sites = {"encoder.0": (4, 4, 4), "latent": (3,), "decoder.0": (9,), "decoder.1": (1, 8, 8)}
    return model.train(), lambda x: model["m"](model["e"](x)).chunk(2, 1), model["d"], sites


def double():
    model, encode, decode, sites = two_heads()
    return model.double(), encode, decode, sites


def layer_norm():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.LayerNorm((4, 4, 4)), nn.ReLU(), nn.Flatten()),
            "m": nn.Linear(64, 3),
            "d": nn.Sequential(nn.Linear(3, 9), nn.LayerNorm(9), nn.ReLU(), nn.Linear(9, 64), nn.Unflatten(1, IMAGE)),
        }
    )
    sites = {"encoder.0": (4, 4, 4), "latent": (3,), "decoder.0": (9,), "decoder.1": (1, 8, 8)}
    return model, lambda x: model["m"](model["e"](x)), model["d"], sites


def weight_norm():
    norm = parametrizations.weight_norm
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), norm(nn.Linear(64, 9)), nn.ReLU(), norm(nn.Linear(9, 3))),
            "d": nn.Sequential(norm(nn.Linear(3, 9)), nn.ReLU(), norm(nn.Linear(9, 64)), nn.Unflatten(1, IMAGE)),
        }
    )
    sites = {"encoder.0": (9,), "latent": (3,), "decoder.0": (9,), "decoder.1": (1, 8, 8)}
    return model, model["e"], model["d"], sites


def quantised():
    model = vl.build_model("vq-vae", image_shape=(1, 16, 16), latent_dim=4, codes=6)
    with torch.no_grad():  # codes that images do take, so that something is chosen between
        found = model.encode(torch.rand(3, 1, 16, 16))[0].movedim(1, -1).reshape(-1, 4)
        model.quantiser.codebook.copy_(found[:6])
    sites = {"encoder.0": (32, 8, 8), "encoder.1": (64, 4, 4), "encoder.2": (256, 4, 4), "latent": (4, 4, 4)}
    sites |= {"decoder.0": (256, 4, 4), "decoder.1": (64, 4, 4), "decoder.2": (32, 8, 8), "decoder.3": (1, 16, 16)}
    return model, None, None, sites


def foreign_quantised():
    model, _, decode, sites = spatial()
    codes = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [0.1, 0.1], [-0.1, -0.1]])
    model["e"][2] = nn.Conv2d(4, 2, 3, 1, 1)
    return model, model["e"], decode, sites, {"codebook": codes}


class Attention(nn.Module):
    """Self-attention on (n, tokens, channels), its input added to what it gives."""

    def __init__(self, channels):
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(channels, channels) for _ in range(4))

    def forward(self, x):
        weights = (self.q(x) @ self.k(x).transpose(1, 2)).softmax(dim=-1)
        return x + self.out(weights @ self.v(x))


def attention():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(inplace=True)),
            "a": Attention(4),
            "m": nn.Linear(4, 6),
            "d": nn.Sequential(nn.Linear(3, 24), nn.Tanh()),
            "t": nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.ReLU(inplace=True), nn.Linear(5, 8)),
        }
    )

    def encode(x):
        return model["m"](model["a"](model["e"](x).flatten(2).transpose(1, 2)).mean(dim=1)).chunk(2, 1)

    sites = {"encoder.0": (4, 4, 4)} | {f"encoder.{k}": (4, 16) for k in (1, 2, 3, 4)} | {"latent": (3,)}
    sites |= {"decoder.0": (24,), "decoder.1": (5, 8), "decoder.2": (8, 8)}
    bypassed = {f"encoder.{k}" for k in (1, 2, 3, 4)}
    decode = lambda z: model["t"](model["d"](z).view(-1, 8, 3)).view(-1, *IMAGE)  # noqa: E731
    return model, encode, decode, sites, {}, bypassed


def multihead_attention():
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU()),
            "a": nn.MultiheadAttention(6, 2, batch_first=True),
            "m": nn.Linear(24, 3),
            "d": nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 64), nn.Unflatten(1, IMAGE)),
        }
    )

    def encode(x):
        tokens = model["e"](x).view(-1, 4, 6)
        return model["m"](model["a"](tokens, tokens, tokens)[0].flatten(1))

    sites = {"encoder.0": (24,), "encoder.1": (6, 4), "latent": (3,), "decoder.0": (9,), "decoder.1": (1, 8, 8)}
    return model, encode, model["d"], sites


def recurrent():
    model = nn.ModuleDict(
        {
            "e": nn.GRU(8, 5, batch_first=True),
            "m": nn.Linear(5, 3),
            "d": nn.Linear(3, 5),
            "r": nn.LSTM(5, 6, batch_first=True),
            "o": nn.Linear(6, 8),
        }
    )

    def decode(z):
        steps, _ = model["r"](model["d"](z)[:, None].expand(-1, 8, -1))
        return model["o"](steps).view(-1, *IMAGE)

    sites = {"encoder.0": (5, 8), "latent": (3,), "decoder.0": (5,), "decoder.1": (6, 8), "decoder.2": (8, 8)}
    return model, lambda x: model["m"](model["e"](x.flatten(1, 2))[0][:, -1]), decode, sites


def residual():
    """A U: the decoder's first grid goes past the stages inside."""
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(inplace=True), nn.Linear(9, 3)),
            "start": nn.Sequential(nn.Linear(3, 64), nn.ReLU(inplace=True), nn.Unflatten(1, (4, 4, 4))),
            "down": nn.Sequential(nn.Conv2d(4, 6, 4, 2, 1), nn.ReLU(inplace=True)),
            "up": nn.Sequential(nn.ConvTranspose2d(6, 4, 4, 2, 1), nn.ReLU(inplace=True)),
            "last": nn.Sequential(nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()),
        }
    )

    def decode(z):
        grid = model["start"](z)
        return model["last"](torch.cat([grid, model["up"](model["down"](grid))], dim=1))

    sites = {"encoder.0": (9,), "latent": (3,), "decoder.0": (4, 4, 4), "decoder.1": (6, 2, 2), "decoder.2": (4, 4, 4)}
    return model, model["e"], decode, sites | {"decoder.3": (1, 8, 8)}, {}, {"decoder.1", "decoder.2"}


def reused():
    """A module called twice: two sites. The second is added to the first."""
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Flatten(), nn.Linear(64, 3)),
            "d": nn.Linear(3, 16),
            "twice": nn.Linear(16, 16),
            "o": nn.Linear(16, 64),
        }
    )

    def decode(z):
        first = model["twice"](model["d"](z))
        return model["o"](first + model["twice"](first)).view(-1, *IMAGE)

    sites = {"latent": (3,), "decoder.0": (16,), "decoder.1": (16,), "decoder.2": (16,), "decoder.3": IMAGE}
    return model, model["e"], decode, sites, {}, {"decoder.2"}


class Residual(nn.Module):
    """Adds what its layers make of its input to it."""

    def __init__(self, channels):
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(inplace=True))

    def forward(self, x):
        return torch.tanh(x + self.inside(x))


def named_blocks():
    """Residual blocks whose outputs, sums that no layer gives, are named by hand."""
    block = Residual(4)
    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), Residual(4)),
            "m": nn.Linear(64, 6),
            "d": nn.Sequential(nn.Linear(3, 64), nn.ReLU(inplace=True), nn.Unflatten(1, (4, 4, 4)), block, block),
            "o": nn.Sequential(nn.ConvTranspose2d(4, 1, 4, 2, 1), nn.Sigmoid()),
        }
    )
    grid = (4, 4, 4)
    sites = dict.fromkeys(("encoder.0", "encoder.1", "encoded"), grid) | {"latent": (3,)}
    sites |= dict.fromkeys(("decoder.0", "decoder.1", "first", "decoder.2", "second"), grid) | {"decoder.3": IMAGE}
    names = {"first": (block, 0), "second": ("d.3", 1), "encoded": model["e"][1]}
    bypassed = {"encoder.1", "decoder.1", "decoder.2"}
    encode, decode = lambda x: model["m"](model["e"](x).flatten(1)).chunk(2, 1), lambda z: model["o"](model["d"](z))
    return model, encode, decode, sites, {"sites": names}, bypassed


BUILDERS = {
    "own": own,
    "quantised": quantised,
    "foreign quantised": foreign_quantised,
    "linear": linear,
    "linear without bias": lambda: linear(bias=False),
    "functional sigmoid": functional_sigmoid,
    "functional relu": functional_relu,
    "two heads": two_heads,
    "clamped head": lambda: two_heads(clamped=True),
    "in place": in_place,
    "reused activation": reused_activation,
    "spatial": spatial,
    "batch norm": batch_norm,
    "double": double,
    "layer norm": layer_norm,
    "weight norm": weight_norm,
    "attention": attention,
    "multihead attention": multihead_attention,
    "recurrent": recurrent,
    "residual": residual,
    "reused": reused,
    "named blocks": named_blocks,
}


def built(name, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, encode, decode, shapes, *given = BUILDERS[name]()
        shape = IMAGE if encode else model.image_shape
        x = torch.rand(5, *shape)
        y = torch.rand(5, *shape)
    extra = given[0] if given else {}
    lens = vl.Lens(model, encode, decode, **({"example": x} | extra | options))
    return SimpleNamespace(
        lens=lens,
        model=model,
        encode=encode,
        decode=decode,
        extra=extra,
        shapes=shapes,
        x=x,
        y=y,
        bypassed=given[1] if len(given) > 1 else frozenset(),  # sites that data also goes past
    )


@pytest.fixture
def build():
    """Builds one of the models by name."""
    return built


@pytest.fixture(params=BUILDERS)
def any_model(request):
    """Each of the models in turn, with its lens, its sites' shapes, and two batches of images."""
    return built(request.param)


@pytest.fixture
def small():
    """A VAE of 16×16 images with three latents, its lens and two batches of images."""
    return built("own")
