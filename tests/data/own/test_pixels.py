"""Masks, and images that are nearly black."""

import numpy as np
import pytest
import torch
from PIL import Image

from vaelens.data import ArrayDataset, CollectionDataset, FolderDataset, load_dataset
from vaelens.errors import VaelensWarning


def test_masks_of_0_and_1_are_white():
    masks = np.array([[0, 1], [1, 1]], dtype=np.uint8).reshape(1, 1, 2, 2)
    for ds in (
        ArrayDataset(masks),
        ArrayDataset(torch.from_numpy(masks)),
        CollectionDataset(list(masks)),
        CollectionDataset([torch.from_numpy(masks[0]) / 255]),
    ):
        assert ds.images_at([0]).flatten().tolist() == [0, 1, 1, 1]
        assert "images hold 0 and 1 only: read as masks, 1 is white" in str(ds)
        assert ds.describe()["options"]["masks"] is True
    assert ArrayDataset(0 * masks).images_at([0]).max() == 0


def test_masks_in_files(tmp_path):
    masks = np.random.default_rng(0).integers(0, 2, (5, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "m.npz", imgs=masks)
    np.save(tmp_path / "m.npy", masks)
    (tmp_path / "p").mkdir()
    for k, mask in enumerate(masks):
        Image.fromarray(mask).save(tmp_path / "p" / f"{k}.png")
    for ds in (
        load_dataset("array", root=tmp_path / "m.npz", images="imgs", channels_last=True),
        load_dataset("array", root=tmp_path / "m.npy", channels_last=True),
        FolderDataset(tmp_path / "p"),
    ):
        assert (ds.images_at(range(5)).numpy()[:, 0] == masks).all()


def test_images_that_are_nearly_black_are_told_of():
    dark = np.array([0, 9, 3, 4], dtype=np.uint8).reshape(1, 1, 2, 2)
    for images in (dark, dark / 255):
        with pytest.warns(VaelensWarning, match="images hold values from 0 to 9 of 255, so that they are nearly black"):
            ArrayDataset(images)
