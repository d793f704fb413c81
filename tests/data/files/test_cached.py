import pytest

from vaelens.data import Room, Shapes3D, load_dataset
from vaelens.errors import VaelensError


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
    with pytest.raises(VaelensError, match=r"size is .*; expected a whole number"):
        Room(tmp_path)
