"""The bank of all 480 views of the room, rendered once, then read from a file in the cache folder.

Rendering takes some ten seconds, the file about 2 MB, the bank in memory 31 MB. The file carries the code that it was
made by as a hash: one that is damaged, or made by other code, is made anew. Where nothing can be written the bank is
kept in memory alone.
"""

import contextlib
import hashlib
import inspect
import itertools
import os
import tempfile
import zipfile
import zlib
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from vaelens.data.rendered import room_view, solids

SHAPES = tuple(solids.SOLIDS)
SCALES = np.linspace(0.75, 1.25, 8)
ORIENTATIONS = np.linspace(-30, 30, 15)  # degrees
FILE = "room_views.npz"


@cache
def load_bank(folder: Path) -> np.ndarray:
    """Loads the weights of floor, wall, object and sky in all views, float32 (480, 4, 4096).

    The views run over scale, shape and orientation, the last one fastest; the pixels run row by row.
    """
    recipe = _recipe()
    weights = _read(folder / FILE, recipe)
    if weights is None:
        weights = _rendered()
        with contextlib.suppress(OSError):  # a folder that can't be written costs time, not the dataset
            _write(folder, recipe, weights)
    bank = weights.astype(np.float32)
    bank.flags.writeable = False
    return bank


def _recipe() -> str:
    """Hashes what the views depend on, the source of the code that renders them."""
    source = inspect.getsource(solids) + inspect.getsource(room_view) + repr((SCALES.tolist(), ORIENTATIONS.tolist()))
    return hashlib.sha256(source.encode()).hexdigest()


def _rendered() -> np.ndarray:
    """Renders all views, float16, which rounds a weight by less than an eighth of a step of an 8-bit colour."""
    weights = np.empty((len(SCALES), len(SHAPES), len(ORIENTATIONS), 4, room_view.SIDE**2), dtype=np.float16)
    views = itertools.product(range(len(ORIENTATIONS)), range(len(SCALES)), range(len(SHAPES)))
    count = len(SCALES) * len(SHAPES) * len(ORIENTATIONS)
    console = Console(stderr=True)
    for turn, size, shape in track(views, "rendering the room's views, once", count, console=console, transient=True):
        room = room_view.empty_room(float(ORIENTATIONS[turn]))
        layers = room_view.view_weights(room, SHAPES[shape], float(SCALES[size]))
        weights[size, shape, turn] = layers.reshape(4, -1)
    return weights.reshape(count, 4, -1)


def _read(path: Path, recipe: str) -> np.ndarray | None:
    """Reads the bank in the file, or returns None where it is missing, damaged or made by other code."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            if stored["recipe"].item() != recipe:
                return None
            weights = stored["weights"]
    except (OSError, EOFError, KeyError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None
    count = len(SCALES) * len(SHAPES) * len(ORIENTATIONS)
    whole = weights.shape == (count, 4, room_view.SIDE**2) and weights.dtype == np.float16
    return weights if whole else None


def _write(folder: Path, recipe: str, weights: np.ndarray) -> None:
    """Writes the bank beside its place, then moves it, so that a reader sees a whole file or none."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix="room_views-", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, recipe=np.array(recipe), weights=weights)
        part.replace(folder / FILE)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
