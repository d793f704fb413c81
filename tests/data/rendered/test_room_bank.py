import numpy as np
import pytest

from vaelens.data import Room
from vaelens.data.rendered import room_bank

MADE = np.zeros((480, 4, 4096), dtype=np.float16)
MADE[::7, 2, ::100] = 0.5


@pytest.fixture
def renders(monkeypatch):
    """Counts the renderings, and makes each one cheap."""
    calls = []

    def rendered():
        calls.append(1)
        return MADE

    monkeypatch.setattr(room_bank, "_rendered", rendered)
    room_bank.load_bank.cache_clear()
    yield calls
    room_bank.load_bank.cache_clear()


def load_again(folder):
    room_bank.load_bank.cache_clear()
    return room_bank.load_bank(folder)


def test_rendered_once_then_read(renders, tmp_path):
    folder = tmp_path / "new" / "folder"
    first = room_bank.load_bank(folder)
    assert [path.name for path in folder.iterdir()] == ["room_views.npz"]
    assert (load_again(folder) == first).all()
    assert first.dtype == np.float32
    assert (first == MADE).all()
    assert len(renders) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "no npz", "other array"])
def test_a_damaged_file_is_made_anew(renders, tmp_path, damage):
    room_bank.load_bank(tmp_path)
    file = tmp_path / "room_views.npz"
    whole = file.read_bytes()
    middle = len(whole) // 2
    if damage == "other array":
        with np.load(file) as stored:
            recipe = stored["recipe"]
        np.savez(file, recipe=recipe, weights=np.zeros(3))
    else:
        file.write_bytes(
            {
                "cut": whole[:middle],
                "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
                "empty": b"",
                "no npz": b"something else",
            }[damage]
        )
    assert (load_again(tmp_path) == MADE).all()
    assert len(renders) == 2
    load_again(tmp_path)
    assert len(renders) == 2


def test_a_file_of_other_code_is_made_anew(renders, tmp_path, monkeypatch):
    room_bank.load_bank(tmp_path)
    monkeypatch.setattr(room_bank, "ORIENTATIONS", np.linspace(-20, 20, 15))
    load_again(tmp_path)
    assert len(renders) == 2
    assert len(list(tmp_path.iterdir())) == 1


def test_works_where_nothing_can_be_written(renders, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert (load_again(tmp_path / "file" / "below") == MADE).all()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_killed_write_leaves_no_part(renders, tmp_path, monkeypatch):
    def killed(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", killed)
    with pytest.raises(KeyboardInterrupt):
        load_again(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_views_are_kept_in_the_cache_folder(renders, tmp_path, monkeypatch):
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "named"))
    assert Room().images([[0] * 6]).shape == (1, 3, 64, 64)
    assert [path.name for path in (tmp_path / "named").iterdir()] == ["room_views.npz"]
    assert len(renders) == 1
