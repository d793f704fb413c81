import importlib.metadata
import json
import subprocess
import sys

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.lens import site_search


def test_neither_library_is_imported_for_models_of_ones_own():
    code = (
        "import sys, torch, vaelens as vl\n"
        "vl.Lens(vl.build_model('vae', (1, 16, 16), 2)).describe()\n"
        "module = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.Linear(2, 4))\n"
        "encode, decode = lambda x: module[0](x.flatten(1)), lambda z: module[1](z).view(-1, 1, 2, 2)\n"
        "vl.Lens(module, encode, decode, example=torch.rand(1, 1, 2, 2)).describe()\n"
        "try: vl.Lens(module)\n"
        "except vl.VaelensError: pass\n"
        "sys.exit(bool({'diffusers', 'pythae'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pythae vq", {"model": "VQVAE", "library": "pythae", "latent": "quantised", "codes": 6}),
        ("autoencoder-kl", {"model": "AutoencoderKL", "library": "diffusers", "latent": "continuous"}),
    ],
)
def test_the_description_names_class_and_library(build_by_hooks, name, expected):
    one = build_by_hooks(name)
    record = json.loads(json.dumps(one.lens.describe()))
    expected["library"] += f" {importlib.metadata.version(expected['library'])}"
    assert {key: record[key] for key in expected} == expected
    assert record["parameters"] == sum(parameter.numel() for parameter in one.model.parameters())
    assert "hyperparameters" not in record


@pytest.mark.parametrize("name", ["own", "pythae vae", "autoencoder-kl"])
def test_of_a_parallel_model_the_module_inside_is_looked_at(build_by_hooks, name):
    if name == "own":
        model, x = vl.build_model("vae", (1, 16, 16), 2), torch.rand(2, 1, 16, 16)
    else:
        one = build_by_hooks(name)
        model, x = one.model, one.x
    lens, inside = (vl.Lens(one, execution="hooks") for one in (nn.DataParallel(model), model))
    assert lens.module is model
    assert torch.equal(lens.reconstruct(x), inside.reconstruct(x))
    assert lens.describe() == inside.describe()


def test_parts_that_are_named_run_inside_a_parallel_module_too():
    model = nn.DataParallel(nn.Sequential(nn.Linear(4, 2), nn.Linear(2, 4)))
    lens = vl.Lens(
        model,
        lambda x: model.module[0](x.flatten(1)),
        lambda z: model.module[1](z).view(-1, 1, 2, 2),
        torch.zeros(1, 1, 2, 2),
    )
    assert list(lens.sites) == ["latent", "decoder.0"]


def test_named_parts_come_before_those_of_a_known_model(build_by_hooks):
    one = build_by_hooks("autoencoder-kl")
    encode, decode = lambda x: one.model.encoder(x), lambda z: one.model.decoder(z[:, :2])
    lens = vl.Lens(one.model, encode, decode, example=one.x, execution="hooks")
    assert lens.encode(one.x).shape == (2, 4, 8, 8)


@pytest.mark.parametrize("name", ["pythae vae", "vq-model"])
def test_a_known_model_takes_no_codebook_beside_its_own(build_by_hooks, name):
    one = build_by_hooks(name)
    with pytest.raises(VaelensError, match=f"a {type(one.model).__name__} brings its own codebook, where it has one"):
        vl.Lens(one.model, codebook=torch.zeros(2, 3))


def test_a_large_image_is_followed_without_its_numbers_to_the_same_sites(build_by_hooks, monkeypatch):
    followed = []
    whole = site_search._run_traced

    def traced(parts, example, *options):
        found = whole(parts, example, *options)
        followed.append(type(example).__name__)
        return found

    monkeypatch.setattr(site_search, "_run_traced", traced)
    one = build_by_hooks("autoencoder-kl")
    expected = repr(vl.Lens(one.model, example=one.x, execution="hooks"))
    monkeypatch.setattr("vaelens.lens.site_search._LARGE", 0)
    assert repr(vl.Lens(one.model, example=one.x, execution="hooks")) == expected
    assert followed == 4 * ["Tensor"] + 2 * ["FakeTensor"]


def test_what_a_stand_in_can_not_follow_is_followed_with_numbers(monkeypatch):
    monkeypatch.setattr("vaelens.lens.site_search._LARGE", 0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    decoder = nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4)))
    by_value = lambda x: encoder(x * 2 if float(x.detach().sum()) > 0 else x)  # noqa: E731
    lens = vl.Lens(nn.Sequential(encoder, decoder), by_value, decoder, example=torch.rand(2, 1, 4, 4))
    assert list(lens.sites) == ["latent", "decoder.0"]
