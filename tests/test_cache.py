import os
from pathlib import Path

import platformdirs
import pytest

from vaelens.cache import cache_folder
from vaelens.data import Room, Shapes3D, load_dataset
from vaelens.errors import VaelensError


def test_is_the_one_named_else_the_user_s(tmp_path, monkeypatch):
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "named"))
    assert cache_folder() == tmp_path / "named"
    assert not cache_folder().exists()
    for unset in (lambda: monkeypatch.setenv("VAELENS_CACHE", ""), lambda: monkeypatch.delenv("VAELENS_CACHE")):
        unset()
        assert cache_folder() == Path(platformdirs.user_cache_dir("vaelens", appauthor=False))


def test_these_tests_use_a_folder_of_their_own(tmp_path_factory):
    own = tmp_path_factory.getbasetemp()
    assert cache_folder() in (own / "cache", own.parent / "cache")
    assert Path(os.environ["VAELENS_CACHE"]) == cache_folder()


def test_views_and_converted_files_go_there(tmp_path, official, monkeypatch):
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "cache"))
    official.shapes3d(tmp_path / "data")
    (tmp_path / "data" / "converted").write_text("in the way")
    Shapes3D(tmp_path / "data")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["converted"]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"3dshapes.h5", "converted"}


def test_the_room_takes_no_root(tmp_path):
    with pytest.raises(VaelensError, match="room is built in and reads no files, got root="):
        load_dataset("room", root=tmp_path)
    with pytest.raises(TypeError):
        Room(tmp_path)
