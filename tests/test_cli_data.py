import hashlib
import itertools

import numpy as np
import pytest
from PIL import Image

import vaelens as vl
from vaelens.cli import main
from vaelens.data import DATASETS
from vaelens.data.files.source import Need, Source, SourceFile
from vaelens.data.files.sources import SOURCES

TEXT = b"what is up, doc?"


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


@pytest.fixture
def recorded(monkeypatch):
    """A made-up dataset of one file, that a person must get, in place of CelebA."""
    file = SourceFile("a.bin", (), len(TEXT), f"sha256:{hashlib.sha256(TEXT).hexdigest()}")
    source = Source((Need((file,)),), "research only", "Nobody. Text. 1991", "https://example.org", agreement=True)
    monkeypatch.setitem(SOURCES, "celeba", source)


def test_list_has_every_dataset_and_tells_those_that_are_there(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "shapes3d").mkdir()
    (tmp_path / "shapes3d" / "3dshapes.h5").write_text("")
    for variant in ("toy", "real"):
        (tmp_path / f"mpi3d_{variant}.npz").write_text("")
    assert run("data", "list", "--root", tmp_path) == 0
    out = capsys.readouterr().out
    starts = [out.splitlines()[1].index(head) for head in ("name", "what", "there", "download", "licence")] + [None]
    cells = [[line[a:b].strip() for a, b in itertools.pairwise(starts)] for line in out.splitlines()[3:-2]]
    rows: dict[str, list[str]] = {}
    for name, _, *rest in cells:
        if name:
            last = rows[name] = rest
        else:  # a line that goes on
            last[:] = [f"{above} {below}".strip() for above, below in zip(last, rest, strict=True)]
    assert set(rows) >= set(DATASETS)
    assert rows["sprites"] == rows["room"] == ["built in", "", ""]
    assert rows["folder"] == rows["array"] == ["your own", "", ""]
    assert rows["shapes3d"] == ["yes", "268 MB", "Apache-2.0"]
    assert rows["mpi3d"] == ["toy, real", "at most 12.7 GB each", "CC BY 4.0"]  # 1,036,800 × 64 × 64 × 3 bytes
    assert rows["smallnorb"] == ["no", "263 MB by hand", "research only"]
    assert rows["dsprites"][1] == "28 MB as hdf5"
    assert out.splitlines()[-1] == f"files are looked for in: {tmp_path}"


def test_files_by_hand_are_imported_checked_and_found(tmp_path, capsys, recorded):
    given, root = tmp_path / "downloads", tmp_path / "root"
    given.mkdir()
    (given / "a.bin").write_bytes(TEXT)
    assert run("data", "fetch", "celeba", "--root", root) == 1
    printed = capsys.readouterr()
    assert printed.out == "celeba: licence research only; 16 bytes\ncite: Nobody. Text. 1991\n"
    assert printed.err == (
        "vaelens: a.bin of celeba can't be downloaded here: its terms must be agreed to, so get it from "
        f"https://example.org yourself, then `vaelens data import celeba --from PATH --root {root}`\n"
    )
    assert run("data", "check", "celeba", "--root", root) == 1
    assert capsys.readouterr().err.startswith(f"vaelens: a.bin is missing (looked in {str(root)!r} and ")
    assert run("data", "import", "celeba", "--from", given, "--root", root) == 0
    target = root / "celeba" / "a.bin"
    assert capsys.readouterr().out == f"copied {given / 'a.bin'} to {target}\nfile: {target}\n"
    assert run("data", "check", "celeba", "--root", root) == 0
    assert capsys.readouterr().out == (f"{target} is the official file (sha256)\nceleba: no fault was found\n")
    assert run("data", "fetch", "celeba", "--root", root) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"file: {target}"
    target.write_bytes(TEXT[::-1])
    assert run("data", "check", "celeba", "--root", root) == 1
    assert f"'{target}' is altered: its sha256 hash is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fetch", "sprites"], "unknown dataset that is read from files 'sprites'; known: dsprites, shapes3d, "),
        (["check", "celebs"], "did you mean 'celeba'?"),
        (["import", "celeba"], "Missing option '--from'"),
        (["import", "celeba", "--from", "/nowhere/at/all"], "there is no '/nowhere/at/all'"),
        (["fetch", "mpi3d", "--variant", "reel"], "unknown variant 'reel'; known: toy, "),
        (["fetch", "shapes3d", "--variant", "toy"], "unknown variant 'toy'; known: none"),
        (["lst"], "No such command 'lst'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message, tmp_path, capsys):
    assert run("data", *arguments, *(["--root", tmp_path / "root"] if len(arguments) > 1 else [])) in (1, 2)
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.splitlines()) == 1
    assert not (tmp_path / "root").exists()


def test_training_reads_official_files_from_a_root(tmp_path, capsys):
    assert run("train", "--dataset", "dsprites", "--root", tmp_path, "--out", tmp_path / "out") == 1
    assert "get it with `vaelens data fetch dsprites --root" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("always::vaelens.errors.VaelensWarning")
def test_options_of_a_dataset_are_texts_and_what_is_passed_over_is_told(tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for k in range(40):
        Image.new("L", (16, 16), 6 * k).save(pictures / f"{k:02d}.png")
    (pictures / "gone.png").symlink_to(pictures / "nowhere.png")
    rows = [f"{k},{k:02d}.png,{'ab'[k % 2]},{k % 3}" for k in range(41)]
    (pictures / "labels.csv").write_text("\n".join([",file,shape,tone", *rows, ""]))
    options = [f"--dataset-option={text}" for text in ("labels=labels.csv", "size=16", "columns=shape,tone")]
    train = ("train", "--dataset", "folder", "--root", pictures, "--steps", 1, "--latent-dim", 2, "--batch-size", 8)
    assert run(*train, *options, "--out", tmp_path / "one") == 0
    printed = capsys.readouterr()
    told = ["pictures: 40 taken, passed over: 1 broken link"]
    told += ["labels: 40 of 40 pictures have a row of the table, 1 rows name no picture"]
    assert printed.out.splitlines()[:2] == told
    assert "vaelens: warning: in " in printed.err
    assert run(*train, *options[:2], "--out", tmp_path / "two") == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[:3] == [*told, "left out: Unnamed: 0 (all 40 of its values differ)"]
    assert "vaelens: warning: column 'Unnamed: 0' is no factor and left out" in printed.err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["size=" + "[" * 100_000], "--dataset-option size nests too deeply"),
        (["columns=a,b"], "columns is of a table of labels, and none is given"),
        (["links=perhaps"], "links is 'perhaps'; expected True or False"),
        (["size=1000000"], "size is 1000000; expected sides of at most 4,096 pixels"),
        (["pattern="], "pattern is ''; expected a pattern of file names"),
    ],
)
def test_wrong_options_of_a_dataset_are_one_sentence(tmp_path, capsys, options, message):
    Image.new("L", (16, 16), 60).save(tmp_path / "a.png")
    given = [f"--dataset-option={option}" for option in options]
    assert run("train", "--dataset", "folder", "--root", tmp_path, *given, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"vaelens: {message}")
    assert said.count("\n") == 1
    assert "fault of vaelens" not in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("path", ["", "~nobody-of-that-name/x", "x" * 5000])
def test_paths_that_no_file_can_have_are_one_sentence(capsys, path):
    for command in (("check", "dsprites", "--root"), ("import", "dsprites", "--from")):
        assert run("data", *command, path or "") == 1
        said = capsys.readouterr().err
        assert said.startswith("vaelens: ")
        assert said.count("\n") == 1
        assert "fault of vaelens" not in said


@pytest.mark.parametrize(("shape", "options"), [((16, 2, 9), ["series=true"]), ((16, 1, 3, 5, 4), [])])
def test_arrays_that_are_no_images_are_trained_on_and_analysed(shape, options, tmp_path, capsys):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.savez(tmp_path / "own.npz", images=values, label=np.arange(16) % 2)
    common = ["--dataset", "array", "--root", tmp_path / "own.npz"]
    common += [part for option in options for part in ("--dataset-option", option)]
    out = tmp_path / "model"
    assert run("train", *common, "--steps", 2, "--batch-size", 4, "--latent-dim", 2, "--out", out) == 0
    assert vl.VAE.from_pretrained(out).image_shape == shape[1:]
    assert run("analyse", out, *common, "--only", "latent", "--images", 8) == 0
    printed = capsys.readouterr()
    assert "squared error a value: " in printed.out
    assert "latent: 8 series" in printed.err or "latent: 8 volumes" in printed.err


def test_an_array_of_other_axes_is_no_series(tmp_path, capsys):
    np.save(tmp_path / "own.npy", np.zeros((6, 1, 8, 8)))
    arguments = ["--dataset", "array", "--root", tmp_path / "own.npy", "--dataset-option", "series=true"]
    assert run("train", *arguments, "--out", tmp_path / "model") != 0
    assert "own.npy has images of shape (6, 1, 8, 8); expected 3 axes" in capsys.readouterr().err
