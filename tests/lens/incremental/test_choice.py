"""The choice among forms: made once, kept on disk, and another choice is another rounding only."""

import json
import os
import subprocess
import sys

import pytest
import torch

import vaelens as vl
from vaelens.lens.incremental import choice
from vaelens.lens.incremental.layers import CHANNELS_LAST, FORMS, PLAIN
from vaelens.lens.incremental.transposed import SCATTERED, SUB_PIXEL

X = torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def file(monkeypatch, tmp_path):
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(choice, "_chosen", {})
    return tmp_path / "cache" / "forms.json"


def fresh():
    return vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3, seed=1))


def image(lens):
    return lens.engine.cached_run(X).image


def forms(lens):
    return [*lens.engine.parts.encoder.forms.values(), *lens.engine.parts.decoder.forms.values()]


def forbid(monkeypatch):
    def measured(*given):
        raise AssertionError("measured again")

    monkeypatch.setattr(choice, "_measured", measured)


def test_forms_are_chosen_once_and_read_by_the_next(file, monkeypatch):
    lens = fresh()
    first = image(lens)
    kept = json.loads(file.read_text())
    assert len(kept) == 2
    assert {form for chosen in kept.values() for form in chosen} <= {*FORMS}
    forbid(monkeypatch)
    assert torch.equal(image(lens), first)
    other = fresh()  # of this process
    assert torch.equal(image(other), first)
    monkeypatch.setattr(choice, "_chosen", {})
    another = fresh()  # as of another process
    assert torch.equal(image(another), first)
    assert forms(another) == forms(lens) == [form for chosen in kept.values() for form in chosen]
    assert json.loads(file.read_text()) == kept


def test_another_process_reads_them(file):
    code = (
        "import sys, torch, vaelens as vl\n"
        "from vaelens.lens.incremental import choice\n"
        "torch.set_num_threads(1)\n"
        "if sys.argv[1] == 'read': choice._measured = None\n"
        "lens = vl.Lens(vl.build_model('vae', image_shape=(1, 16, 16), latent_dim=3, seed=1))\n"
        "print(float(lens.engine.cached_run(torch.ones(2, 1, 16, 16)).image.double().sum()).hex())\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def printed(how):
        command = [sys.executable, "-c", code, how]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert printed("measure") == printed("read") != ""
    assert file.is_file()


def test_another_chunk_or_model_is_measured_anew(file):
    image(fresh())
    image(vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=4, seed=1)))
    assert len(json.loads(file.read_text())) == 4


def test_each_precision_keeps_its_own(file, monkeypatch):
    picks = iter([-1, -1, 0, 0])  # encoder and decoder in bf16, then both in single precision

    def measured(program, layers, given):
        pick = next(picks)
        return [layer.forms[pick] for layer in layers.values()]

    monkeypatch.setattr(choice, "_measured", measured)
    rough = vl.Lens(fresh().module, precision="bf16")
    exact = rough.with_precision("fp32")
    first, found = image(rough), forms(rough)
    assert torch.equal(image(exact), image(fresh()))
    assert {*forms(exact)} == {PLAIN}
    assert torch.equal(image(rough), first)  # the parts are the same, and have run in another form since
    assert forms(rough) == found != forms(fresh())
    assert len(json.loads(file.read_text())) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "3", '"forms"', "\x00"])
def test_garbage_is_measured_over(file, content):
    file.parent.mkdir()
    file.write_text(content)
    torch.testing.assert_close(image(fresh()), fresh().reconstruct(X))
    assert len(json.loads(file.read_text())) == 2


@pytest.mark.parametrize("entry", [[], ["plain"], "plain", None, 3, ["quick"] * 4, ["sub-pixel"] * 4])
def test_entries_that_do_not_fit_are_measured_over(file, entry, monkeypatch):
    image(fresh())
    kept = json.loads(file.read_text())
    file.write_text(json.dumps(dict.fromkeys(kept, entry)))
    monkeypatch.setattr(choice, "_chosen", {})
    lens = fresh()
    torch.testing.assert_close(image(lens), lens.reconstruct(X))
    assert json.loads(file.read_text()).keys() == kept.keys()
    assert all(isinstance(found, list) and len(found) > 1 for found in json.loads(file.read_text()).values())


def test_a_file_that_is_not_text(file):
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe\x80")
    torch.testing.assert_close(image(fresh()), fresh().reconstruct(X))


def test_a_folder_in_place_of_the_file(file):
    file.mkdir(parents=True)
    torch.testing.assert_close(image(fresh()), fresh().reconstruct(X))
    assert sorted(file.parent.iterdir()) == sorted({file, file.with_suffix(".lock")})


def test_a_cache_that_is_no_folder(file):
    file.parent.write_text("in the way")
    torch.testing.assert_close(image(fresh()), fresh().reconstruct(X))
    assert file.parent.read_text() == "in the way"


@pytest.mark.parametrize("name", ["vae", "vq-vae"])
def test_every_choice_gives_the_same_but_for_rounding(file, name, monkeypatch):
    images = []
    for pick in (0, 1, 2, -1):

        def measured(program, layers, given, pick=pick):
            return [layer.forms[min(pick, len(layer.forms) - 1)] for layer in layers.values()]

        monkeypatch.setattr(choice, "_chosen", {})
        monkeypatch.setattr(choice, "_measured", measured)
        file.unlink(missing_ok=True)
        model = vl.build_model(name, image_shape=(1, 16, 16), latent_dim=3, seed=1)
        lens = vl.Lens(model)
        images.append(image(lens))
        found = {PLAIN, CHANNELS_LAST, FORMS[pick]} if pick else {PLAIN}
        assert set(forms(lens)) == found - ({PLAIN} if name == "vq-vae" and pick else set())
    for other in images[1:]:
        assert float((other - images[0]).abs().max()) <= 1e-5 * float(images[0].abs().max())


@pytest.mark.parametrize(
    ("last", "split", "scattered", "chosen"),
    [
        (1.1, 2.0, 2.0, [PLAIN, PLAIN, CHANNELS_LAST, CHANNELS_LAST]),  # slower by less than a timing's noise
        (1.3, 2.0, 2.0, [PLAIN, PLAIN, PLAIN, PLAIN]),
        (0.9, 0.5, 0.7, [PLAIN, PLAIN, SUB_PIXEL, SUB_PIXEL]),
        (0.9, 0.5, 0.4, [PLAIN, PLAIN, SCATTERED, SCATTERED]),
    ],
)
def test_the_form_is_that_of_the_fastest_runs_of_the_layers_that_run_for_every_unit(
    file, monkeypatch, last, split, scattered, chosen
):
    seconds = {PLAIN: 1.0, CHANNELS_LAST: last, SUB_PIXEL: split, SCATTERED: scattered}
    rounds = []

    def times(program, layers, forms, given):
        slow = 3.0 if len(rounds) % 5 else 1.0  # the fastest of several rounds counts
        rounds.append(forms)
        early = list(layers.values())[:2]  # run once, or are updated
        return {
            layer: (5.0 if layer in early and form != PLAIN else slow * seconds[form]) / 1000
            for layer, form in forms.items()
        }

    monkeypatch.setattr(choice, "_chosen", {})
    monkeypatch.setattr(choice, "_times", times)
    lens = fresh()
    image(lens)
    assert list(lens.engine.parts.decoder.forms.values()) == chosen
    assert list(lens.engine.parts.encoder.forms.values()) == [PLAIN] * 4  # its only convolutions are early
    assert len(rounds) == 2 * 4 * 11  # both parts, four ways, one round that warms up and ten


def test_out_of_memory_while_measuring_is_told(file, monkeypatch):
    def run(*given, **options):
        raise torch.OutOfMemoryError("no memory")

    monkeypatch.setattr(choice, "_times", run)
    with pytest.raises(torch.OutOfMemoryError, match="no memory"):
        image(fresh())
    monkeypatch.undo()
