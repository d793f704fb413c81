"""What `vaelens explore` opens, without a server: what it would serve, and the call that it would copy."""

import sys

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.cli import main
from vaelens.explorer import server
from vaelens.explorer.python import python_of
from vaelens.explorer.scene import Scene
from vaelens.explorer.view import View
from vaelens.explorer.walk import walks_of


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


@pytest.fixture
def served(monkeypatch):
    """Notes what would be served."""
    calls = []

    def explore(lens, ds, circuit, **options):
        calls.append((Scene(lens, ds, walks_of(circuit)), options))

    monkeypatch.setattr(vl, "explore", explore, raising=False)
    monkeypatch.setattr(server, "gradio", lambda: None)
    return calls


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("explore") / "digits"
    assert run("train", "--dataset", "digits", "--steps", 3, "--latent-dim", 2, "--out", folder) == 0
    return folder


def assert_copied_call_stands_alone(scene, options):
    view = View("3", "8", {1: 0.75})
    names = {}
    exec(python_of(scene, view, options["origin"]), names)
    assert torch.equal(names["image"], scene.show(view).image)


def test_a_trained_model_opens_with_the_images_it_was_trained_on(trained, served):
    assert run("explore", trained, "--port", 8123) == 0
    ((scene, options),) = served
    assert (scene.ds.name, options["host"], options["port"]) == ("digits", "127.0.0.1", 8123)
    assert_copied_call_stands_alone(scene, options)


def test_so_does_the_folder_of_its_analysis(trained, served):
    assert run("analyse", trained, "--dataset", "digits", "--images", 8, "--only", "reconstruction") == 0
    assert run("explore", trained / "analysis") == 0
    assert run("explore", trained) == 0
    for scene, options in served:
        assert scene.ds.name == "digits"
        assert_copied_call_stands_alone(scene, options)


def test_circuits_beside_the_model_are_walked_and_others_on_request(served, tmp_path):
    planted = vl.planted_model("redundant", convolutional=True)
    planted.model.save_pretrained(tmp_path / "model")
    np.savez(tmp_path / "images.npz", images=planted.dataset.images_at(range(10)).numpy())
    circuit = vl.discover_circuit(planted.lens, planted.dataset, "first", n=8, progress=False)
    (tmp_path / "model" / "circuits").mkdir()
    circuit.to_json(tmp_path / "model" / "circuits" / "first.json")
    images = ("--dataset", "array", "--root", tmp_path / "images.npz")
    assert run("explore", tmp_path / "model", *images) == 0
    circuit.to_json(tmp_path / "other.json")
    assert run("explore", tmp_path / "model", *images, "--circuit", tmp_path / "other.json") == 0
    for scene, options in served:
        assert scene.walks["first"].units == dict(circuit.units)
        assert_copied_call_stands_alone(scene, options)


def test_a_function_of_the_users_opens_too(served, tmp_path, monkeypatch):
    (tmp_path / "my_lens_of_digits.py").write_text(
        "import vaelens as vl\n\n"
        "def made():\n"
        "    return vl.Lens(vl.build_model('vae', (1, 32, 32), latent_dim=2, seed=4))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert run("explore", "my_lens_of_digits:made", "--dataset", "digits") == 0
    assert_copied_call_stands_alone(*served[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp}/none",), "there is no folder"),
        (("{model}",), "nothing says which images"),
        (("{model}", "--dataset", "digit"), "did you mean 'digits'?"),
        (("{model}", "--dataset-option", "size=3"), "--dataset-option is of --dataset, which is missing"),
        (("{model}", "--dataset", "digits", "--circuit", "{tmp}/none.json"), "none.json' can't be read"),
        (("{model}", "--dataset", "sprites"), "images have shape (1, 64, 64) each, this model takes (1, 32, 32)"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, message, served, tmp_path, capsys):
    vl.build_model("vae", (1, 32, 32), latent_dim=2).save_pretrained(tmp_path / "model")
    capsys.readouterr()
    assert run("explore", *(text.format(tmp=tmp_path, model=tmp_path / "model") for text in arguments)) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_an_analysis_without_its_model_is_told_what_to_open(served, tmp_path, capsys):
    vl.build_model("vae", (1, 32, 32), latent_dim=2).save_pretrained(tmp_path / "model")
    parts = ("--images", 8, "--only", "reconstruction", "--out", tmp_path / "alone" / "analysis")
    assert run("analyse", tmp_path / "model", "--dataset", "digits", *parts) == 0
    capsys.readouterr()
    assert run("explore", tmp_path / "alone") == 1
    assert "open the model itself, as vaelens analyse takes it" in capsys.readouterr().err


def test_without_gradio_it_says_how_to_install_it(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert run("explore", tmp_path, "--dataset", "digits") == 1
    assert capsys.readouterr().err == (
        "vaelens: the explorer needs Gradio, which is not installed: pip install '.[explore]' in the clone of vaelens\n"
    )
