import os

import pytest
from PIL import Image

from vaelens.data import FolderDataset
from vaelens.data.own.listing import list_pictures
from vaelens.errors import VaelensError, VaelensWarning


def picture(path, value=100, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def folder(path, *names):
    for k, name in enumerate(names or ("a.png", "b.png", "c.png", "d.png")):
        picture(path / name, 20 + 30 * k)
    return path


def with_link(path, target):
    (folder(path) / "x.png").symlink_to(target)
    return FolderDataset(path)


def test_what_is_passed_over_is_said(tmp_path):
    outside = folder(tmp_path / "outside", "x.png", "y.png")
    inside = folder(tmp_path / "inside", "a.png", "b.JPG", "deep/c.png")
    (inside / "linked").symlink_to(outside)
    (inside / "z.png").symlink_to(outside / "x.png")
    (inside / "broken.png").symlink_to(inside / "nowhere.png")
    (inside / "again.png").symlink_to(inside / "a.png")  # stays inside, so it is a picture like another
    (inside / "deep" / "up").symlink_to(inside)
    (inside / ".hidden").write_text("")
    (inside / "Thumbs.db").write_text("")
    os.mkfifo(inside / "pipe.png")
    with pytest.warns(VaelensWarning, match="passed over; give links=True to follow links that lead out of it"):
        ds = FolderDataset(inside)
    assert ds.files == ("a.png", "again.png", "b.JPG", "deep/c.png")
    told = str(ds).splitlines()[1]
    assert told.startswith("  pictures: 4 taken, passed over: ")
    for words in (
        "2 linked folders",
        "1 link out of the folder",
        "1 broken link",
        "2 hidden or system files",
        "1 device, socket or pipe",
    ):
        assert words in told
    with pytest.warns(VaelensWarning, match="passed over"):
        ds = FolderDataset(inside, links=True)
    assert ds.files == ("a.png", "again.png", "b.JPG", "deep/c.png", "linked/x.png", "linked/y.png", "z.png")
    with pytest.warns(VaelensWarning, match="passed over"):
        ds = FolderDataset(inside, pattern="*.jpg")
    assert ds.files == ("b.JPG",)
    assert "3 files that the pattern leaves out" in str(ds)


def test_nothing_outside_is_read_through_links(tmp_path):
    outside = tmp_path / "secret.png"
    picture(outside, 77)
    with pytest.warns(VaelensWarning, match="1 link out of the folder passed over"):
        ds = with_link(tmp_path / "d", outside)
    assert ds.files == ("a.png", "b.png", "c.png", "d.png")
    (folder(tmp_path / "only") / "x.png").symlink_to(outside)
    for name in "abcd":
        (tmp_path / "only" / f"{name}.png").unlink()
    with pytest.raises(
        VaelensError, match=r"holds no pictures that match '\*' .1 link out of the folder passed over.; give"
    ):
        FolderDataset(tmp_path / "only")
    assert FolderDataset(tmp_path / "only", links=True).files == ("x.png",)


def test_thousands_of_names_are_listed_without_a_look_at_each_file(tmp_path, monkeypatch):
    for part in range(5):
        (tmp_path / str(part)).mkdir()
        for k in range(1000):
            (tmp_path / str(part) / f"{k}.png").touch()
    looks = []
    status = os.stat
    monkeypatch.setattr(os, "stat", lambda *given, **options: looks.append(given) or status(*given, **options))
    listing = list_pictures(tmp_path, "*.png", None, False)
    assert len(listing.files) == 5000
    assert len(looks) < 50  # none of a file
