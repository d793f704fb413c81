"""Models that ask for the length of a tensor by `len`."""

import pytest
import torch
from torch import nn

import vaelens as vl


class Measured(nn.Module):
    """A model that views by `len`, as many do; `decide` makes Python decide by it."""

    def __init__(self, decide=False):
        super().__init__()
        self.decide = decide
        self.first, self.code = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(64, 6)
        self.wide, self.image = nn.Linear(3, 64), nn.ConvTranspose2d(4, 1, 2, 2)

    def encode(self, x):
        if self.decide and len(x) > 10**6:
            x = x / 2
        h = self.first(x).relu()
        return self.code(h.view(len(h), -1)).chunk(len(("mean", "logvar")), 1)

    def decode(self, z):
        return self.image(self.wide(z).relu().view(len(z), 4, 4, 4)).sigmoid()


@pytest.fixture
def images():
    return torch.rand(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_len_is_followed(images):
    torch.manual_seed(0)
    model = Measured()
    lens, plain = (
        vl.Lens(model, model.encode, model.decode, example=images[0], execution=way) for way in ("auto", "hooks")
    )
    assert lens.execution == {"encoder": "torch.fx", "decoder": "torch.fx"}
    effects, expected = (vl.patching_effects(each, *images, progress=False) for each in (lens, plain))
    torch.testing.assert_close(effects.effect.values, expected.effect.values, rtol=1e-5, atol=1e-7)
    assert "len" not in globals()


def test_code_that_decides_by_len_runs_under_hooks(images):
    model = Measured(decide=True)
    lens = vl.Lens(model, model.encode, model.decode, example=images[0])
    assert lens.execution["decoder"] == "torch.fx"
    assert lens.execution["encoder"] != "torch.fx"
    assert "len" not in globals()
