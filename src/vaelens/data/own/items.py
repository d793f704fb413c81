"""An item of a collection, taken apart into a picture and labels by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from vaelens.data.annotations import Name
from vaelens.data.arguments import as_array, brief
from vaelens.data.own.raster import check_format
from vaelens.errors import VaelensError

IMAGE_COLUMNS = ("image", "img", "pixel_values")
LABEL_TYPES = (bool, int, float, str, np.generic, type(None))


def item_at(items: Any, place: int) -> Any:
    """Gets an item of a collection.

    Raises:
        VaelensError: If the collection raises anything.
    """
    try:
        return items[place]
    except Exception as error:  # whatever the user's own code raises
        raise VaelensError(
            f"item {place} can't be read from the items ({type(error).__name__}: {brief(error)})"
        ) from error


def parted(item: Any, place: int, image_column: Name | None) -> tuple[Any, dict[str, Any], dict[str, str]]:
    """Takes an item apart into its image, its labels by name, and the types of what is no label, by name."""
    if isinstance(item, Mapping):
        column = image_column or next((name for name in IMAGE_COLUMNS if name in item), None)
        if column not in item:
            missing = f"item {place} has no column {column or 'image'!r}, only {', '.join(map(str, item))}"
            raise VaelensError(f"{missing}; name the image's with image_column=")
        cells = {str(name): _plain(value) for name, value in item.items() if name != column}
        labels = {name: value for name, value in cells.items() if isinstance(value, LABEL_TYPES)}
        return item[column], labels, {name: type(cells[name]).__name__ for name in cells if name not in labels}
    if isinstance(item, (tuple, list)) and len(item) > 0 and not isinstance(item[0], (int, float)):
        return item[0], _labels(item[1] if len(item) == 2 else item[1:], place) if len(item) > 1 else {}, {}
    return item, {}, {}


def _labels(content: Any, place: int) -> dict[str, Any]:
    if isinstance(content, (torch.Tensor, np.ndarray)):
        content = as_array(content, f"the labels of item {place}").tolist()
    if isinstance(content, Mapping):
        labels = {str(name): _plain(value) for name, value in content.items()}
    elif isinstance(content, Sequence) and not isinstance(content, str):
        labels = {f"label_{k}": _plain(value) for k, value in enumerate(content)}
    else:
        labels = {"label": content}
    for name, value in labels.items():
        if not isinstance(value, LABEL_TYPES):
            what = f"{name!r} of item {place} is a {type(value).__name__}"
            raise VaelensError(f"{what}; expected a number, a text or a truth value as label")
    return labels


def _plain(value: Any) -> Any:
    """Turns a number in an array without dimensions into the number itself."""
    return value.item() if isinstance(value, (torch.Tensor, np.ndarray)) and value.ndim == 0 else value


def picture_of(image: Any, place: int) -> Image.Image:
    """Turns an image into a picture, from a picture, a tensor (C, H, W) or an array (H, W, C), or without channels.

    Raises:
        VaelensError: If it is no image, of a format that is not read, or out of range.
    """
    if isinstance(image, Image.Image):
        check_format(image, f"item {place}")
        return image
    pixels = as_array(image, f"item {place}")
    if pixels.ndim == 3 and (
        isinstance(image, torch.Tensor) or (pixels.shape[-1] not in (1, 3) and pixels.shape[0] in (1, 3))
    ):
        pixels = np.moveaxis(pixels, 0, -1)
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[-1] == 3)
    if pixels.dtype.kind not in "fbu" or not fits or pixels.size == 0:
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
