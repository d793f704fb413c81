import hashlib

import pytest

from vaelens.data.files.intake import take
from vaelens.data.files.sources import SOURCES, Need, Source, SourceFile
from vaelens.errors import VaelensError


@pytest.fixture(autouse=True)
def recorded(monkeypatch):
    def record(name, text):
        return SourceFile(name, (), len(text), f"sha256:{hashlib.sha256(text).hexdigest()}")

    needs = (
        Need((record("a.bin", b"alpha"), record("a.raw", b"alphabet"))),
        Need((record("b.bin", b"beta"),)),
        Need((SourceFile("pictures", pictures=3),)),
    )
    monkeypatch.setitem(SOURCES, "made-up", Source(needs, "none", "Nobody", "https://example.org/made-up"))


@pytest.fixture
def given(tmp_path):
    folder = tmp_path / "given"
    (folder / "pictures").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"alpha")
    (folder / "b.bin").write_bytes(b"beta")
    (folder / "pictures" / "1.jpg").write_bytes(b"one")
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_s_files_are_copied(tmp_path, given):
    said = []
    paths = take("made-up", given, tmp_path / "root", tell=said.append)
    place = tmp_path / "root" / "made-up"
    assert paths == [place / "a.bin", place / "b.bin", place / "pictures"]
    assert contents(place) == {"a.bin": b"alpha", "b.bin": b"beta", "pictures/1.jpg": b"one"}
    assert said[0] == f"copied {given / 'a.bin'} to {place / 'a.bin'}"


def test_one_file_and_a_folder_of_the_dataset_s_name_will_do(tmp_path, given):
    assert len(take("made-up", given / "b.bin", tmp_path / "one", tell=str)) == 1
    given.rename(tmp_path / "made-up")
    assert len(take("made-up", tmp_path, tmp_path / "two", tell=str)) == 3


def test_links_in_place_of_copies(tmp_path, given):
    said = []
    (a, _, pictures) = take("made-up", str(given), tmp_path / "root", link=True, tell=said.append)
    assert a.is_symlink()
    assert a.read_bytes() == b"alpha"
    assert (pictures / "1.jpg").read_bytes() == b"one"
    assert said[0].startswith("linked ")


def test_taking_again_replaces_files_and_leaves_what_is_in_place(tmp_path, given):
    take("made-up", given / "a.bin", tmp_path, tell=str)
    target = tmp_path / "made-up" / "a.bin"
    target.write_bytes(b"other")
    take("made-up", given / "a.bin", tmp_path, tell=str)
    assert target.read_bytes() == b"alpha"
    said = []
    take("made-up", target, tmp_path, tell=said.append)
    assert said == [f"{target} is there already"]


def test_nothing_is_taken_where_one_file_is_wrong(tmp_path, given):
    (given / "b.bin").write_bytes(b"bete")
    with pytest.raises(VaelensError, match=r"b.bin' is altered: its sha256 hash is .*; get it anew from https://exam"):
        take("made-up", given, tmp_path / "root", tell=str)
    (given / "b.bin").write_bytes(b"be")
    with pytest.raises(VaelensError, match=r"b.bin' is truncated: it has 2 of 4 bytes"):
        take("made-up", given, tmp_path / "root", tell=str)
    assert not (tmp_path / "root").exists()


def test_a_path_without_the_files_is_refused(tmp_path):
    with pytest.raises(VaelensError, match=r"there is no '.*nowhere'; give a file of made-up, or a folder"):
        take("made-up", tmp_path / "nowhere", tmp_path)
    with pytest.raises(VaelensError, match=r"holds no file of made-up; expected one of a.bin, a.raw, b.bin, pictures"):
        take("made-up", tmp_path, tmp_path)


def test_a_folder_of_pictures_that_is_there_is_not_replaced(tmp_path, given):
    take("made-up", given, tmp_path / "root", tell=str)
    with pytest.raises(VaelensError, match=r"pictures' is there already; move it away"):
        take("made-up", given / "pictures", tmp_path / "root", tell=str)
