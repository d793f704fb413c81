import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vaelens.data import FolderDataset, load_dataset
from vaelens.data.own import image_store
from vaelens.errors import VaelensError


def save(folder, name, value, size=(4, 4), mode="L"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def folder(tmp_path):
    """Five grey pictures, each of one value, one of them deeper down."""
    for k, name in enumerate(["b.png", "a.png", "c.bmp", "deep/d.png", "e.png"]):
        save(tmp_path, name, 10 * k)
    return tmp_path


def values(ds):
    return (ds.images_at(range(len(ds)))[:, 0, 0, 0] * 255).round().int().tolist()


def test_files_in_the_order_of_their_names(folder):
    (folder / ".hidden").write_text("not read")
    ds = FolderDataset(folder)
    assert ds.files == ("a.png", "b.png", "c.bmp", "deep/d.png", "e.png")
    assert values(ds) == [10, 0, 20, 30, 40]
    assert ds.image_shape == (1, 4, 4)
    assert len(ds.factors) == 0
    assert values(FolderDataset(str(folder), pattern="*.bmp")) == [20]


def test_any_size_is_cut_and_resized_as_recorded(folder):
    save(folder, "f.png", (1, 2, 3), size=(9, 5), mode="RGB")
    ds = load_dataset("folder", root=folder, size=8, crop="center")
    assert ds.image_shape == (3, 8, 8)  # one picture has colours
    assert (ds.images_at([5])[0, :, 3, 3] * 255).round().tolist() == [1, 2, 3]
    options = ds.describe()["options"]
    assert options["size"] == [8, 8]
    assert options["crop"] == "center"
    assert options["channels"] == 3
    assert options["resampling"] == "lanczos"
    assert FolderDataset(folder, size=8, channels=1).image_shape == (1, 8, 8)


def test_sizes_that_differ_are_an_error_without_a_size(folder):
    save(folder, "f.png", 0, size=(9, 5))
    with pytest.raises(VaelensError, match=r"a.png and f.png in .* differ in size, 4×4 and 9×5; give a size to resize"):
        FolderDataset(folder)
    with pytest.raises(VaelensError, match="differ in size, 4×4 and 5×5"):
        FolderDataset(folder, crop="center")
    assert FolderDataset(folder, crop=(0, 0, 3, 4)).image_shape == (1, 4, 3)


@pytest.mark.parametrize("content", [b"just text", b"", "cut"])
def test_what_is_no_picture_is_named_in_one_sentence(folder, content):
    if content == "cut":
        rng = np.random.default_rng(0)
        Image.fromarray(rng.integers(0, 255, (4, 4), dtype=np.uint8)).save(folder / "bad.png")
        content = (folder / "bad.png").read_bytes()[:-30]
    (folder / "bad.png").write_bytes(content)
    with pytest.raises(VaelensError, match=r"bad.png' can't be read as a picture \(.*\); take it out") as caught:
        FolderDataset(folder)
    assert "\n" not in str(caught.value)


def test_labels_from_a_table(folder):
    (folder / "labels.csv").write_text(
        "shape,file,weight,note\nround,a.png,1.5,x\nflat,e.png,,y\nround,b.png,3.5,x\nflat,deep/d.png,2.5,y\nflat,gone.png,9,y\n"
    )
    ds = FolderDataset(folder, labels="labels.csv", columns=["shape", "weight"])
    assert ds.factors.names == ("shape", "weight")
    assert ds.original_values["shape"].tolist() == ["flat", "round"]
    # a, b, c (without a row), d, e (without a weight)
    assert [f.tolist() for _, f in ds] == [[1, 0], [1, 2], [-1, -1], [0, 1], [0, -1]]
    assert ds.missing == {"shape": 1, "weight": 2}
    assert ds.labelled == 3
    described = ds.describe()
    assert described["missing_labels"] == {"shape": 1, "weight": 2}
    assert described["options"]["rows_without_picture"] == 1
    assert "labels.csv" not in ds.files


def test_labels_from_a_frame_and_under_another_name(folder):
    frame = pd.DataFrame({"which": ["a.png", "b.png", "c.bmp", "e.png"], "n": [3, 4, 3, 4]})
    ds = FolderDataset(folder, labels=frame, file_column="which")
    assert [f.tolist() for _, f in ds] == [[0], [1], [0], [-1], [1]]


def test_a_table_in_the_folder_is_no_picture_however_it_is_named(folder, monkeypatch):
    (folder / "labels.csv").write_text("file,n\na.png,1\nb.png,2\n")
    monkeypatch.chdir(folder.parent)
    for root, labels in ((folder.name, folder / "labels.csv"), (folder, f"{folder.name}/labels.csv")):
        ds = FolderDataset(root, labels=labels, columns="n")
        assert ds.factors.names == ("n",)
        assert len(ds) == 5


def test_labels_from_parquet(folder):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"file": ["a.png", "b.png"], "n": [3, 4]}).to_parquet(folder / "labels.parquet")
    assert FolderDataset(folder, labels="labels.parquet").missing == {"n": 3}


@pytest.mark.parametrize(
    ("table", "match"),
    [
        (
            "name,n\na.png,1\n",
            r"has no column of file names \(file, filename, .*\), only name, n; name it with file_col",
        ),
        ("file,n\na.png,1\na.png,2\n", "names 'a.png' more than once"),
        ("file,n\nz.png,1\n", "no row of the table of labels names a picture: file has 'z.png', the folder 'a.png'"),
        ("", "labels.csv' can't be read"),
    ],
)
def test_refuses_a_wrong_table(folder, table, match):
    (folder / "labels.csv").write_text(table)
    with pytest.raises(VaelensError, match=match):
        FolderDataset(folder, labels="labels.csv")


def test_refuses_wrong_arguments(folder, tmp_path):
    for arguments, match in (
        ({"root": None}, "root must be the path of a folder of pictures, got None"),
        ({"root": folder / "none"}, "none' is not there; give a folder of pictures"),
        ({"root": folder / "a.png"}, "a.png' is a file; give a folder of pictures"),
        ({"pattern": "*.gif"}, r"holds no pictures that match '\*.gif'"),
        ({"labels": "table.csv"}, "the table of labels 'table.csv' is neither there nor in"),
        ({"labels": folder / "a.png"}, "must be a .csv, .tsv or .parquet file, got 'a.png'"),
        ({"labels": 3}, "labels must be a .csv, .tsv or .parquet file, or a DataFrame, got int"),
        ({"size": -1}, "size is -1"),
        ({"labels": pd.DataFrame({"file": ["a.png"], "n": [1]}), "columns": ["m"]}, "no column 'm', only file, n"),
    ):
        with pytest.raises(VaelensError, match=match):
            FolderDataset(**{"root": folder, **arguments})


def test_many_pictures_are_mapped_from_the_cache(folder, tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VAELENS_CACHE", str(cache))
    monkeypatch.setattr(image_store, "IN_MEMORY", 10)
    in_memory = [10, 0, 20, 30, 40]
    assert values(FolderDataset(folder)) == in_memory
    [file] = cache.rglob("*.npy")
    written = file.stat().st_mtime_ns
    assert values(FolderDataset(folder)) == in_memory
    assert file.stat().st_mtime_ns == written
    file.write_bytes(file.read_bytes()[:-5])  # damaged: made anew
    assert values(FolderDataset(folder)) == in_memory
    save(folder, "a.png", 99, size=(4, 4))  # changed: another file, in place of the old one
    assert values(FolderDataset(folder)) == [99, 0, 20, 30, 40]
    assert len(list(cache.rglob("*.npy"))) == 1
    assert not file.exists()
    FolderDataset(folder, pattern="*.png")  # other pictures: both are kept
    assert len(list(cache.rglob("*.npy"))) == 2
    (folder / "file").write_text("")
    monkeypatch.setenv("VAELENS_CACHE", str(folder / "file" / "below"))
    with pytest.raises(
        VaelensError, match=r"the pictures in .* must be converted once, .*: Not a directory.* VAELENS_CACHE"
    ):
        FolderDataset(folder, pattern="*.png")


def test_a_failed_decoding_leaves_no_part(folder, tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("VAELENS_CACHE", str(cache))
    monkeypatch.setattr(image_store, "IN_MEMORY", 10)
    save(folder, "f.png", 0, size=(9, 5))
    with pytest.raises(VaelensError, match="differ in size"):
        FolderDataset(folder)
    assert not [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]
