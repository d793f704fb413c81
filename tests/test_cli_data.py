import hashlib
import itertools

import pytest

from vaelens.cli import main
from vaelens.data import DATASETS
from vaelens.data.files.sources import SOURCES, Need, Source, SourceFile

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
