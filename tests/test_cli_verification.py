import json

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.cli import main


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify") / "digits"
    vl.build_model("vae", (1, 32, 32), latent_dim=2, seed=0).save_pretrained(folder)
    parts = ("--images", 8, "--only", "reconstruction,latent")
    assert run("analyse", folder, "--dataset", "digits", *parts) == 0
    return folder


def test_a_run_is_verified_from_its_folder_and_nothing_is_written(analysed, capsys):
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in analysed.rglob("*")}
    for folder in (analysed, analysed / "analysis"):
        assert run("verify", folder) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "3 of 3 parts agree, 3 of them exactly"
    assert {path: path.stat().st_mtime_ns for path in analysed.rglob("*")} == before


def test_a_causal_dataset_is_found_again(tmp_path, capsys):
    vl.build_model("vae", (3, 16, 16), latent_dim=2, seed=0).save_pretrained(tmp_path / "run")
    options = ("--dataset-option", "size=16", "--dataset-option", 'do={"cloud": 3}')
    parts = ("--images", 8, "--only", "reconstruction")
    assert run("analyse", tmp_path / "run", "--dataset", "garden", *options, *parts) == 0
    capsys.readouterr()
    assert run("verify", tmp_path / "run") == 0
    assert "2 of 2 parts agree" in capsys.readouterr().out


def test_files_of_ones_own_are_asked_for(tmp_path, capsys):
    vl.build_model("vae", (1, 32, 32), latent_dim=2, seed=0).save_pretrained(tmp_path / "run")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).random((9, 1, 32, 32), dtype=np.float32))
    given = ("--dataset", "array", "--root", tmp_path / "images.npy")
    assert run("analyse", tmp_path / "run", *given, "--images", 8, "--only", "reconstruction") == 0
    capsys.readouterr()
    assert run("verify", tmp_path / "run") == 1
    assert (
        "files of your own, and does not say where they are; give --dataset array --root PATH"
        in capsys.readouterr().err
    )
    assert run("verify", tmp_path / "run", *given) == 0


def test_a_changed_model_ends_with_status_1_and_is_named(analysed, tmp_path, capsys):
    changed = vl.VAE.from_pretrained(analysed)
    with torch.no_grad():
        next(iter(changed.decoder.parameters())).mul_(1.5)
    changed.save_pretrained(tmp_path / "changed")
    assert run("verify", analysed, "--model", tmp_path / "changed", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["holds"], told["causes"]) == (False, ["another model (weights_sha256)"])
    assert {part["part"]: part["status"] for part in told["parts"]}["latent"] == "differs"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("{tmp}",), "holds no analysis; RUN is a folder that vaelens analyse wrote"),
        (("{tmp}/none",), "there is no folder"),
        (("{run}", "--dataset-option", "size=3"), "--dataset-option is of --dataset, which is missing"),
        (("{run}", "--dataset", "digit"), "did you mean 'digits'?"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, message, analysed, tmp_path, capsys):
    capsys.readouterr()
    assert run("verify", *(text.format(tmp=tmp_path, run=analysed) for text in arguments)) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_an_analysis_without_a_model_beside_it_asks_for_one(analysed, tmp_path, capsys):
    (tmp_path / "copy").mkdir()
    vl.Analysis.load(analysed / "analysis").save(tmp_path / "copy" / "analysis")
    assert run("verify", tmp_path / "copy") == 1
    assert "no model lies beside the analysis" in capsys.readouterr().err
    assert run("verify", tmp_path / "copy", "--model", analysed) == 0
