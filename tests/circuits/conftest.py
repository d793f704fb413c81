"""Small models that circuits are looked for in, and circuit runs of them by plain forward hooks."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.circuits.unit_sets import UnitTable


class Bypass(nn.Module):
    """A VAE whose encoder and decoder each pass a stage by."""

    def __init__(self):
        super().__init__()
        self.e1, self.e2, self.mean = nn.Conv2d(1, 4, 4, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.Linear(64, 3)
        self.d1, self.d2, self.d3 = nn.Linear(3, 64), nn.Conv2d(4, 4, 3, 1, 1), nn.ConvTranspose2d(8, 1, 4, 2, 1)
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(4))
        self.squash = nn.Sigmoid()

    def encode(self, x):
        grid = self.relus[0](self.e1(x))
        return self.mean((grid + self.relus[1](self.e2(grid))).flatten(1))

    def decode(self, z):
        grid = self.relus[2](self.d1(z)).view(-1, 4, 4, 4)
        return self.squash(self.d3(torch.cat([grid, self.relus[3](self.d2(grid))], dim=1)))


def bypass(**options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Bypass().eval()
        images = torch.rand(12, 1, 8, 8)
    lens = vl.Lens(model, model.encode, model.decode, example=images[:3], **options)
    return lens, images[:6], images[6:]


def standard(**options):
    model = vl.build_model("vae", (1, 16, 16), latent_dim=3, seed=2).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        images = torch.rand(12, 1, 16, 16)
    return vl.Lens(model, **options), images[:6], images[6:]


def run_by_hooks(lens, images, held, mask):
    """The images of a circuit run, by hooks of this file on the sites' modules; `held` are the values by site."""
    outside = UnitTable.of(lens).units(~mask)
    modules = dict(lens.module.named_modules())

    def hold(site):
        def hook(module, arguments, output):
            values = output.clone()
            flat = values.reshape(held[site].shape)
            flat[:, list(outside[site])] = held[site][:, list(outside[site])]
            return flat.reshape(output.shape)

        return hook

    handles = [
        modules[lens.sites[site].module].register_forward_hook(hold(site)) for site in outside if site != "latent"
    ]
    try:
        with torch.no_grad():
            encoded = lens.module.encode(images)
            code = (encoded[0] if isinstance(encoded, tuple) else encoded).clone()
            code[:, list(outside["latent"])] = held["latent"][:, list(outside["latent"])]
            return lens.module.decode(code)
    finally:
        for handle in handles:
            handle.remove()


@pytest.fixture(params=["standard", "standard by hooks", "bypass", "bypass by hooks"])
def pairs(request):
    """A lens with base and source images, traced and under hooks."""
    name, _, hooks = request.param.partition(" by ")
    options = {"execution": "hooks"} if hooks else {}
    return {"standard": standard, "bypass": bypass}[name](**options)


@pytest.fixture
def by_hooks():
    """Runs a circuit by plain forward hooks."""
    return run_by_hooks


@pytest.fixture
def masks():
    """Random sets of so many units, each size once."""

    def drawn(units, seed=0):
        rng = np.random.default_rng(seed)
        sets = np.zeros((6, units), dtype=bool)
        for row, share in zip(sets, (0.02, 0.1, 0.3, 0.6, 0.9, 0.98), strict=True):
            row[rng.permutation(units)[: max(1, round(share * units))]] = True
        return sets

    return drawn
