import shutil
import zipfile

import numpy as np
import pytest

from vaelens.data import CelebA, load_dataset
from vaelens.data.official.attribute_table import read_attributes
from vaelens.errors import VaelensError

COUNT = 12


@pytest.fixture
def attributes():
    values = np.random.default_rng(0).integers(0, 2, (COUNT, 40))
    values[[0, 6, 8]], values[[1, 7, 9]] = 0, 1  # both values in every split
    return values


COLOURS = [(20 * k, 255 - 20 * k, 60) for k in range(COUNT)]


def colours_of(x):
    """The mean colour of every picture, 0 to 255."""
    return x.mean(dim=(2, 3)).numpy() * 255


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_every_picture_has_its_attributes(tmp_path, official, attributes, end):
    official.celeba(tmp_path / "celeba", attributes, COLOURS, end=end)
    ds = load_dataset("celeba", root=tmp_path)
    assert (len(ds), ds.image_shape) == (COUNT, (3, 64, 64))
    assert ds.factors.names == tuple(f"Attribute_{k}" for k in range(40))
    assert set(ds.factors.kinds) == {"categorical"}
    assert set(ds.factors.sizes) == {2}
    assert (ds.factor_values(np.arange(COUNT)) == attributes).all()
    np.testing.assert_allclose(colours_of(ds.images_at(range(COUNT))), COLOURS, atol=3)


def test_a_part_of_the_pictures_will_do(tmp_path, official, attributes):
    there = [0, 1, 5, 9, 11]
    official.celeba(tmp_path, attributes, COLOURS, there)
    ds = CelebA(tmp_path)
    assert len(ds) == 5
    ranks = ds.factor_values(np.arange(5))
    labels = np.stack([ds.original_values[n][r] for n, r in zip(ds.factors.names, ranks.T, strict=True)], axis=1)
    kept = [k for k in range(40) if f"Attribute_{k}" not in ds.left_out]
    assert (labels == attributes[there][:, kept]).all()
    np.testing.assert_allclose(colours_of(ds.images_at(range(5))), np.array(COLOURS)[there], atol=3)


@pytest.mark.parametrize(("split", "value"), [("train", 0), ("valid", 1), ("test", 2)])
def test_splits_are_those_of_the_partition(tmp_path, official, attributes, split, value):
    _, parts = official.celeba(tmp_path, attributes, COLOURS)
    rows = [k for k, part in enumerate(parts) if part == value]
    ds = CelebA(tmp_path, split=split)
    assert ds.options == {"split": split, "crop": 148, "size": 64}
    np.testing.assert_allclose(colours_of(ds.images_at(range(len(rows)))), np.array(COLOURS)[rows], atol=3)


def test_all_splits_share_one_conversion(tmp_path, official, attributes):
    official.celeba(tmp_path, attributes, COLOURS)
    for split in ("all", "train", "test"):
        CelebA(tmp_path, split=split)
    assert len(list((tmp_path / "converted").glob("celeba-*.npy"))) == 1


def test_a_picture_that_changes_or_comes_is_converted(tmp_path, official, attributes):
    names, _ = official.celeba(tmp_path, attributes, COLOURS, there=[0, 1, 2])
    CelebA(tmp_path)
    pictures = tmp_path / "img_align_celeba"
    (pictures / names[1]).write_bytes(official.jpeg((0, 0, 0)) + b"longer")
    (pictures / names[5]).write_bytes(official.jpeg(COLOURS[5]))
    expected = [COLOURS[0], (0, 0, 0), COLOURS[2], COLOURS[5]]
    np.testing.assert_allclose(colours_of(CelebA(tmp_path).images_at(range(4))), expected, atol=3)


def test_pictures_in_a_zip_file_are_read_there(tmp_path, official, attributes):
    official.celeba(tmp_path, attributes, COLOURS)
    with zipfile.ZipFile(tmp_path / "img_align_celeba.zip", "w") as archive:
        for picture in (tmp_path / "img_align_celeba").iterdir():
            archive.write(picture, f"img_align_celeba/{picture.name}")
    loose = CelebA(tmp_path).images_at(range(COUNT))
    shutil.rmtree(tmp_path / "img_align_celeba")
    assert (CelebA(tmp_path).images_at(range(COUNT)) == loose).all()


def test_the_square_about_the_middle_is_kept_and_described(tmp_path, official, attributes):
    import io

    from PIL import Image

    names, _ = official.celeba(tmp_path, attributes, COLOURS)
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[40:180, 20:160] = 255  # (218 - 140) / 2 = 39 and (178 - 140) / 2 = 19: rows 39 to 178, columns 19 to 158
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=100, subsampling=0)
    (tmp_path / "img_align_celeba" / names[0]).write_bytes(buffer.getvalue())
    ds = CelebA(tmp_path, crop=140, size=140)
    expected = np.zeros((140, 140))
    expected[1:, 1:] = 1
    np.testing.assert_allclose(ds[0][0][0].numpy(), expected, atol=0.05)
    described = ds.describe()
    assert described["preprocessing"] == (
        "140×140 about the middle of 178×218, resized to 140×140 by Lanczos resampling"
    )
    assert [file["name"] for file in described["files"]] == ["list_attr_celeba.txt", "img_align_celeba"]


def test_official_rows_are_split_on_any_blanks(tmp_path):
    path = tmp_path / "list_attr_celeba.txt"
    names = " ".join(f"A{k}" for k in range(40))
    path.write_bytes(f"2\r\n{names} \r\n000001.jpg -1  1{' -1' * 38}\r\n000002.jpg  1 -1{'  1' * 38}\r\n\r\n".encode())
    pictures, _, values = read_attributes(path)
    assert pictures == ["000001.jpg", "000002.jpg"]
    assert values.tolist() == [[0, 1] + [0] * 38, [1, 0] + [1] * 38]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"12\r\n", b"", "does not begin with the number of its rows"),
        (b"12\r\n", b"13\r\n", "it has 12 rows and says that it has 13"),
        (b"Attribute_7 ", b"", "second line has 39 different names, expected 40"),
        (b"Attribute_7 ", b"Attribute_8 ", "second line has 39 different names, expected 40"),
        (b"000003.jpg", b"000002.jpg", "line 5 is not a new picture with 40 known values: '000002.jpg"),
        (b"000003.jpg", b"000003.jpg 1", "line 5 is not a new picture with 40 known values"),
        (b"000003.jpg", b"\r\n000003.jpg", "line 5 is not a new picture with 40 known values: ''"),
        (b"000003.jpg -1", b"000003.jpg  2", "line 5 is not a new picture"),
        (b"000003.jpg", b"\xff\xfe", "does not read as a table of text"),
        (b"000003.jpg", b"0" * 5000, "a line of more than 4,096 characters"),
    ],
)
def test_refuses_an_altered_table(tmp_path, official, attributes, old, new, message):
    attributes[2, 0] = 0
    official.celeba(tmp_path, attributes, COLOURS)
    path = tmp_path / "list_attr_celeba.txt"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(VaelensError, match=message):
        CelebA(tmp_path)


def test_refuses_a_damaged_or_foreign_picture_by_its_name(tmp_path, official, attributes):
    names, _ = official.celeba(tmp_path, attributes, COLOURS)
    picture = tmp_path / "img_align_celeba" / names[4]
    whole = picture.read_bytes()
    for data, message in (
        (b"", "does not read as a JPEG picture"),
        (whole[: len(whole) // 2], "does not read as a JPEG picture"),
        (official.jpeg((1, 2, 3), (218, 178)), "it is 218×178, expected 178×218 pixels"),
        (official.jpeg((1, 2, 3), (20_000, 1)), "it is 20000×1, expected 178×218 pixels"),
    ):
        picture.write_bytes(data)
        with pytest.raises(VaelensError, match=f"{names[4]}' is damaged .* {message}"):
            CelebA(tmp_path)


def test_refuses_wrong_options_and_missing_files(tmp_path, official, attributes):
    with pytest.raises(VaelensError, match="unknown split of celeba 'training'; known: all, train, valid, test"):
        CelebA(tmp_path, split="training")
    with pytest.raises(VaelensError, match="crop is 179; expected a whole number from 1 to 178"):
        CelebA(tmp_path, crop=179)
    with pytest.raises(VaelensError, match="size is 0; expected a whole number from 1"):
        CelebA(tmp_path, size=0)
    with pytest.raises(VaelensError, match=r"list_attr_celeba.txt of celeba was not found .* terms must be agreed to"):
        CelebA(tmp_path)
    official.celeba(tmp_path, attributes, COLOURS, there=[])
    with pytest.raises(VaelensError, match=r"has none of the 12 pictures that list_attr_celeba.txt lists"):
        CelebA(tmp_path)


def test_what_is_there_is_said_and_a_broken_link_is_a_picture_that_is_not(tmp_path, official, attributes):
    official.celeba(tmp_path, attributes, COLOURS, [0, 1, 5, 9])
    (tmp_path / "img_align_celeba" / "000003.jpg").symlink_to(tmp_path / "nowhere.jpg")
    ds = CelebA(tmp_path)
    assert len(ds) == 4
    assert "  pictures: 4 of the 12 that are listed are there" in str(ds).splitlines()
