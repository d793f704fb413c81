"""A model whose only site is the latent, as TorchScript leaves it: every effect, a circuit and an analysis."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*is deprecated:DeprecationWarning")

IMAGES = torch.rand(24, 1, 4, 4, generator=torch.Generator().manual_seed(0))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 3)

    def forward(self, x):
        return self.layer(x.flatten(1))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 16)

    def forward(self, z):
        return torch.sigmoid(self.layer(z)).view(-1, 1, 4, 4)


@pytest.fixture(scope="module")
def lenses():
    """On TorchScript, and on the same modules as they are."""
    plain = nn.ModuleDict({"encoder": Encoder(), "decoder": Decoder()}).eval()
    scripted = nn.ModuleDict({name: torch.jit.script(module) for name, module in plain.items()}).eval()
    return [
        vl.Lens(model, model["encoder"], model["decoder"], example=IMAGES[:2], progress=False)
        for model in (scripted, plain)
    ]


def test_its_one_site_is_no_output(lenses):
    scripted, plain = lenses
    assert (list(scripted.sites), scripted.sites.output) == (["latent"], None)
    assert plain.sites.output == "decoder.0"


def test_effects_are_those_of_the_same_modules(lenses):
    ds = vl.ArrayDataset(IMAGES.numpy(), factors=np.arange(24) % 3, names=["label"])
    for effect, names in (
        (lambda lens: vl.patching_effects(lens, IMAGES[:8], IMAGES[8:16], "latent", progress=False), ["recovered"]),
        (lambda lens: vl.factor_effects(lens, ds, n=8, progress=False), ["latent_effect", "output_effect"]),
        (lambda lens: vl.manipulation_effects(lens, ds, n=8, progress=False), ["latent_effect", "output_effect"]),
    ):
        scripted, plain = (effect(lens) for lens in lenses)
        for name in names:
            np.testing.assert_allclose(scripted[name], plain[name], rtol=1e-5, err_msg=name)
    alone = vl.patching_effects(lenses[0], IMAGES[:8], IMAGES[8:16], progress=False)
    assert alone.site.values.tolist() == ["latent"] * 3
    assert vl.factor_effects(lenses[0], ds, n=8, progress=False).sizes["unit"] == 0


def test_it_is_analysed_and_reported(lenses, tmp_path):
    ds = vl.ArrayDataset(IMAGES.numpy())
    analysis = vl.analyse(lenses[0], ds, n=16, only=["latent", "input", "patching"], progress=False)
    assert analysis.effects["patching"].sizes["unit"] == 3
    assert "<html" in analysis.report(tmp_path / "report.html").read_text()
