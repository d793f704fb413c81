"""Official files against an array in memory, laid out as the file has it: random batches of 64.

The files are written in the official formats into a temporary folder, with fewer rows than the real ones: what a batch
costs does not depend on how many there are while they fit into the page cache.
"""

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import torch

import vaelens.data as data
from benchmarks.contest import Contest, Way
from benchmarks.subject import Subject
from vaelens.data.official import mpi3d

ROWS, BATCH, BATCHES = 6_400, 64, 200
DSPRITES = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"


def contests(subject: Subject) -> Iterator[Contest]:
    """Three formats; nothing of the subject is taken."""
    rng = np.random.default_rng(0)
    batches = [rng.integers(ROWS, size=BATCH) for _ in range(BATCHES)]
    colour = rng.integers(0, 256, (ROWS, 64, 64, 3), dtype=np.uint8)
    white = rng.integers(0, 2, (ROWS, 64, 64), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, images, opened in (
            ("mpi3d", colour, lambda: _mpi3d(root, colour)),
            ("shapes3d", colour, lambda: _shapes3d(root, colour)),
            ("dsprites", white, lambda: _dsprites(root, white)),
        ):
            ds = opened()
            yield Contest(
                f"{name}: {BATCHES} random batches of {BATCH}",
                functools.partial(_read, ds.images_at, batches),
                [
                    Way(
                        "an array in memory",
                        functools.partial(_read, functools.partial(_in_memory, images), batches),
                    )
                ],
            )


def _in_memory(images: np.ndarray, at: np.ndarray) -> torch.Tensor:
    if images.ndim == 3:
        return torch.from_numpy(images[at][:, None].astype(np.float32))
    return torch.from_numpy(np.moveaxis(images[at], -1, 1).astype(np.float32, order="C") / 255)


def _read(images_at: Callable[[np.ndarray], torch.Tensor], batches: list[np.ndarray]) -> torch.Tensor:
    """The last batch, once all have been read."""
    for batch in batches:
        images = images_at(batch)
    return images


def _mpi3d(root: Path, images: np.ndarray) -> data.MPI3D:
    np.savez(root / "mpi3d_toy.npz", images=images)
    with mock.patch.dict(mpi3d.SIZES, {ROWS: (1, 1, 2, 2, 1, 40, 40)}):  # the file carries no labels, so rows count
        return data.MPI3D(root)


def _shapes3d(root: Path, images: np.ndarray) -> data.Shapes3D:
    labels = np.random.default_rng(1).integers(0, 10, (ROWS, 6)).astype(np.float64)
    with h5py.File(root / "3dshapes.h5", "w") as file:
        file.create_dataset("images", data=images, chunks=(50, 64, 64, 3), compression="gzip", compression_opts=1)
        file.create_dataset("labels", data=labels)
    return data.Shapes3D(root)


def _dsprites(root: Path, images: np.ndarray) -> data.DSprites:
    classes = np.random.default_rng(2).integers(0, 3, (ROWS, 6))
    np.savez_compressed(root / DSPRITES, imgs=images, latents_classes=classes)
    return data.DSprites(root)
