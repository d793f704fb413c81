"""Rows inside of a model: sorted, in pieces, of functions that PyTorch maps over images, and never alone."""

from typing import ClassVar

import pytest
import torch
from torch import nn

import vaelens as vl

WAYS = ["auto", "hooks"]
X = torch.tensor([[0.5, 1.0, 0, 0], [0.25, -0.5, 0, 0], [0.75, 0.25, 0, 0], [-1, 2, 0, 0], [0.1, 0.2, 0, 0]])


class Doubling(nn.Module):
    """A code that is the first two numbers of x, and twice the code as the decoder's result, so that all is known."""

    def __init__(self):
        super().__init__()
        self.e, self.h, self.d = nn.Linear(4, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 4, bias=False)
        self.norm = nn.BatchNorm1d(2, affine=False)
        with torch.no_grad():
            self.e.weight.copy_(torch.eye(4)[:2])
            self.h.weight.copy_(torch.eye(2))
            self.d.weight.copy_(2 * torch.eye(4)[:, :2])

    def encode(self, x):
        return self.e(x)

    def decode(self, z):
        return self.d(self.h(z))


class Sorts(Doubling):
    def decode(self, z):
        order = z[:, 0].argsort()
        return super().decode(z[order])[order.argsort()]


class SortsAgain(Doubling):
    """Back in the images' order before its last layer."""

    def decode(self, z):
        order = z[:, 0].argsort(descending=True)
        return self.d(self.h(z[order])[order.argsort()])


class InPieces(Doubling):
    def decode(self, z):
        return torch.cat([super(InPieces, self).decode(piece) for piece in z.split(4)])


class Routes(Doubling):
    def decode(self, z):
        positive = z[:, 0] > 0
        hidden = z.clone()
        hidden[positive] = self.h(z[positive])
        return self.d(hidden)


class WithDerivative(Doubling):
    def decode(self, z):
        both = torch.func.jvp(super().decode, (z,), (torch.ones_like(z),))
        return both[0] + 0 * both[1]


class BatchStatistics(Doubling):
    """Batch normalisation that its own `train` leaves in training mode."""

    def train(self, mode=True):
        super().train(mode)
        self.norm.training = True
        return self

    def decode(self, z):
        return super().decode(self.norm(z))


def lens_of(model, **options):
    return vl.Lens(model, model.encode, model.decode, example=X[:2], progress=False, **options)


def latent_effects_are_known(lens):
    effects = vl.latent_effects(lens, X, values=[3.0], progress=False).effect.values[:, 0]
    torch.testing.assert_close(torch.tensor(effects), 2 * (3 - X[:, :2]).abs().mean(0).double(), check_dtype=False)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "left"), [(Sorts, []), (SortsAgain, ["d"])])
def test_what_holds_images_in_another_order_is_no_site(way, kind, left):
    lens = lens_of(kind(), execution=way)
    assert [lens.sites[name].module for name in lens.sites.of("decoder")] == left
    latent_effects_are_known(lens)
    base, source = X[:2], X[2:4]
    patched = vl.patching_effects(lens, base, source, sites=["latent", *lens.sites.of("decoder")], progress=False)
    of_latents = 2 * (source - base)[:, :2].abs().mean(0)
    torch.testing.assert_close(torch.tensor(patched.effect.values[:2]), of_latents.double(), check_dtype=False)
    with pytest.raises(vl.VaelensError, match="holds the images in another order"):
        lens.name_sites({"hidden": "h"})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [InPieces, Routes])
def test_a_site_that_a_part_of_the_images_reaches_is_refused_where_it_is_used(way, kind):
    lens = lens_of(kind(), execution=way)
    latent_effects_are_known(lens)
    with pytest.raises(vl.VaelensError, match=r"decoder\.0 holds 4 rows for 5 of the input"):
        lens.run(X, capture="decoder.0")


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")  # by PyTorch itself, for forward derivatives
def test_a_decoder_that_takes_its_own_derivative_is_no_obstacle():
    latent_effects_are_known(lens_of(WithDerivative()))
    assert torch.zeros(1).requires_grad_().requires_grad  # which PyTorch refuses inside of a transform


@pytest.mark.parametrize("way", WAYS)
def test_a_model_that_runs_on_no_image_alone_says_so(way):
    lens = lens_of(BatchStatistics(), execution=way)
    effects = vl.latent_effects(lens, X, values=[3.0], progress=False).effect.values[:, 0]
    normal = nn.functional.batch_norm(X[:, :2], None, None, training=True)  # and 0 in a latent that is constant
    torch.testing.assert_close(torch.tensor(effects), 2 * normal.abs().mean(0).double(), rtol=1e-4, atol=0)
    for images in (X[:1], X[torch.arange(65) % 5]):
        for run in (lens.run, lambda x: vl.latent_effects(lens, x, progress=False)):
            with pytest.raises(vl.VaelensError, match="does not run on one image alone"):
                run(images)


class CachesByNumber(nn.Module):
    """Keeps a grid for each number of images outside of itself, as a cached function does."""

    grids: ClassVar[dict[int, torch.Tensor]] = {}

    def __init__(self):
        super().__init__()
        self.e, self.d = nn.Sequential(nn.AvgPool2d(512), nn.Flatten(), nn.Linear(1, 1)), nn.Linear(1, 1)

    def encode(self, x):
        return self.e(x)

    def decode(self, z):
        grid = self.grids.setdefault(len(z), torch.ones(len(z), 1, 512, 512))
        return torch.sigmoid(self.d(z))[:, :, None, None] * grid


def test_what_is_kept_for_each_number_of_images_has_values():
    model = CachesByNumber()
    lens = vl.Lens(model, model.encode, model.decode, example=torch.rand(2, 1, 512, 512), progress=False)
    lens.run(torch.rand(3, 1, 512, 512))
    assert {type(grid) for grid in model.grids.values()} == {torch.Tensor}
