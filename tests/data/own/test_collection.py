import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from vaelens.data import CollectionDataset
from vaelens.errors import VaelensError

TONES = (0, 51, 102, 255)


class HubLike:
    """What a Hugging Face dataset looks like from outside: columns, and rows that are mappings."""

    column_names = ("image", "label", "caption", "box")

    def __len__(self):
        return 4

    def __getitem__(self, k):
        image = Image.new("RGB", (3, 2), (TONES[k], 0, 0))
        return {"image": image, "label": k % 2, "caption": "ab"[k // 2], "box": [1, 2]}


def first_values(ds):
    return (ds.images_at(range(len(ds)))[:, 0, 0, 0] * 255).round().int().tolist()


def test_a_torch_dataset_of_images_and_labels():
    images = torch.tensor(TONES)[:, None, None, None].expand(4, 1, 5, 6) / 255
    ds = CollectionDataset(TensorDataset(images, torch.tensor([7, 7, 9, 9])))
    assert first_values(ds) == list(TONES)
    assert ds.image_shape == (1, 5, 6)
    assert ds.factors.names == ("label",)
    assert [int(f) for _, f in ds] == [0, 0, 1, 1]
    assert ds.original_values["label"].tolist() == [7, 9]


def test_labels_as_several_a_vector_or_by_name():
    image = np.zeros((4, 4), dtype=np.uint8)
    for items, names in (
        ([(image, k, 3 - k) for k in range(4)], ("label_0", "label_1")),
        ([(image, torch.tensor([k, 3 - k])) for k in range(4)], ("label_0", "label_1")),
        ([(image, {"up": torch.tensor(k), "down": 3 - k}) for k in range(4)], ("up", "down")),
    ):
        ds = CollectionDataset(items)
        assert ds.factors.names == names
        assert [f.tolist() for _, f in ds] == [[0, 3], [1, 2], [2, 1], [3, 0]]
    assert CollectionDataset([(image, k) for k in range(4)], names=["age"]).factors.names == ("age",)
    assert CollectionDataset([(image, None if k else 1) for k in range(2)]).left_out == ("label",)
    assert len(CollectionDataset([image, image]).factors) == 0
    assert len(CollectionDataset([(image,), (image,)]).factors) == 0


def test_a_hub_dataset_by_its_columns():
    ds = CollectionDataset(HubLike(), size=4)
    assert ds.factors.names == ("label", "caption")  # a list is no label
    assert first_values(ds) == list(TONES)
    assert ds.image_shape == (3, 4, 4)
    assert [f.tolist() for _, f in ds] == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert ds.describe()["options"]["size"] == [4, 4]
    with pytest.raises(VaelensError, match="item 0 has no column 'photo', only image, label, caption, box"):
        CollectionDataset(HubLike(), image_column="photo")


def test_layouts_of_pixels():
    colours = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)  # (H, W, C)
    expected = np.moveaxis(colours, -1, 0)
    for image in (colours, expected, torch.from_numpy(expected.copy()), Image.fromarray(colours), colours / 255):
        assert (CollectionDataset([image]).images_at([0])[0].numpy() * 255).round().tolist() == expected.tolist()
    grey = colours[..., 0]
    for image in (grey, grey[..., None], torch.from_numpy(grey.copy()), torch.from_numpy(grey.copy())[None]):
        assert (CollectionDataset([image]).images_at([0])[0].numpy() * 255).round().tolist() == [grey.tolist()]


def test_refuses():
    image = np.zeros((4, 4), dtype=np.uint8)
    for items, match in (
        (3, "items must be a collection with a length and items by index, .*, got int"),
        ([], "must hold at least one image"),
        ([image, np.zeros((5, 4), dtype=np.uint8)], "items 0 and 1 differ in size, 4×4 and 4×5; give a size"),
        ([image - 0.5], "item 0 has values from -0.5 to -0.5; .*leave normalisation out"),
        ([np.full((4, 4), np.nan)], "item 0 has values from nan to nan"),
        ([image, "picture.png"], "item 1 holds no image but a str"),
        ([image.astype(np.uint16)], "item 0 has pixels of uint16; expected uint8"),
        ([np.zeros((4, 4, 5))], r"item 0 holds no image but a ndarray of float64 and shape \(4, 4, 5\)"),
    ):
        with pytest.raises(VaelensError, match=match):
            CollectionDataset(items)
