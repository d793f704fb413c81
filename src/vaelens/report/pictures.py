"""Arrays as pictures that stand inside a page, PNG files as data URIs, made with Pillow."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from vaelens.markup import data_uri
from vaelens.report import palette

_GAP = 1  # pixels of white on every side of a picture in a grid


def shown(images: Float[np.ndarray, "*n c h w"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """Turns images in [0, 1] to RGB, with values outside clipped and NaN black.

    Three channels are red, green and blue; of any other number the mean is shown in grey.
    """
    channels = images if images.shape[-3] == 3 else images.mean(axis=-3, keepdims=True).repeat(3, axis=-3)
    return np.rint(np.nan_to_num(np.moveaxis(channels, -3, -1)).clip(0, 1) * 255).astype(np.uint8)


def grid(pictures: UInt8[np.ndarray, "rows columns h w 3"]) -> UInt8[np.ndarray, "H W 3"]:
    """Joins pictures in rows and columns to one, a pixel of white around each."""
    framed = np.pad(pictures, ((0, 0), (0, 0), (_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=255)
    rows, columns, height, width, _ = framed.shape
    return framed.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def heat(
    values: Float[np.ndarray, "*shape"], most: float, anchors: Sequence[str] = palette.SEQUENTIAL
) -> UInt8[np.ndarray, "*shape 3"]:
    """Colours magnitudes from 0 to `most` in the palette's sequential colours, NaN as 0."""
    return palette.colour(np.nan_to_num(values) / most if most > 0 else np.zeros(values.shape), anchors)


def colour_bar(anchors: Sequence[str] = palette.SEQUENTIAL) -> str:
    """Paints the sequential colours from left to right, as a data URI."""
    return data_uri(palette.colour(np.linspace(0, 1, 256)[None].repeat(8, axis=0), anchors))
