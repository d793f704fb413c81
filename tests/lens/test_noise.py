"""Decoders that draw at their levels: each draw its mean, where that is asked for."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError

DRAWS = {
    "randn_like": lambda mean, sd: mean + sd * torch.randn_like(mean),
    "randn": lambda mean, sd: mean + sd * torch.randn(mean.shape),
    "normal": torch.normal,
    "normal of numbers": lambda mean, sd: mean + sd * torch.normal(0.0, 1.0, mean.shape),
    "normal_": lambda mean, sd: mean + sd * torch.empty_like(mean).normal_(),
    "Normal": lambda mean, sd: torch.distributions.Normal(mean, sd).rsample(),
    "sample": lambda mean, sd: torch.distributions.Normal(mean, sd).sample(),
}


class Ladder(nn.Module):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw
        self.encoder, self.prior = nn.Linear(4, 2), nn.Linear(2, 6)
        self.out = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4))

    def decode(self, z):
        mean, spread = self.prior(z).chunk(2, dim=1)
        return self.out(self.draw(mean, spread.exp()))


def lens_on(model, **options):
    return vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 4), **options)


@pytest.mark.parametrize("how", DRAWS)
def test_each_level_is_what_its_prior_expects(how):
    model, x = Ladder(DRAWS[how]), torch.randn(6, 4)
    lens = lens_on(model, noise="mean")
    with torch.no_grad():
        code = model.encoder(x)
        base = model.out(model.prior(code)[:, :3])
        distances = []
        for value in torch.linspace(-3, 3, 7):
            changed = code.clone()
            changed[:, 1] = value
            distances.append((model.out(model.prior(changed)[:, :3]) - base).norm(dim=1).mean())

    effects = vl.latent_effects(lens, x, progress=False)

    torch.testing.assert_close(lens.run(x).reconstruction, base)
    torch.testing.assert_close(lens.run(x, seed=5).reconstruction, lens.run(x).reconstruction, rtol=0, atol=0)
    assert float(effects.ces[1]) == pytest.approx(float(torch.stack(distances).mean()), rel=1e-5)
    assert lens.describe()["noise"] == effects.attrs["noise"] == "mean"
    assert "noise that the model draws is its mean" in repr(lens)


def test_drawn_it_is_another_for_another_seed_and_the_model_draws_on_afterwards():
    model, x = Ladder(DRAWS["randn_like"]), torch.randn(6, 4)
    drawn, fixed = lens_on(model), lens_on(model, noise="mean")

    fixed.run(x)

    assert not torch.equal(drawn.run(x, seed=0).reconstruction, drawn.run(x, seed=1).reconstruction)
    assert "noise" not in drawn.describe()
    assert not torch.equal(model.decode(x[:, :2]), model.decode(x[:, :2]))
    with pytest.raises(VaelensError, match=r"unknown noise 'off'; .*drawn, mean"):
        lens_on(model, noise="off")


def scripted(mean, sd):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        drawn = torch.jit.CompilationUnit("def drawn(mean, sd):\n    return mean + sd * torch.randn_like(mean)\n").drawn
    return drawn(mean, sd)


HIDDEN = {
    "TorchScript": scripted,
    "NumPy": lambda mean, sd: mean + sd * torch.as_tensor(np.random.normal(size=mean.shape)).float(),  # noqa: NPY002
    "another distribution": lambda mean, sd: mean + sd * torch.rand_like(mean),
    "out": lambda mean, sd: torch.normal(mean, sd, out=torch.empty_like(mean)),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_draws_that_are_not_seen_are_refused(how):
    with torch.no_grad(), pytest.raises(VaelensError, match="the decoder still draws: inside TorchScript"):
        lens_on(Ladder(HIDDEN[how]), noise="mean")
