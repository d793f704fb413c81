"""Tables of labels as people have them."""

import unicodedata

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vaelens.data import ArrayDataset, FolderDataset
from vaelens.errors import VaelensError, VaelensWarning

IMAGES = np.arange(8, dtype=np.uint8).repeat(30 * 16).reshape(8, 1, 20, 24) * 30


def picture(path, value=100, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def folder(path, *names):
    for k, name in enumerate(names or ("a.png", "b.png", "c.png", "d.png")):
        picture(path / name, 20 + 30 * k)
    return path


def named(path, table, **options):
    """Four pictures with a table of labels as text or bytes."""
    folder(path)
    data = table if isinstance(table, bytes) else table.encode()
    (path / "labels.csv").write_bytes(data)
    return FolderDataset(path, labels="labels.csv", **options)


def levels(ds):
    return {name: values.tolist() for name, values in ds.original_values.items()}


def labelled(ds):
    """The labels of each picture, None where one is missing."""
    every = [ds.original_values[name] for name in ds.factors.names]
    return [
        tuple(None if rank < 0 else values[rank] for rank, values in zip(f.tolist(), every, strict=True)) for _, f in ds
    ]


REFUSED = {
    # tables
    "a table that is no UTF-8": (lambda d: named(d, b"file,n\na.png,caf\xe9\n"), "it is no UTF-8 text; save it as CSV"),
    "a table with NULs": (lambda d: named(d, b"file,n\na.png,\0\n"), "it has NUL characters in it"),
    "an empty table": (lambda d: named(d, "\n \n"), "labels.csv' can't be read .it is empty"),
    "rows that are too long": (lambda d: named(d, "file,n\na.png,1,2\nb.png,2,3\n"), "rows have more cells than"),
    "one row that is too long": (lambda d: named(d, "file,n\na.png,1\nb.png,2,3\n"), "labels.csv' can't be read"),
    "a quote without end": (lambda d: named(d, 'file,n\na.png,"1\nb.png,2\n'), "labels.csv' can't be read"),
    "two columns of a name": (lambda d: named(d, "file,n,n\na.png,1,2\n"), "it names the column 'n' more than once"),
    "names without ending": (lambda d: named(d, "file,n\na,1\nb,2\n"), "no row .* names need their ending"),
    "names with folders": (lambda d: named(d, "file,n\nx/a.png,1\n"), "no row .* names must be relative to the folder"),
    "a name twice": (lambda d: named(d, "file,n\na.png,1\na.png,2\n"), "names 'a.png' more than once"),
    "an infinite label": (lambda d: named(d, "file,n\na.png,inf\nb.png,2\n"), "label 'n' holds an infinite number"),
    "a label to leave out that is none": (
        lambda d: named(d, "file,n\na.png,1\nb.png,2\n", leave_out=["m"]),
        "unknown label to leave out 'm'; known: n",
    ),
    "columns that are a number": (
        lambda d: named(d, "file,n\na.png,1\n", columns=3),
        "columns must be a list of names",
    ),
    "a frame with one name twice": (
        lambda d: FolderDataset(folder(d), labels=pd.DataFrame([["a.png", 1, 2]], columns=["file", "n", "n"])),
        "has the column 'n' more than once",
    ),
    "a label with a NUL": (
        lambda d: ArrayDataset(IMAGES[:4], pd.DataFrame({"n": ["a\0", "a", "b", "b"]})),
        "label 'n' holds a text with a NUL",
    ),
    "a name with a NUL": (
        lambda d: ArrayDataset(IMAGES, np.arange(8) % 2, ["a\0"]),
        "names must be texts that UTF-8 h",
    ),
    "a surrogate in a name": (
        lambda d: ArrayDataset(IMAGES, np.arange(8) % 2, ["\udce9"]),
        "names must be texts that U",
    ),
    "ten million columns": (
        lambda d: ArrayDataset(IMAGES[:1], np.zeros((1, 10**7), np.int8)),
        "have 10,000,000 columns",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_one_sentence(tmp_path, case):
    ask, match = REFUSED[case]
    with pytest.raises(VaelensError, match=match) as caught:
        ask(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("file,n\na.png, cat\nb.png,cat \nc.png,dog\nd.png,  dog\n", ["cat", "cat", "dog", "dog"]),
        ("file,n\na.png,None\nb.png,NA\nc.png,nan\nd.png,\n", ["None", "NA", "nan", None]),
        ("file,n\na.png,1\nb.png,NA\nc.png,2\nd.png,\n", [1, None, 2, None]),
        ("file,n\na.png,0.5\nb.png,nan\nc.png,1.5\nd.png,null\n", [0.5, None, 1.5, None]),
        ("file,n\na.png,True\nb.png,false\nc.png,TRUE\nd.png,\n", [True, False, True, None]),
        ("file;n\na.png;x, y\nb.png;z\nc.png;z\nd.png;x, y\n", ["x, y", "z", "z", "x, y"]),
        ("file;n\na.png;0,5\nb.png;1\nc.png;0,5\nd.png;1\n", [0.5, 1, 0.5, 1]),
        ("file\tn\na.png\tx\nb.png\tz\nc.png\tz\nd.png\tx\n", ["x", "z", "z", "x"]),
        ("sep=;\nfile;n\na.png;x\nb.png;z\nc.png;z\nd.png;x\n", ["x", "z", "z", "x"]),
        ("\ufefffile,n\r\na.png,x\r\nb.png,z\r\nc.png,z\r\nd.png,x\r\n", ["x", "z", "z", "x"]),
        ("file,n\na.png,x\nb.png,z\nc.png,z\nd.png,x\n".encode("utf-16"), ["x", "z", "z", "x"]),
        (' file , n \n"a.png","x"\n"b.png","z"\n"c.png","z"\n"d.png","x"\n', ["x", "z", "z", "x"]),
        ("n,file\nx,./a.png\nz,B.PNG\nz,c.png\nx,d.png\n", ["x", "z", "z", "x"]),
        ("file,n\na.png,x\nb.png\n\nc.png,z\nd.png,x\n", ["x", None, "z", "x"]),
        ("file,n\ra.png,x\rb.png,z\rc.png,z\rd.png,x\r", ["x", "z", "z", "x"]),
        ("file,n\na.png,007\nb.png,7\nc.png,7\nd.png,007\n", ["007", "7", "7", "007"]),
        ("file,n\na.png,01\nb.png,02\nc.png,02\nd.png,01\n", [1, 2, 2, 1]),
        ("file,n,\na.png,1,\nb.png,2,\nc.png,2,\nd.png,1,\n", [1, 2, 2, 1]),
        ("file,n\na.png,18446744073709551615\nb.png,1\nc.png,1\nd.png,9\n", [18446744073709551615, 1, 1, 9]),
    ],
)
def test_tables_as_people_have_them(tmp_path, table, expected):
    ds = named(tmp_path, table)
    assert labelled(ds) == [(value,) for value in expected]


def test_a_file_column_of_numbers_is_text(tmp_path):
    for k, name in enumerate(("001", "002", "10")):
        picture(tmp_path / f"{name}.png", 20 + 40 * k)
        (tmp_path / f"{name}.png").rename(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,n\n001,x\n002,y\n10,y\n")
    assert labelled(FolderDataset(tmp_path, labels="labels.csv")) == [("x",), ("y",), ("y",)]


@pytest.mark.parametrize("on_disk", ["NFC", "NFD"])
def test_accents_match_however_they_are_composed(tmp_path, on_disk):
    names = [f"{letter}{k}.png" for k in range(2) for letter in ("é", "ü", "p")]
    folder(tmp_path, *(unicodedata.normalize(on_disk, name) for name in names))
    rows = [f"{unicodedata.normalize('NFD' if on_disk == 'NFC' else 'NFC', name)},{name[0]}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["file,n", *rows, ""]))
    ds = FolderDataset(tmp_path, labels="labels.csv")
    assert labelled(ds) == [(unicodedata.normalize("NFC", file)[0],) for file in ds.files]


def test_capitals_that_tell_names_apart_are_heeded(tmp_path):
    folder(tmp_path, "a.png", "A.png", "b.png", "C.PNG")
    frame = pd.DataFrame({"file": ["A.png", "a.PNG", "B.png", "c.png"], "n": ["one", "two", "three", "three"]})
    with pytest.warns(
        VaelensWarning, match=r"1 rows of the table of labels name no picture .such as 'a.PNG'., and 1 pic"
    ):
        ds = FolderDataset(tmp_path, labels=frame)
    assert dict(zip(ds.files, labelled(ds), strict=True)) == {
        "A.png": ("one",),
        "C.PNG": ("three",),
        "a.png": (None,),  # a.PNG may be either
        "b.png": ("three",),
    }
    assert "labels: 3 of 4 pictures have a row of the table, 1 rows name no picture" in str(ds)


@pytest.mark.parametrize("head", ["", "Unnamed: 0", "id", "image_id", "index", "ID"])
def test_an_index_is_no_factor_however_few_rows_there_are(tmp_path, head):
    with pytest.warns(VaelensWarning, match="is no factor and left out: all 4 of its values differ"):
        ds = named(tmp_path, f"{head},file,n\n0,a.png,x\n1,b.png,y\n2,c.png,y\n3,d.png,x\n")
    assert ds.factors.names == ("n",)
    assert ds.left_out == (head or "Unnamed: 0",)
    assert f"left out: {head or 'Unnamed: 0'} (all 4 of its values differ)" in str(ds)


def test_a_table_larger_than_the_bound(tmp_path, monkeypatch):
    for bound, what in (("MOST_ROWS", "4 rows"), ("MOST_CELLS", "8 cells")):
        with monkeypatch.context() as patch:
            patch.setattr(f"vaelens.data.own.label_file.{bound}", 3)
            with pytest.raises(VaelensError, match=f"it has {what}, the bound is 3: read it with pandas"):
                named(tmp_path, "file,n\na.png,1\nb.png,2\nc.png,1\nd.png,2\n")


def test_likely_misspellings_are_told_of_and_a_part_of_a_table_is_not(tmp_path):
    rows = "file,n\na.png,1\nb.png,2\nc.jpg,1\nd.png,2\n"
    with pytest.warns(VaelensWarning, match=r"1 rows .* no picture .such as 'c.jpg'., and 1 pictures have no row"):
        assert labelled(named(tmp_path, rows)) == [(1,), (2,), (None,), (2,)]
    ds = named(tmp_path, "file,n\na.png,1\nb.png,2\nc.png,1\nelsewhere-1.png,1\nelsewhere-2.png,2\n")
    assert ds.missing == {"n": 1}
    assert str(ds).splitlines()[2:] == [
        "  labels: 3 of 4 pictures have a row of the table, 2 rows name no picture",
        "  missing labels: n in 1 of 4 images",
    ]
