"""Images that come one by one, from a map-style torch Dataset, a Hugging Face dataset or a list. They are read once."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from vaelens.arguments import whole_number
from vaelens.data.annotations import Channels, Count, Crop, Items, Kinds, Name, Names, Size
from vaelens.data.limits import IMAGES_AT_ONCE, MOST_PIXELS, as_bytes
from vaelens.data.own.arrays import ArrayDataset
from vaelens.data.own.framing import GREY, Framing, check_same_size, checked_channels, checked_crop, checked_size
from vaelens.data.own.items import item_at, parted, picture_of
from vaelens.data.own.raster import check_pixels, checked_most_pixels, reading
from vaelens.errors import VaelensError


class CollectionDataset(ArrayDataset):
    """The items of anything that has a length and returns items by index, with their labels.

    An item is an image; or a tuple of an image and labels: one label, several, or a mapping of names to labels; or,
    as in a Hugging Face dataset, a mapping with the image in the column `image` and labels in all other columns that
    hold numbers, texts or truth values. An image is a Pillow picture; a tensor (C, H, W) or (H, W); or an array
    (H, W, C), (C, H, W) or (H, W): uint8, or floating point in [0, 1], which is rounded to 8 bits.

    Args:
        items: The collection.
        size, crop, channels, most_pixels: How images are cut and resized, as in `FolderDataset`.
        image_column: The image's column where items are mappings; by default the first of image, img, pixel_values.
        names: The labels' names where items are tuples; label, or label_0 …, by default.
        kinds: What labels are, by name: ordinal, circular, categorical or continuous (see `read_labels`).
        levels: The number of bins of a continuous label.
        leave_out: The names of labels that are none, such as an index.
        most_bytes: How many bytes of memory all images may take, at 8 bits a channel.

    Raises:
        VaelensError: If an item holds no image, images differ in size and none is given, or labels do not fit.

    Example:
        >>> import torch
        >>> items = [(torch.full((1, 4, 4), value), value > 0.5) for value in (0.0, 0.4, 0.6, 1.0)]
        >>> CollectionDataset(items)
        <collection: 4 images of 1×4×4, Factors(label: 2 categorical)>
    """

    name = "collection"

    def __init__(
        self,
        items: Items,
        size: Size | None = None,
        crop: Crop | None = None,
        channels: Channels | None = None,
        image_column: Name | None = None,
        names: Names | None = None,
        kinds: Kinds | None = None,
        levels: Count = 10,
        leave_out: Names | None = None,
        most_pixels: Count = MOST_PIXELS,
        most_bytes: Count = IMAGES_AT_ONCE,
    ) -> None:
        count = _checked_length(items)
        most, room = checked_most_pixels(most_pixels), whole_number("most_bytes", most_bytes, low=1)
        framing_size, framing_crop, wanted = checked_size(size), checked_crop(crop), checked_channels(channels)
        framing, images, rows = None, np.empty(0), []
        self._no_labels: dict[str, str] = {}
        for place in range(count):
            image, labels, no_labels = parted(item_at(items, place), place, image_column)
            picture, what = picture_of(image, place), f"item {place}"
            if framing is None:  # the first image decides
                framing = Framing(framing_size, framing_crop, wanted or (1 if picture.mode in GREY else 3))
            check_pixels(picture, most, what)
            with reading(what, "leave it out of the items"):
                pixels = framing.apply(picture, what)
            if place == 0:
                _check_room(count, pixels, room)
                images = np.empty((count, *pixels.shape), dtype=np.uint8)
            check_same_size(images[0] if place else pixels, pixels, f"items 0 and {place}")
            images[place] = pixels
            rows.append(labels)
            self._no_labels |= no_labels
        assert framing is not None, "there is at least one image"
        self._framing = framing
        table = pd.DataFrame(rows)
        super().__init__(images, table if table.shape[1] else None, names, kinds, levels, leave_out)

    @property
    def options(self) -> dict[str, object]:
        """Lists how images were cut and resized, and what became of the labels."""
        return {**self._framing.describe(), **super().options}

    @property
    def notes(self) -> list[str]:
        """Says which columns hold no labels, and what became of those that do."""
        columns = ", ".join(f"{name} ({kind})" for name, kind in self._no_labels.items())
        return [*([f"columns that hold no labels: {columns}"] if columns else []), *super().notes]


def _checked_length(items: Items) -> int:
    if not (hasattr(items, "__len__") and hasattr(items, "__getitem__")) or isinstance(items, (str, bytes, Mapping)):
        what = "a collection with a length and items by index, such as a map-style torch Dataset"
        raise VaelensError(f"items must be {what}, got {type(items).__name__}")
    try:
        count = len(items)
    except Exception as error:  # whatever the user's own code raises
        raise VaelensError(f"items must have a length, got {type(error).__name__} from len()") from error
    if count == 0:
        raise VaelensError("items must hold at least one image, got an empty collection")
    return count


def _check_room(count: int, image: np.ndarray, most: int) -> None:
    if count * image.nbytes > most:
        raise VaelensError(
            f"{count:,} images of {image.nbytes:,} bytes take {as_bytes(count * image.nbytes)} of memory, the bound is "
            f"{as_bytes(most)}; give a size, fewer items, or most_bytes="
        )
