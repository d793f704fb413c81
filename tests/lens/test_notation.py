"""One network written with modules, with functions and with methods: the same sites, units and numbers."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl

WEIGHTS = {
    "c1": lambda: nn.Conv2d(1, 4, 4, 2, 1),
    "c2": lambda: nn.Conv2d(4, 6, 3, 1, 1),
    "norm": lambda: nn.GroupNorm(2, 6),
    "l1": lambda: nn.Linear(6 * 16, 10),
    "m": lambda: nn.Linear(10, 3),
    "v": lambda: nn.Linear(10, 3),
    "l2": lambda: nn.Linear(3, 64),
    "t1": lambda: nn.ConvTranspose2d(4, 5, 4, 2, 1),
    "t2": lambda: nn.ConvTranspose2d(5, 1, 4, 2, 1),
}


def weights():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.ModuleDict({name: build() for name, build in WEIGHTS.items()})


def by_modules(w):
    w.update({"silu": nn.SiLU(), "relu": nn.ReLU(), "tanh": nn.Tanh(), "leaky": nn.LeakyReLU(0.2)})
    encoder = nn.Sequential(
        w["c1"], w["silu"], w["c2"], w["norm"], w["relu"], nn.MaxPool2d(2), nn.Flatten(), w["l1"], w["tanh"]
    )
    decoder = nn.Sequential(
        w["l2"], nn.ReLU(), nn.Dropout(0.3), nn.Unflatten(1, (4, 4, 4)), w["t1"], w["leaky"], w["t2"], nn.Sigmoid()
    )
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder, "weights": w})

    def encode(x):
        h = encoder(x)
        return w["m"](h), w["v"](h)

    return model, encode, decoder


def by_functions(w):
    def encode(x):
        h = functional.silu(w["c1"](x))
        h = functional.relu(functional.group_norm(w["c2"](h), 2, w["norm"].weight, w["norm"].bias), inplace=True)
        h = torch.tanh(w["l1"](torch.flatten(functional.max_pool2d(h, 2), 1)))
        return w["m"](h), w["v"](h)

    def decode(z):
        h = functional.dropout(functional.relu(w["l2"](z)), 0.3, training=False)
        h = torch.reshape(h, (-1, 4, 4, 4))
        return torch.sigmoid(w["t2"](functional.leaky_relu(w["t1"](h), 0.2)))

    return w, encode, decode


def by_methods(w):
    def encode(x):
        h = w["c1"](x)
        h = functional.silu(h)
        h = w["norm"](w["c2"](h)).relu_()
        h = w["l1"](functional.max_pool2d(h, 2).flatten(1)).tanh()
        return w["m"](h), w["v"](h)

    def decode(z):
        h = w["l2"](z).relu().view(z.shape[0], 4, 4, 4)
        return w["t2"](functional.leaky_relu_(w["t1"](h), 0.2)).sigmoid()

    return w, encode, decode


X, Y = torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def of_modules():
    model, encode, decode = by_modules(weights())
    return vl.Lens(model, encode, decode, example=X)


@pytest.mark.parametrize("execution", ["auto", "hooks", "torch.fx", "torch.export"])
@pytest.mark.parametrize("notation", [by_functions, by_methods])
def test_other_notations_have_the_same_sites_and_effects(of_modules, notation, execution):
    model, encode, decode = notation(weights())
    lens = vl.Lens(model, encode, decode, example=X, execution=execution)
    assert lens.sites == of_modules.sites
    assert {name: site.shape for name, site in lens.sites.items()} == {
        "encoder.0": (4, 8, 8),
        "encoder.1": (6, 8, 8),
        "encoder.2": (10,),
        "latent": (3,),
        "decoder.0": (4, 4, 4),
        "decoder.1": (5, 8, 8),
        "decoder.2": (1, 16, 16),
    }
    for effect, variable in (
        (lambda lens: vl.patching_effects(lens, X, Y, progress=False), "effect"),
        (lambda lens: vl.patching_effects(lens, X, method="mean", progress=False), "effect"),
        (lambda lens: vl.mediation_effects(lens, X, Y, "decoder.0", progress=False), "indirect"),
        (lambda lens: vl.input_effects(lens, vl.ArrayDataset(X.numpy()), n=4, progress=False), "unit_effect"),
        (lambda lens: vl.decoder_responses(lens, X, progress=False), "response"),
        (lambda lens: vl.latent_effects(lens, X, progress=False), "ces"),
    ):
        values, expected = (effect(each)[variable].values for each in (lens, of_modules))
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-6)
    if execution != "hooks":
        assert "forward hooks" not in str(lens.execution)
    edits = [vl.Set(site, 0, 1.5) for site in lens.sites]
    for edit in edits:
        torch.testing.assert_close(lens.run(X, edit).reconstruction, of_modules.run(X, edit).reconstruction)


def test_sites_are_the_same_each_time_whatever_memory_their_temporaries_had():
    class Shifted(nn.Module):
        """What lies between layers are temporaries, which are let go of at once."""

        def __init__(self):
            super().__init__()
            self.encoder, self.first = nn.Linear(6, 2), nn.Linear(2, 16)
            self.layers = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=1) for _ in range(3))
            self.last = nn.Linear(16, 6)

        def decode(self, z):
            h = functional.relu(self.first(z)).view(-1, 4, 4)
            for layer in self.layers:
                h = functional.relu(layer((h * torch.sigmoid(h) + 0.1) * 1.0))
            return self.last(h.flatten(1))

    model, x = Shifted(), torch.rand(5, 6)
    least = []
    for _ in range(12):
        lens = vl.Lens(model, model.encoder, model.decode, example=x[:2])
        run = lens.run(x, capture="decoder.*")
        least.append([float(run.activations[f"decoder.{k}"].min()) >= 0 for k in range(4)])
    assert least == [[True] * 4] * 12, "each site lies behind its nonlinearity"
