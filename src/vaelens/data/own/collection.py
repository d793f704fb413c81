"""Images that come one by one: a map-style torch Dataset, a Hugging Face dataset, a list. They are read once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.framing import GREY, Framing, check_same_size, checked_channels, checked_crop, checked_size
from vaelens.errors import VaelensError

IMAGE_COLUMNS = ("image", "img", "pixel_values")
LABEL_TYPES = (bool, int, float, str, np.generic, type(None))


class CollectionDataset(ArrayDataset):
    """The items of anything that has a length and gives items by index, with their labels.

    An item is an image; or a tuple of an image and labels: one label, several, or a mapping of names to labels; or,
    as in a Hugging Face dataset, a mapping with the image in the column `image` and labels in all other columns that
    hold numbers, texts or truth values. An image is a Pillow picture; a tensor (C, H, W) or (H, W); or an array
    (H, W, C), (C, H, W) or (H, W): uint8, or floating point in [0, 1], which is rounded to 8 bits.

    Args:
        items: The collection.
        size, crop, channels: How images are cut and resized, as in `FolderDataset`.
        image_column: The image's column where items are mappings; by default the first of image, img, pixel_values.
        names: The labels' names where items are tuples; label, or label_0 …, by default.
        kinds: What labels are, by name: ordinal, circular, categorical or continuous (see `read_labels`).
        levels: The number of bins of a continuous label.

    Raises:
        VaelensError: If an item holds no image, images differ in size and none is given, or labels do not fit.

    Example:
        >>> items = [(torch.full((1, 4, 4), value), value > 0.5) for value in (0.0, 0.4, 0.6, 1.0)]
        >>> CollectionDataset(items)
        <collection: 4 images of 1×4×4, Factors(label: 2 categorical)>
    """

    name = "collection"

    def __init__(
        self,
        items: Any,
        size: Any = None,
        crop: Any = None,
        channels: Any = None,
        image_column: str | None = None,
        names: Any = None,
        kinds: Any = None,
        levels: Any = 10,
    ) -> None:
        if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")) or isinstance(items, (str, Mapping)):
            what = "a collection with a length and items by index, such as a map-style torch Dataset"
            raise VaelensError(f"items must be {what}, got {type(items).__name__}")
        if len(items) == 0:
            raise VaelensError("items must hold at least one image, got an empty collection")
        parts = (checked_size(size), checked_crop(crop))
        wanted = checked_channels(channels)
        images, rows = [], []
        for place in range(len(items)):
            image, labels = _parted(items[place], place, image_column)
            picture = _picture(image, place)
            if wanted is None:  # the first image decides
                wanted = 1 if picture.mode in GREY else 3
            images.append(Framing(*parts, wanted).apply(picture, f"item {place}"))
            check_same_size(images[0], images[-1], f"items 0 and {place}")
            rows.append(labels)
        assert wanted is not None, "there is at least one image"
        self._framing = Framing(*parts, wanted)
        super().__init__(np.stack(images), _table(rows), names, kinds, levels)

    @property
    def options(self) -> dict[str, object]:
        """How images were cut and resized, and what became of the labels."""
        return {**self._framing.describe(), **super().options}


def _parted(item: Any, place: int, image_column: str | None) -> tuple[Any, dict[str, Any]]:
    """An item's image and its labels by name."""
    if isinstance(item, Mapping):
        column = image_column or next((name for name in IMAGE_COLUMNS if name in item), None)
        if column not in item:
            missing = f"item {place} has no column {column or 'image'!r}, only {', '.join(map(str, item))}"
            raise VaelensError(f"{missing}; name the image's with image_column=")
        return item[column], {name: value for name, value in item.items() if isinstance(value, LABEL_TYPES)}
    if isinstance(item, (tuple, list)) and len(item) > 0 and not isinstance(item[0], (int, float)):
        if len(item) == 1:
            return item[0], {}
        return item[0], dict(_labels(item[1] if len(item) == 2 else item[1:]))
    return item, {}


def _labels(given: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping):
        yield from ((str(name), _plain(value)) for name, value in given.items())
        return
    if isinstance(given, (torch.Tensor, np.ndarray)):
        given = given.tolist()
    if isinstance(given, Sequence) and not isinstance(given, str):
        yield from ((f"label_{k}", _plain(value)) for k, value in enumerate(given))
    else:
        yield "label", given


def _plain(value: Any) -> Any:
    """A number in an array without dimensions as the number itself."""
    return value.item() if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim == 0 else value


def _picture(image: Any, place: int) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    if isinstance(image, torch.Tensor):
        pixels = image.detach().cpu().numpy()
        pixels = np.moveaxis(pixels, 0, -1) if pixels.ndim == 3 else pixels
    else:
        pixels = np.asarray(image)
        if pixels.ndim == 3 and pixels.shape[-1] not in (1, 3) and pixels.shape[0] in (1, 3):
            pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype.kind not in "fbu" or pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] != 3):
        shown = f"{type(image).__name__} of {pixels.dtype} and shape {pixels.shape}"
        raise VaelensError(
            f"item {place} holds no image but a {shown}; expected a picture, or 1 or 3 channels of pixels"
        )
    if pixels.dtype.kind == "f":
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # NaN too
            span = f"values from {pixels.min():g} to {pixels.max():g}"
            raise VaelensError(f"item {place} has {span}; expected [0, 1]: leave normalisation out of its transform")
        pixels = np.rint(pixels * 255)
    elif pixels.dtype.kind == "b":
        pixels = pixels * 255
    elif pixels.dtype != np.uint8:
        raise VaelensError(f"item {place} has pixels of {pixels.dtype}; expected uint8, or floating point in [0, 1]")
    return Image.fromarray(np.ascontiguousarray(pixels.astype(np.uint8)))


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame | None:
    table = pd.DataFrame(rows)
    return table if table.shape[1] else None
