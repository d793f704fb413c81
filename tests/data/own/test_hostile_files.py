"""Hostile files: each is one sentence, and none takes much memory or time."""

import io
import resource
import struct
import time
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from vaelens.data import CollectionDataset, FolderDataset, load_dataset
from vaelens.errors import VaelensError

MEMORY = 2**29  # above what the process has before
SECONDS = 20
IMAGES = np.arange(8, dtype=np.uint8).repeat(30 * 16).reshape(8, 1, 20, 24) * 30
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\n(mark) (w) file closefile\nshowpage\n"
WMF = struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 16, 16, 96, 0, 0) + bytes(40)


def picture(path, value=100, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def folder(path, *names):
    for k, name in enumerate(names or ("a.png", "b.png", "c.png", "d.png")):
        picture(path / name, 20 + 30 * k)
    return path


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows, colour=2):
    """A PNG whose pixels are zeros, of which so many rows are there."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    row = bytes(1 + width * {0: 1, 2: 3, 6: 4}[colour])
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(rows)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def noise():
    """A PNG that compression makes no smaller."""
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def npy(shape, descr="|u1", data=b""):
    """An .npy file whose header says what it wants."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return path


def bomb(path, **shapes):
    """An .npz of zeros, a thousandth of what it unpacks to."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, shape in shapes.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(npy(shape))
                for _ in range(int(np.prod(shape)) // 2**22):
                    member.write(bytes(2**22))
    return path


def program(path, data, name):
    folder(path)
    (path / name).write_bytes(data)
    return FolderDataset(path)


def named(path, table, **options):
    """Four pictures with a table of labels as text or bytes."""
    folder(path)
    data = table if isinstance(table, bytes) else table.encode()
    (path / "labels.csv").write_bytes(data)
    return FolderDataset(path, labels="labels.csv", **options)


def huge_file(path, name, size):
    with (path / name).open("wb") as file:
        file.truncate(size)
    return path / name


def nested(depth):
    return "[" * depth + "]" * depth


REFUSED = {
    # what is no picture, whatever its name
    "a PostScript program": (lambda d: program(d, POSTSCRIPT, "z.png"), "z.png' can't be read as a picture"),
    "a PostScript program as .jpg": (lambda d: program(d, POSTSCRIPT, "z.jpg"), "z.jpg' can't be read as a picture"),
    "a Windows metafile": (lambda d: program(d, WMF, "z.png"), "z.png' can't be read as a picture"),
    "a PDF": (lambda d: program(d, b"%PDF-1.4\n1 0 obj\n", "z.png"), "z.png' can't be read as a picture"),
    "a FITS file": (lambda d: program(d, b"SIMPLE  =" + b" " * 71, "z.png"), "z.png' can't be read as a picture"),
    "an X pixmap": (lambda d: program(d, b"/* XPM */\nstatic", "z.png"), "z.png' can't be read as a picture"),
    "an SVG": (lambda d: program(d, b"<svg xmlns='http://www.w3.org/2000/svg'/>", "z.png"), "can't be read as a pic"),
    "an empty file": (lambda d: program(d, b"", "z.png"), "z.png' can't be read as a picture"),
    "a table that is not named": (lambda d: program(d, b"file,n\n", "z.csv"), "give labels='z.csv'"),
    "a cut picture": (lambda d: program(d, noise()[:2000], "z.png"), "z.png' can't be read as a picture"),
    "a picture without pixels": (lambda d: program(d, png(0, 9, 1, 0), "z.png"), "z.png' can't be read as a picture"),
    "a text chunk that unpacks to much": (
        lambda d: program(
            d,
            png(8, 12, 12, 0)[:33] + chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(2**26))) + png(8, 12, 12, 0)[33:],
            "z.png",
        ),
        "z.png' can't be read as a picture",
    ),
    # small files that unpack to much
    "a PNG of 1.6 billion pixels": (lambda d: program(d, png(40_000, 40_000, 9, 0), "z.png"), "z.png' has more pixels"),
    "a PNG of 100 million pixels": (
        lambda d: program(d, png(10_000, 10_000, 9, 6), "z.png"),
        r"z.png' has 10,000×10,000 = 100,000,000 pixels, the bound is 33,554,432; give most_pixels= to read",
    ),
    "a long thin PNG": (lambda d: program(d, png(1, 60_000_000, 9, 0), "z.png"), "z.png' has 1×60,000,000 = "),
    "a large item": (
        lambda d: CollectionDataset([Image.new("1", (6000, 6000))]),
        "item 0 has 6,000×6,000 = 36,000,000 pixels, the bound is 33,554,432",
    ),
    "an npz of zeros": (
        lambda d: load_dataset("array", root=bomb(d / "x.npz", images=(300_032, 1, 64, 64))),
        r"x.npz' has 1.\d+ MB and unpacks to 1.23 GB, the bound is 537 MB; give most_bytes= to read it",
    ),
    "labels of an npz that are zeros": (
        lambda d: load_dataset("array", root=bomb(d / "x.npz", images=(4, 1, 2**10, 2**10), labels=(2**30,))),
        "and unpacks to 1.08 GB, the bound is 537 MB",
    ),
    "a header that promises more than there is": (
        lambda d: load_dataset("array", root=zipped(d / "x.npz", images=npy((10**9, 1, 64, 64)))),
        "x.npz' is damaged or no NumPy file .images has shape",
    ),
    "an npy header that promises more": (
        lambda d: (
            (d / "x.npy").write_bytes(npy((10**9, 1, 64, 64), data=bytes(99)))
            and load_dataset("array", root=d / "x.npy")
        ),
        "x.npy' is damaged or no NumPy file",
    ),
    "an npy header that nests": (
        lambda d: (d / "x.npy").write_bytes(npy(nested(3000))) and load_dataset("array", root=d / "x.npy"),
        "x.npy' is damaged or no NumPy file",
    ),
    "an npz member that is no array": (
        lambda d: load_dataset("array", root=zipped(d / "x.npz", images=b"text")),
        "x.npz' is damaged or no NumPy file",
    ),
    "an npz without arrays": (
        lambda d: load_dataset("array", root=zipped(d / "x.npz")),
        "no array 'images', only noth",
    ),
    "a table of 100 MB": (
        lambda d: FolderDataset(folder(d / "p"), labels=huge_file(d, "big.csv", 10**8)),
        "big.csv' has 100 MB, the bound is 67.1 MB; read it with pandas and give the DataFrame",
    ),
    "a table of 5,000 columns": (lambda d: named(d, "file," + ",".join(map(str, range(5000)))), "it has 5,001 columns"),
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


@pytest.mark.parametrize("name", ["a.GIF", "a.bmp", "a.tiff", "a.webp", "a.ppm", "a.JPEG", "a.png"])
def test_named_formats_are_read(tmp_path, name):
    picture(tmp_path / name, 120)
    assert FolderDataset(tmp_path).images_at([0]).mean() == pytest.approx(120 / 255, abs=0.01)


def test_larger_pictures_are_read_where_that_is_asked_for(tmp_path):
    (tmp_path / "z.png").write_bytes(png(6000, 6000, 6000, 0))
    with pytest.raises(VaelensError, match="36,000,000 pixels, the bound is 33,554,432"):
        FolderDataset(tmp_path, size=8)
    assert FolderDataset(tmp_path, size=8, most_pixels=36_000_000).image_shape == (1, 8, 8)


def test_an_npz_unpacks_to_more_where_that_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("vaelens.data.own.array_file.MOST_BYTES", 1000)
    bomb(tmp_path / "x.npz", images=(1024, 1, 64, 64))
    with pytest.raises(VaelensError, match=r"unpacks to 4.19 MB, the bound is 1 MB"):
        load_dataset("array", root=tmp_path / "x.npz", most_bytes=10**6)
    assert len(load_dataset("array", root=tmp_path / "x.npz", most_bytes=10**7)) == 1024
    np.savez(tmp_path / "y.npz", images=IMAGES)  # as large as what it holds
    assert len(load_dataset("array", root=tmp_path / "y.npz", most_bytes=1)) == 8
