import hashlib
import re

import pytest

from vaelens.data.files.condition import check, fault, file_hash, is_there
from vaelens.data.files.sources import SOURCES, Need, Source, SourceFile
from vaelens.errors import VaelensError

WHOLE = b"what is up, doc?"  # the text that the documentation of Git hashes
GIT = "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
MD5 = hashlib.md5(WHOLE).hexdigest()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.txt").write_bytes(WHOLE)
    return tmp_path / "a.txt"


@pytest.fixture
def recorded(monkeypatch):
    """A dataset of two things, the first in either of two forms."""
    needs = (
        Need((SourceFile("a.gz", (), 9, "sha256:0"), SourceFile("a.txt", (), len(WHOLE), f"md5:{MD5}"))),
        Need((SourceFile("b.txt"),)),
    )
    monkeypatch.setitem(SOURCES, "made-up", Source(needs, "none", "Nobody", "https://example.org"))


def test_hashes_are_those_of_the_usual_programs(path):
    assert file_hash(path, "git") == GIT
    assert file_hash(path, "md5") == MD5
    assert file_hash(path, "sha256") == hashlib.sha256(WHOLE).hexdigest()


@pytest.mark.parametrize(
    ("size", "hash", "expected"),
    [
        (16, f"git:{GIT}", None),
        (None, f"md5:{MD5}", None),
        (None, "", None),
        (17, "", "is truncated: it has 16 of 17 bytes"),
        (15, "", "is altered: it has 16 bytes, expected 15"),
        (16, "md5:ab", f"is altered: its md5 hash is {MD5}, expected ab"),
        (None, "md5:ab", f"is altered or truncated: its md5 hash is {MD5}, expected ab"),
    ],
)
def test_a_fault_is_named_exactly(path, size, hash, expected):
    assert fault(path, SourceFile("a.txt", (), size, hash)) == expected


def test_check_tells_whole_from_missing_and_altered(path, recorded):
    root = path.parent
    assert check("made-up", root) == ([f"{path} is the official file (md5)"], ["b.txt is missing"])
    (root / "made-up").mkdir()
    (root / "made-up" / "b.txt").write_text("")
    (root / "made-up" / "a.gz").write_bytes(b"short")
    right, wrong = check("made-up", root)
    assert right == [
        f"{path} is the official file (md5)",
        f"{root / 'made-up' / 'b.txt'} is there; no size or hash of it is known",
    ]
    assert wrong == [f"'{root / 'made-up' / 'a.gz'}' is truncated: it has 5 of 9 bytes"]


def test_is_there_takes_any_form_but_every_thing(path, recorded):
    assert not is_there("made-up", path.parent)
    (path.parent / "b.txt").write_text("")
    assert is_there("made-up", path.parent)


def test_variants_are_checked_where_they_are_there(tmp_path):
    assert check("mpi3d", tmp_path)[1] == ["mpi3d_toy.npz is missing"]
    assert check("mpi3d", tmp_path, "real")[1] == ["mpi3d_real.npz is missing"]
    (tmp_path / "mpi3d_real.npz").write_text("")
    ((wrong,),) = [check("mpi3d", tmp_path)[1]]
    assert "mpi3d_real.npz' is altered or truncated: its md5 hash is d41d8cd98f00b204e9800998ecf8427e" in wrong


def test_pictures_in_a_folder_are_counted(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    for k in range(3):
        (tmp_path / "img_align_celeba" / f"{k}.jpg").write_text("")
    right, wrong = check("celeba", tmp_path)
    assert right[0].endswith("img_align_celeba has 3 of 202,599 pictures; no hash of a folder is known")
    assert wrong == ["list_attr_celeba.txt and list_eval_partition.txt are missing"]


def test_built_in_datasets_have_no_files(tmp_path):
    with pytest.raises(VaelensError, match="unknown dataset that is read from files 'sprites'; known: dsprites, "):
        check("sprites", tmp_path)


def test_the_records_are_well_formed():
    lengths = {"sha256": 64, "md5": 32, "git": 40}
    for source in SOURCES.values():
        assert source.page.startswith("http")
        assert source.licence
        assert source.citation
        for file in (form for need in source.needs for form in need.forms):
            if file.hash:
                algorithm, _, digits = file.hash.partition(":")
                assert re.fullmatch(f"[0-9a-f]{{{lengths[algorithm]}}}", digits), file.name
            assert all(address.startswith("https://") and address.endswith(file.name) for address in file.addresses)
            assert not (file.addresses and source.agreement)
