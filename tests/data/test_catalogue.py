import pytest

from vaelens.data import DATASETS, Digits, Sprites, load_dataset
from vaelens.data.catalogue import Entry
from vaelens.errors import VaelensError


def test_builds_by_name():
    assert isinstance(load_dataset("sprites"), Sprites)
    assert isinstance(load_dataset("digits"), Digits)


@pytest.mark.usefixtures("official_files")
def test_every_entry_has_its_own_name_and_one_line():
    for name, entry in DATASETS.items():
        if name in ("folder", "array"):  # the user's own files, which there are none of by default
            assert entry.build.name == name
        else:
            assert load_dataset(name).name == name
        assert entry.summary
        assert "\n" not in entry.summary


def test_unknown_names_and_options():
    with pytest.raises(VaelensError, match=r"unknown dataset 'digit'; known: sprites, .*; did you mean 'digits'"):
        load_dataset("digit")
    with pytest.raises(VaelensError, match="unknown dataset 3; known"):
        load_dataset(3)
    with pytest.raises(VaelensError, match="unknown option of sprites 'colour'; known: size"):
        load_dataset("sprites", colour="red")


def test_built_in_data_reads_no_files():
    with pytest.raises(VaelensError, match="digits is built in and reads no files, got root='somewhere'; leave root"):
        load_dataset("digits", root="somewhere")


def test_options_and_root_reach_a_dataset_that_takes_them(monkeypatch):
    seen = {}

    def build(root=None, split="train"):
        seen.update(root=root, split=split)
        return Sprites()

    monkeypatch.setitem(DATASETS, "made-up", Entry(build, "for this test"))
    load_dataset("made-up", root="here", split="test")
    assert seen == {"root": "here", "split": "test"}
    with pytest.raises(VaelensError, match="unknown option of made-up 'splt'; known: split; did you mean 'split'"):
        load_dataset("made-up", splt="test")
