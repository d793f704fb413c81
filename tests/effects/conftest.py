"""What the tests of the effects ask of every result."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl


def check_provenance(effects, **made):
    assert len(effects.attrs["weights_sha256"]) == 64
    assert effects.attrs["model"]
    assert effects.attrs["version"] == vl.__version__
    for name, value in made.items():
        assert effects.attrs[name] == value, name


def check_intervals(effects, *names):
    """low <= mean <= high wherever there is a mean."""
    for name in names:
        low, mean, high = (effects[f"{name}{end}"].values for end in ("_low", "", "_high"))
        slack = 1e-6 * np.abs(mean) + 1e-12
        known = np.isfinite(mean)
        assert known.any(), name
        assert (low <= mean + slack)[known].all(), name
        assert (mean <= high + slack)[known].all(), name


def check_same(one, other, rtol=1e-6, atol=1e-9):
    """Two results agree in every variable and coordinate."""
    assert set(one.variables) == set(other.variables)
    for name in one.variables:
        if one[name].dtype.kind in "fc":
            slack = max(atol, 1e-6) if name.endswith(("_low", "_high")) and rtol else atol  # resamples are in float32
            np.testing.assert_allclose(one[name].values, other[name].values, rtol=rtol, atol=slack, err_msg=name)
        else:
            np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=name)


@pytest.fixture
def provenance():
    """Asserts that a result says how it was made."""
    return check_provenance


@pytest.fixture
def intervals():
    """Asserts that intervals hold their mean."""
    return check_intervals


@pytest.fixture
def same():
    """Asserts that two results agree."""
    return check_same


def quantised_by_hand(codes, w=None, a=None, shape=(1, 2, 2), dtype=torch.float64, **options):
    """embedding = A x at each pixel, the nearest of some codes, image = W times the codes (by latent, then position).

    With what NumPy computes of it: `embed` (n, d, h, w), `choose` (n, h, w) and `draw` (n, pixels) from indices.
    """
    codes = np.asarray(codes, dtype=float)
    a = np.ones((codes.shape[1], shape[0])) if a is None else np.asarray(a, dtype=float)
    w = np.eye(int(np.prod(shape))) if w is None else np.asarray(w, dtype=float)
    encoder = nn.Conv2d(*a.shape[::-1], 1, bias=False, dtype=dtype)
    decoder = nn.Linear(*w.shape[::-1], bias=False, dtype=dtype)
    with torch.no_grad():
        encoder.weight.copy_(torch.as_tensor(a)[..., None, None])
        decoder.weight.copy_(torch.as_tensor(w))
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    lens = vl.Lens(
        model,
        encoder,
        lambda embedding: decoder(embedding.flatten(1)).view(-1, *shape),
        codebook=torch.as_tensor(codes, dtype=dtype),
        example=torch.zeros(1, *shape),
        **options,
    )

    def embed(x):
        return np.einsum("dc,nchw->ndhw", a, np.asarray(x, dtype=float))

    def choose(z):
        return ((z[:, None] - codes[None, :, :, None, None]) ** 2).sum(axis=2).argmin(axis=1)

    def draw(indices):
        return np.moveaxis(codes[indices], -1, 1).reshape(len(indices), -1) @ w.T

    return SimpleNamespace(lens=lens, codes=codes, w=w, embed=embed, choose=choose, draw=draw)


@pytest.fixture
def coded():
    """Builds a quantised model of which everything can be had on paper."""
    return quantised_by_hand


def vq_vae(side=16, width=4, codes=6, seed=0, dtype=torch.float32):
    """An untrained vq-vae whose codebook holds embeddings of images, so that images do use it.

    Its embeddings are drawn apart: the model chooses codes in float32, and untrained embeddings are hardly more than
    its rounding from one another.
    """
    model = vl.build_model("vq-vae", image_shape=(1, side, side), latent_dim=width, codes=codes, seed=seed).to(dtype)
    images = torch.rand(codes, 1, side, side, generator=torch.Generator().manual_seed(99), dtype=dtype)
    with torch.no_grad():
        model.encoder.code.weight.mul_(30)
        model.encoder.code.bias.zero_()
        found = model.encode(images)[0].movedim(1, -1).reshape(codes, -1, width)
        model.quantiser.codebook.copy_(found[torch.arange(codes), torch.arange(codes) % found.shape[1]].float())
    return model.eval()


@pytest.fixture(name="vq_vae", scope="session")
def vq_vae_fixture():
    """Builds a vq-vae whose codes are in use."""
    return vq_vae
