"""Models whose every number can be had on paper: linear encoders and decoders, made from matrices."""

import random
import shutil
from collections import OrderedDict
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.metrics.disentanglement.scorers import scorers

torch.set_num_threads(1)  # small models gain nothing from threads, and lose much where cores are shared


def dense(weight, bias=None, dtype=torch.float64):
    """A linear layer with these weights, (outputs, inputs)."""
    weight = torch.as_tensor(np.asarray(weight), dtype=dtype)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias is not None:
            layer.bias.copy_(torch.as_tensor(np.asarray(bias), dtype=dtype))
    return layer


def autoencoder(encoder, decoder):
    """Two modules as one."""
    return nn.Sequential(OrderedDict(encoder=encoder, decoder=decoder))


def linear_lens(a, w, c=None, b=None, *, shape, logvar=None, dtype=torch.float64, **options):
    """The lens on code = A x + c, image = W z + b; `logvar` is the same for every image."""
    model = autoencoder(
        nn.Sequential(nn.Flatten(), dense(a, c, dtype)), nn.Sequential(dense(w, b, dtype), nn.Unflatten(1, shape))
    )

    def encode(x):
        code = model.encoder(x)
        return code if logvar is None else (code, code.new_tensor(logvar).expand_as(code))

    return vl.Lens(model, encode, model.decoder, example=torch.zeros(1, *shape), **options)


def random_linear(d=3, shape=(1, 4, 4), images=6, seed=0, dtype=torch.float64, bias=True, **options):
    """A random linear VAE, its matrices and images for it, all exact in float32."""
    rng = np.random.default_rng(seed)
    pixels = int(np.prod(shape))
    a, w, c, b, x = (
        rng.normal(size=size).astype(np.float32).astype(float)
        for size in ((d, pixels), (pixels, d), (d,), (pixels,), (images, pixels))
    )
    x = (1 / (1 + np.exp(-x))).astype(np.float32).astype(float)
    if not bias:
        c, b = np.zeros(d), np.zeros(pixels)
    lens = linear_lens(a, w, c if bias else None, b if bias else None, shape=shape, dtype=dtype, **options)
    tensor = torch.as_tensor(x).reshape(images, *shape)
    return SimpleNamespace(lens=lens, a=a, w=w, c=c, b=b, x=tensor, z=x @ a.T + c, shape=shape)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef, request):
    """What a fixture draws without a seed of its own is the same in whatever order the tests run."""
    _seed_everything()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item):
    """Likewise what a test draws."""
    _seed_everything()


def _seed_everything():
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - other libraries draw from it
    torch.manual_seed(0)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory, worker_id):
    """What datasets keep on disk goes to a folder of this test run, not to the user's."""
    base = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAELENS_CACHE", str((base if worker_id == "master" else base.parent) / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_halves():
    """Analyses make the intervals of their disentanglement scores from two halves: ten take most of their time."""

    def few(*args):
        return {key: replace(scorer, halves=2) for key, scorer in scorers(*args).items()}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vaelens.analysis.disentanglement.scorers", few)
        yield


@pytest.fixture
def linear():
    """Builds a random linear VAE."""
    return random_linear


@pytest.fixture
def layer():
    """Builds a linear layer from its weights."""
    return dense


@pytest.fixture
def joined():
    """Builds a module from an encoder and a decoder."""
    return autoencoder


@pytest.fixture
def linear_of():
    """Builds the lens of a linear VAE from its matrices."""
    return linear_lens


@pytest.fixture(scope="session")
def chromium():
    """A browser without a window, one for all tests: a process can drive no second one."""
    browsers = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not browsers:
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH to open the page with")
    api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browsers[0], args=flags)
        yield browser
        browser.close()
