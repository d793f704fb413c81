"""The choice among forms: by rule, and another choice is another rounding only."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens.incremental import choice
from vaelens.lens.incremental.layers import CHANNELS_LAST, PLAIN, SCATTERED

X = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


def fresh(name="vae"):
    return vl.Lens(vl.build_model(name, image_shape=(1, 16, 16), latent_dim=3, seed=1))


def image(lens):
    return lens.engine.cached_run(X).image


def forms(lens):
    parts = lens.engine.parts
    return list(parts.encoder.forms.values()), list(parts.decoder.forms.values())


def test_convolutions_have_their_channels_last_and_the_last_is_one_product():
    lens = fresh()
    image(lens)
    encoder, decoder = forms(lens)
    assert encoder == [CHANNELS_LAST, CHANNELS_LAST, PLAIN, PLAIN]
    assert decoder == [PLAIN, PLAIN, CHANNELS_LAST, SCATTERED]


def test_in_double_precision_layers_stay_as_they_are():
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3, seed=1).double())
    lens.engine.cached_run(X.double())
    assert {*forms(lens)[0], *forms(lens)[1]} == {PLAIN}


def test_a_module_that_wants_another_layout_gets_it():
    class Flattening(nn.Module):
        def forward(self, x):
            return x.view(len(x), -1)  # which a tensor with its channels last refuses

    encoder = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), Flattening(), nn.Linear(4 * 64, 6))
    decoder = nn.Sequential(nn.Linear(3, 4 * 64), nn.Unflatten(1, (4, 8, 8)), nn.ConvTranspose2d(4, 1, 4, 2, 1))

    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    lens = vl.Lens(model, encode=lambda x: encoder(x).chunk(2, dim=1), decode=lambda z: decoder(z).sigmoid(), example=X)
    assert torch.allclose(image(lens), lens.reconstruct(X), atol=1e-6)
    assert set(forms(lens)[0]) == {PLAIN}
    assert SCATTERED in forms(lens)[1]


def test_two_processes_give_the_same_bits_whatever_the_cache_folder(tmp_path):
    code = (
        "import torch, vaelens as vl\n"
        "lens = vl.Lens(vl.build_model('vae', image_shape=(1, 16, 16), latent_dim=3, seed=1))\n"
        "print(float(lens.engine.cached_run(torch.ones(2, 1, 16, 16)).image.double().sum()).hex())\n"
    )
    (tmp_path / "no folder").write_text("in the way")

    def printed(cache):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "VAELENS_CACHE": str(tmp_path / cache)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert printed("cache") == printed("no folder") != ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["no folder"]


@pytest.mark.parametrize("name", ["vae", "vq-vae"])
def test_every_form_gives_the_same_but_for_rounding(name, monkeypatch):
    images = []
    for form in (PLAIN, CHANNELS_LAST, SCATTERED):
        monkeypatch.setattr(
            choice, "form_of", lambda layer, inputs, form=form: form if form in layer.forms else layer.forms[-1]
        )
        lens = fresh(name)
        images.append(image(lens))
        assert form in {*forms(lens)[0], *forms(lens)[1]}
    for other in images[1:]:
        assert float((other - images[0]).abs().max()) <= 1e-5 * float(images[0].abs().max())


def test_out_of_memory_in_the_trial_is_told(monkeypatch):
    lens = fresh()
    traced = lens.engine.parts.decoder._traced

    def run(*given, **options):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(type(traced.program), "run", run)
    with pytest.raises(torch.OutOfMemoryError, match="no memory"):
        choice.choose(traced.program, traced.layers, torch.zeros(2, 3))
