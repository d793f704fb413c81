import os
from pathlib import Path

import pytest

from vaelens.cache import cache_folder
from vaelens.errors import VaelensError
from vaelens.paths import user_path


def test_a_tilde_means_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert user_path("--out", "~/runs") == Path("/somewhere/runs")
    assert user_path("--out", Path("~")) == Path("/somewhere")
    assert user_path("--out", "./~") == Path("./~")
    assert user_path("--out", ".") == Path()
    monkeypatch.setenv("VAELENS_CACHE", "~/kept")
    assert cache_folder() == Path("/somewhere/kept")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "--out is ''; expected the path of a file or folder"),
        (" \t", "expected the path of a file or folder"),
        (None, "--out is None; expected the path"),
        (3, "--out is 3; expected the path"),
        (b"runs", "--out is b'runs'; expected the path"),
        ("a\0b", r"--out is 'a\\x00b'; no file or folder can have a zero byte in its name"),
        (os.fsdecode(b"caf\xe9"), r"--out is b'caf\\xe9', a name that is not UTF-8; rename it"),
        ("~nobody-of-that-name/runs", "there is no such home folder"),
    ],
)
def test_what_is_no_path_is_one_sentence(value, message):
    with pytest.raises(VaelensError, match=message):
        user_path("--out", value)
