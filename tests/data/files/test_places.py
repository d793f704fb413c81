from pathlib import Path

import pytest

from vaelens.data import load_dataset
from vaelens.data.files.places import data_root, find
from vaelens.errors import VaelensError


def test_the_default_root_is_the_environment_s_or_the_user_s(monkeypatch, tmp_path):
    monkeypatch.setenv("VAELENS_DATA", str(tmp_path / "here"))
    assert data_root() == tmp_path / "here"
    monkeypatch.delenv("VAELENS_DATA")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert data_root().parts[-2:] == ("vaelens", "data")
    assert data_root("there") == Path("there")


def test_a_dataset_is_read_from_the_default_root(monkeypatch, tmp_path, official):
    official.shapes3d(tmp_path / "shapes3d")
    monkeypatch.setenv("VAELENS_DATA", str(tmp_path))
    assert len(load_dataset("shapes3d")) == 48


def test_the_root_itself_comes_before_the_folder_of_the_dataset(tmp_path):
    (tmp_path / "shapes3d").mkdir()
    for place in (tmp_path / "shapes3d", tmp_path):
        (place / "3dshapes.h5").write_text("")
        assert find(tmp_path, "shapes3d", "3dshapes.h5") == place / "3dshapes.h5"


@pytest.mark.parametrize("root", [3, ["data"]])
def test_refuses_a_root_that_is_no_path(root):
    with pytest.raises(VaelensError, match="root must be a folder's path, got "):
        load_dataset("dsprites", root=root)


def test_refuses_a_file_as_root(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(VaelensError, match="root must be a folder, got the file"):
        load_dataset("dsprites", root=tmp_path / "file")
