"""Odd names, arrays, items and numbers: each is one sentence, or read right."""

import io
import os
import resource
import time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from vaelens.data import ArrayDataset, CollectionDataset, FolderDataset, Pendulum, load_dataset
from vaelens.errors import VaelensError

MEMORY = 2**29  # above what the process has before
SECONDS = 20
IMAGES = np.arange(8, dtype=np.uint8).repeat(30 * 16).reshape(8, 1, 20, 24) * 30


def picture(path, value=100, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def folder(path, *names):
    for k, name in enumerate(names or ("a.png", "b.png", "c.png", "d.png")):
        picture(path / name, 20 + 30 * k)
    return path


def eps_item():
    picture = Image.open(io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n"))
    assert picture.format == "EPS"
    return picture


def noise():
    """A PNG that compression makes no smaller."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Raises:
    """A collection that fails at an item."""

    def __init__(self, error):
        self._error = error

    def __len__(self):
        return 3

    def __getitem__(self, k):
        raise self._error


class Many:
    """As many images as you like."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def __getitem__(self, k):
        return np.zeros((64, 64), dtype=np.uint8)


REFUSED = {
    # names and paths
    "a latin-1 name": (
        lambda d: (
            folder(d),
            (d / "a.png").rename(d / os.fsdecode(b"caf\xe9.png")),
            FolderDataset(d),
        ),
        r"the file name b'caf.xe9.png' in .* is no UTF-8; rename it, or give a pattern",
    ),
    "a NUL in a folder": (lambda d: FolderDataset("a\0b"), "got one with a NUL character in it"),
    "a NUL in a file": (lambda d: load_dataset("array", root="a\0b.npz"), "got one with a NUL character in it"),
    "a NUL in a table's name": (lambda d: FolderDataset(folder(d), labels="a\0.csv"), "one with a NUL character"),
    "a NUL in a root": (
        lambda d: load_dataset("dsprites", root="a\0"),
        "root must be a folder's path, got one with a NUL",
    ),
    "an empty root": (lambda d: FolderDataset(""), "root must be the path of a folder of pictures, got an empty one"),
    "a path too long": (lambda d: FolderDataset("x" * 5000), "which can't be looked at .File name too long"),
    "nobody's home": (lambda d: FolderDataset("~nobody-of-that-name"), "which can't be looked at"),
    "a root that is bytes": (lambda d: FolderDataset(b"x"), "root must be the path of a folder of pictures, got b'x'"),
    "links in a circle": (
        lambda d: ((d / "a").symlink_to(d / "b"), (d / "b").symlink_to(d / "a"), FolderDataset(d / "a")),
        "can't be looked at|is not there",
    ),
    "an empty pattern": (
        lambda d: FolderDataset(folder(d), pattern=""),
        "pattern is ''; expected a pattern of file na",
    ),
    "a pattern that is none": (lambda d: FolderDataset(folder(d), pattern=3), "pattern is 3; expected a pattern"),
    "an empty folder": (lambda d: FolderDataset(d), "holds no pictures that match '.*'; give a folder of pictures"),
    # arrays
    "a meta tensor": (
        lambda d: ArrayDataset(torch.zeros(4, 1, 8, 8, device="meta")),
        "must have values, got a tensor on",
    ),
    "a sparse tensor": (lambda d: ArrayDataset(torch.zeros(4, 1, 8, 8).to_sparse()), "must be dense, .* its .to_dense"),
    "a compressed sparse tensor": (lambda d: ArrayDataset(torch.eye(8).to_sparse_csr()), "must be dense"),
    "a quantised tensor": (
        lambda d: ArrayDataset(torch.quantize_per_tensor(torch.zeros(4, 1, 8, 8), 0.1, 0, torch.quint8)),
        "images must be plain numbers, got a quantised tensor",
    ),
    "a nested tensor": (lambda d: ArrayDataset(torch.nested.nested_tensor([torch.zeros(2, 2)])), "got a nested tensor"),
    "a tensor without storage": (
        lambda d: ((x := torch.zeros(4, 1, 8, 8)).untyped_storage().resize_(0), ArrayDataset(x)),
        "whose storage is empty",
    ),
    "sparse labels": (lambda d: ArrayDataset(IMAGES, torch.eye(8).long().to_sparse()), "factors must be dense"),
    "complex images": (lambda d: ArrayDataset(np.zeros((4, 1, 8, 8), complex)), "must be uint8 or .*, got complex128"),
    "objects": (lambda d: ArrayDataset(np.full((4, 1, 8, 8), None)), "must be uint8 or floating point"),
    "structured arrays": (lambda d: ArrayDataset(np.zeros((4, 1, 8, 8), [("a", "u1")])), "must be uint8 or floating"),
    "masked images": (lambda d: ArrayDataset(np.ma.masked_equal(IMAGES, 0)), "images must not have masked values"),
    "NaN in half precision": (lambda d: ArrayDataset(torch.full((2, 1, 4, 4), torch.nan).half()), "contain NaN"),
    "tensors of several sizes": (
        lambda d: ArrayDataset([torch.zeros(1, 2, 2), torch.zeros(1, 3, 3)]),
        "images must be",
    ),
    "channels last of a vector": (
        lambda d: (np.save(d / "x.npy", np.zeros(3)), load_dataset("array", root=d / "x.npy", channels_last=True)),
        r"images must have shape \(N, C, H, W\), got \(3,\)",
    ),
    "factors of another name": (
        lambda d: (np.savez(d / "x.npz", images=IMAGES), load_dataset("array", root=d / "x.npz", factors="y")),
        "x.npz has no array 'y', only images; name it with factors=",
    ),
    "labels that are no UTF-8": (
        lambda d: (
            np.savez(d / "x.npz", images=IMAGES, labels=np.array([b"\xe9"] * 8)),
            load_dataset("array", root=d / "x.npz"),
        ),
        "the labels in .* are no UTF-8 text",
    ),
    # collections
    "a program among the items": (
        lambda d: CollectionDataset([eps_item()]),
        "item 0 is a picture of format EPS; expect",
    ),
    "a truncated item": (
        lambda d: CollectionDataset([Image.open(io.BytesIO(noise()[:2000]))]),
        "item 0 can't be read as a picture",
    ),
    "an item that raises": (
        lambda d: CollectionDataset(Raises(KeyError("x"))),
        "item 0 can't be read from the items .Ke",
    ),
    "an item that exhausts": (lambda d: CollectionDataset(Raises(RecursionError("deep"))), "item 0 .*RecursionError"),
    "a frame": (lambda d: CollectionDataset(pd.DataFrame({"a": [1]})), "item 0 can't be read from the items"),
    "a billion items": (
        lambda d: CollectionDataset(Many(10**9)),
        "1,000,000,000 images of 4,096 bytes take 4.1e.03 GB of memory, the bound is 8.59 GB; give a size",
    ),
    "a meta item": (lambda d: CollectionDataset([torch.zeros(8, 8, device="meta")]), "item 0 must have values"),
    "a sparse item": (lambda d: CollectionDataset([torch.eye(8).to_sparse()]), "item 0 must be dense"),
    "an item without pixels": (lambda d: CollectionDataset([np.zeros((0, 4), np.uint8)]), "item 0 holds no image"),
    "a label that is a list": (lambda d: CollectionDataset([(IMAGES[0], [[1, 2]])]), "'label_0' of item 0 is a list"),
    "meta labels": (
        lambda d: CollectionDataset([(IMAGES[0], torch.zeros(2, device="meta"))]),
        "labels of item 0 must ha",
    ),
    # options that would do nothing, or the opposite
    "columns without a table": (
        lambda d: FolderDataset(folder(d), columns=["n"]),
        "columns is of a table",
    ),
    "a file column without a table": (lambda d: FolderDataset(folder(d), file_column="n"), "file_column is of a table"),
    "links that are a word": (
        lambda d: FolderDataset(folder(d), links="never"),
        "links is 'never'; expected True",
    ),
    "a set of names": (
        lambda d: ArrayDataset(IMAGES, np.arange(8) % 2, {"a"}),
        "names must be a list of names",
    ),
    "an npz called npy": (
        lambda d: (
            np.savez(d / "x.npz", images=IMAGES),
            (d / "x.npz").rename(d / "x.npy"),
            load_dataset("array", root=d / "x.npy"),
        ),
        "x.npy' is an .npz file by what it holds; give it that ending",
    ),
    "a file column that is a number": (
        lambda d: FolderDataset(folder(d), labels=pd.DataFrame({"file": ["a.png"], "n": [1]}), file_column=3),
        "the table of labels has no column 3, only file, n",
    ),
    "an image column that is a number": (
        lambda d: CollectionDataset([{"image": IMAGES[0]}], image_column=3),
        "item 0 has no column 3, only image",
    ),
    "arrays that are called by numbers": (
        lambda d: (np.savez(d / "x.npz", images=IMAGES), load_dataset("array", root=d / "x.npz", images=3, factors=[])),
        r"x.npz has no array \[\], only images; name it with factors=",
    ),
    # absurd requests
    "a billion pendulums": (
        lambda d: Pendulum(length=10**9),
        "length is 1000000000; expected at most 10,000,000 indiv",
    ),
    "a billion gardens": (lambda d: load_dataset("garden", length=10**9), "length is 1000000000; expected at most"),
    "a billion bins": (
        lambda d: ArrayDataset(IMAGES, levels=10**9),
        "levels is 1000000000; expected at most 1,000 bins",
    ),
    "a side of a million": (
        lambda d: FolderDataset(folder(d), size=10**6),
        "size is 1000000; expected sides of at most",
    ),
    "a crop of a million": (lambda d: FolderDataset(folder(d), crop=(0, 0, 10**6, 10**6)), "does not lie in it"),
    "more pixels than Pillow": (
        lambda d: FolderDataset(folder(d), most_pixels=10**10),
        "most_pixels is 10000000000; exp",
    ),
    "no bytes": (lambda d: CollectionDataset([IMAGES[0]], most_bytes=0), "most_bytes is 0; expected a whole number"),
}


@pytest.mark.filterwarnings(
    "ignore:Sparse CSR tensor support", "ignore:The PyTorch API of nested", "ignore:torch.quant"
)
@pytest.mark.parametrize("case", REFUSED)
def test_one_sentence_and_little_memory_and_time(tmp_path, case):
    ask, match = REFUSED[case]
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(VaelensError, match=match) as caught:
        ask(tmp_path)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 600
    said.encode()
    assert "fault of vaelens" not in said
    assert time.monotonic() - start < SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MEMORY


def test_repeated_views_are_looked_at_once():
    start = time.monotonic()
    ds = ArrayDataset(np.broadcast_to(np.zeros((1, 1, 8, 8), dtype=np.uint8), (10**8, 1, 8, 8)))
    assert len(ds) == 10**8
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float16])
def test_narrow_floats_are_read(kind):
    images = torch.tensor([0.0, 0.5, 1.0, 0.25]).reshape(1, 1, 2, 2).to(kind)
    assert ArrayDataset(images).images_at([0]).flatten().tolist() == [0, 0.5, 1, 0.25]


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder(tmp_path / "pictures")
    assert len(FolderDataset("~/pictures")) == 4
    np.savez(tmp_path / "x.npz", images=IMAGES)
    assert len(load_dataset("array", root="~/x.npz")) == 8
    with pytest.raises(VaelensError, match=f"was not found in '{tmp_path}/data'"):
        load_dataset("dsprites", root="~/data")
