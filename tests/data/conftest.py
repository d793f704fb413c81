"""Writers of small files in the benchmarks' official formats."""

import gzip
import io
import itertools
import pickle
import struct
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from PIL import Image

DSPRITES = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64"
SMALLNORB = {
    "train": "smallnorb-5x46789x9x18x6x2x96x96-training",
    "test": "smallnorb-5x01235x9x18x6x2x96x96-testing",
}
FEW = (2, 2, 2, 2, 2, 2, 2)  # values of MPI3D's factors
MAGIC = {"uint8": 0x1E3D4C55, "int32": 0x1E3D4C54}


def grid(*sizes):
    """Every combination of values, the last running fastest, (N, K)."""
    return np.array(list(itertools.product(*map(range, sizes))))


def blobs(labels, *shape, top=255):
    """A picture for every row of labels, the same for the same labels only."""
    weights = np.random.default_rng(7).random((labels.shape[1] + 1, int(np.prod(shape))))
    mixed = np.column_stack([labels + 1.0, np.ones(len(labels))]) @ weights * 37
    return (mixed % (top + 1)).astype(np.uint8).reshape(len(labels), *shape)


def dsprites(folder, classes=None, images=None, metadata=True, compress=True, name=f"{DSPRITES}.npz"):
    """dSprites' .npz; classes are (N, 6) with the colour first. Returns the images and classes."""
    classes = np.column_stack([np.zeros(48, int), grid(3, 2, 2, 2, 2)]) if classes is None else np.asarray(classes)
    images = blobs(classes, 64, 64, top=1) if images is None else images
    arrays = {"imgs": images, "latents_values": classes / 3, "latents_classes": classes.astype(np.int64)}
    if metadata:
        arrays["metadata"] = np.array({"title": "dSprites", "date": pickle.dumps(1)}, dtype=object)
    folder.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if compress else np.savez)(folder / name, **arrays)
    return images, classes


def dsprites_hdf5(folder, classes):
    """dSprites' .hdf5, its images in chunks that cut through rows and pictures."""
    images = blobs(classes, 64, 64, top=1)
    with h5py.File(folder / f"{DSPRITES}.hdf5", "w") as file:
        file.create_dataset("imgs", data=images, chunks=(min(7, len(images)), 2, 4), compression="gzip")
        file.create_dataset("latents/classes", data=classes.astype(np.int64))
        file.create_dataset("latents/values", data=classes / 3)
    return images, classes


def shapes3d(folder, ranks=None, **packing):
    """3DShapes' .h5; ranks are (N, 6) of the six labels. Returns the images."""
    ranks = grid(2, 2, 1, 3, 2, 2) if ranks is None else ranks
    images = blobs(ranks, 64, 64, 3)
    values = ranks * [0.1, 0.1, 0.1, 0.5 / 7, 1, 60 / 14] + [0, 0, 0, 0.75, 0, -30]
    folder.mkdir(parents=True, exist_ok=True)
    with h5py.File(folder / "3dshapes.h5", "w") as file:
        packing = packing or {"chunks": (5, 64, 64, 3), "compression": "gzip"}
        file.create_dataset("images", data=images, **packing)
        file.create_dataset("labels", data=values.astype(np.float64))
    return images


def mpi3d(folder, images, variant="toy", compress=True):
    """MPI3D's .npz."""
    folder.mkdir(parents=True, exist_ok=True)
    (np.savez_compressed if compress else np.savez)(folder / f"mpi3d_{variant}.npz", images=images)


def matrix_bytes(array):
    """A binary matrix as SmallNORB's files hold it."""
    lengths = list(array.shape) + [1] * (3 - array.ndim)
    header = struct.pack(f"<{2 + len(lengths)}i", MAGIC[str(array.dtype)], array.ndim, *lengths)
    return header + array.astype(array.dtype.newbyteorder("<")).tobytes()


def matrix(path, array, packed):
    """Writes a binary matrix, gzipped or not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = matrix_bytes(array)
    if packed:
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


def smallnorb(folder, split="train", labels=None, packed=True, seed=0):
    """One chunk of SmallNORB, its rows shuffled; labels are (N, 5), the azimuth in 0, 2, …. Returns both."""
    if labels is None:
        instances = {"train": (4, 6), "test": (0, 1)}[split]
        labels = grid(2, 2, 2, 3, 2)
        labels[:, 1] = np.array(instances)[labels[:, 1]]
        labels[:, 3] *= 2
    labels = np.random.default_rng(seed).permutation(labels)
    images = blobs(labels, 2, 96, 96)
    for part, array in (("dat", images), ("cat", labels[:, 0]), ("info", labels[:, 1:])):
        array = array if part == "dat" else array.astype(np.int32)
        matrix(folder / f"{SMALLNORB[split]}-{part}.mat", array, packed)
    return images, labels


def jpeg(colour, size=(178, 218)):
    """A JPEG of one colour, (r, g, b)."""
    buffer = io.BytesIO()
    Image.new("RGB", size, tuple(colour)).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def celeba(folder, attributes, colours, there=None, end="\r\n"):
    """CelebA's tables, CRLF and ragged, and pictures of one colour. attributes (N, 40) in {0, 1}."""
    pictures = folder / "img_align_celeba"
    pictures.mkdir(parents=True, exist_ok=True)
    names = [f"{k + 1:06d}.jpg" for k in range(len(attributes))]
    rows = [f"{len(names)}", "".join(f"Attribute_{k} " for k in range(40))]
    for name, values in zip(names, attributes, strict=True):
        rows.append(name + "".join(f" {-1:>2}" if not value else f" {1:>2}" for value in values))
    rows[-1] = rows[-1].replace("  1", " 1")
    (folder / "list_attr_celeba.txt").write_bytes(("".join(row + end for row in rows)).encode())
    split = [0 if k < len(names) // 2 else 1 + k % 2 for k in range(len(names))]
    lines = "".join(f"{name} {value}{end}" for name, value in zip(names, split, strict=True))
    (folder / "list_eval_partition.txt").write_bytes(lines.encode())
    for k, name in enumerate(names):
        if there is None or k in there:
            (pictures / name).write_bytes(jpeg(colours[k]))
    return names, split


@pytest.fixture(scope="session")
def official_root(tmp_path_factory):
    """A folder with a small file of every dataset that is read from files."""
    root = tmp_path_factory.mktemp("official")
    dsprites(root / "dsprites")
    shapes3d(root / "shapes3d")
    mpi3d(root / "mpi3d", blobs(grid(*FEW), 64, 64, 3))
    smallnorb(root / "smallnorb")
    smallnorb(root / "smallnorb", "test")
    attributes = np.random.default_rng(0).integers(0, 2, (24, 40))
    celeba(root / "celeba", attributes, [(10 * k, 255 - 10 * k, 60) for k in range(24)])
    return root


@pytest.fixture(scope="module")
def official_files(official_root):
    """Makes those files the ones that are read by default; MPI3D's few rows count as enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAELENS_DATA", str(official_root))
        patch.setattr("vaelens.data.official.mpi3d.SIZES", {128: FEW})
        yield


@pytest.fixture(scope="session")
def official():
    """The writers."""
    return SimpleNamespace(
        grid=grid,
        blobs=blobs,
        dsprites=dsprites,
        dsprites_hdf5=dsprites_hdf5,
        shapes3d=shapes3d,
        mpi3d=mpi3d,
        matrix=matrix,
        matrix_bytes=matrix_bytes,
        smallnorb=smallnorb,
        jpeg=jpeg,
        celeba=celeba,
    )
