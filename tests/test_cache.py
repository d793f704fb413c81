import os
from pathlib import Path

import platformdirs

from vaelens.cache import cache_folder


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
