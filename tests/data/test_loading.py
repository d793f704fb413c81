"""Options of datasets as texts, and labels beside images."""

import numpy as np
import pytest
from PIL import Image

from vaelens.data import ArrayDataset, load_dataset
from vaelens.errors import VaelensError

IMAGES = np.arange(8, dtype=np.uint8).repeat(30 * 16).reshape(8, 1, 20, 24) * 30


def picture(path, value=100, size=(12, 8), mode="L", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path, **options)


def folder(path, *names):
    for k, name in enumerate(names or ("a.png", "b.png", "c.png", "d.png")):
        picture(path / name, 20 + 30 * k)
    return path


def levels(ds):
    return {name: values.tolist() for name, values in ds.original_values.items()}


def test_labels_beside_images_are_used(tmp_path):
    for labels, expected in (
        (np.arange(8) % 2, [0, 1]),
        (np.array(list("abababab")), ["a", "b"]),
        (np.array([b"a", b"\xc3\xa9"] * 4), ["a", "é"]),
        (np.array([0.5, 1.5] * 4), [0.5, 1.5]),
    ):
        np.savez(tmp_path / "x.npz", images=IMAGES, labels=labels, more=1)
        ds = load_dataset("array", root=tmp_path / "x.npz")
        assert levels(ds) == {"labels": expected}
        assert "arrays not used: more" in str(ds)
    np.savez(tmp_path / "x.npz", images=IMAGES, labels=np.arange(8) % 2, factors=np.arange(8) // 4)
    assert levels(load_dataset("array", root=tmp_path / "x.npz")) == {"factors": [0, 1]}
    assert levels(load_dataset("array", root=tmp_path / "x.npz", factors="labels", names=["n"])) == {"n": [0, 1]}
    assert levels(ArrayDataset(IMAGES, np.arange(8) % 2)) == {"factor_0": [0, 1]}


def test_options_as_texts(tmp_path):
    folder(tmp_path)
    (tmp_path / "labels.csv").write_text("file,n,age,key\na.png,x,1,p\nb.png,y,2,p\nc.png,y,3,q\nd.png,x,4,q\n")
    options = {"root": tmp_path, "labels": "labels.csv"}
    assert load_dataset("folder", **options, columns="n, age").factors.names == ("n", "age")
    assert load_dataset("folder", **options, leave_out="key,n").factors.names == ("age",)
    kinds = load_dataset("folder", **options, kinds="age:circular, n=categorical", columns="n,age").factors.kinds
    assert kinds == ("categorical", "circular")
    assert load_dataset("folder", **options, size="6,4", crop="0,0,12,8").image_shape == (1, 6, 4)
    file = tmp_path.with_suffix(".npz")
    np.savez(file, images=IMAGES, factors=np.stack([np.arange(8) % 2, np.arange(8) // 4], 1))
    assert load_dataset("array", root=file, names="a,b").factors.names == ("a", "b")
    assert load_dataset("array", root=file, names=[1, 2]).factors.names == ("1", "2")
    assert load_dataset("folder", **options, links="No").factors.names == ("n", "age", "key")
    with pytest.raises(VaelensError, match="kinds must map names of columns to kinds, got 'age'"):
        load_dataset("folder", **options, kinds="age")
    with pytest.raises(VaelensError, match=r"crop is '0,0,x,8'; expected None, 'center', or"):
        load_dataset("folder", **options, crop="0,0,x,8")
