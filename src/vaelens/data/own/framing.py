"""How pictures of any size and mode become images of one shape, cut, then resized, in grey or colour."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from vaelens.arguments import whole_number
from vaelens.data.annotations import Channels, Crop, Size
from vaelens.data.limits import MOST_SIDE
from vaelens.errors import VaelensError

CENTRE = "center"
GREY = ("1", "L", "LA", "La")
TOO_DEEP = ("I", "F")  # and I;16 and its kin: more than 8 bits a channel, whose range nothing states


@dataclass(frozen=True)
class Framing:
    """What becomes of every picture.

    Attributes:
        size: Height and width that pictures are resized to, by Lanczos resampling; None to keep theirs.
        crop: What is cut out before: None for the whole picture; "center" for the largest rectangle about the middle
            with the shape of `size`, a square without one; or (left, top, right, bottom) in pixels.
        channels: 1 for grey, 3 for colour.
    """

    size: tuple[int, int] | None
    crop: str | tuple[int, int, int, int] | None
    channels: int

    def apply(self, picture: Image.Image, what: str) -> np.ndarray:
        """Turns a picture into uint8 (channels, height, width), with what is transparent in it laid over black.

        Args:
            picture: The picture; turned upright first where its metadata say how it was held.
            what: What errors call it.

        Raises:
            VaelensError: If it has more than 8 bits a channel, or the box to cut out does not lie in it.
        """
        if picture.mode in TOO_DEEP or ";" in picture.mode:
            raise VaelensError(f"{what} has pixels of mode {picture.mode}; expected 8 bits a channel: convert it first")
        picture = ImageOps.exif_transpose(picture)
        if picture.has_transparency_data:
            ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
            ground.alpha_composite(picture.convert("RGBA"))
            picture = ground
        mode = "L" if self.channels == 1 else "RGB"
        picture = picture if picture.mode == mode else picture.convert(mode)
        box = self._box(*picture.size, what)
        if box is not None:
            picture = picture.crop(box)
        if self.size is not None:
            height, width = self.size
            picture = picture.resize((width, height), Image.Resampling.LANCZOS)  # a copy where that is its size
        pixels = np.asarray(picture)
        return pixels[None] if self.channels == 1 else np.moveaxis(pixels, -1, 0)

    def describe(self) -> dict[str, object]:
        """Describes the framing as plain values."""
        size = None if self.size is None else list(self.size)
        crop = list(self.crop) if isinstance(self.crop, tuple) else self.crop
        return {"size": size, "crop": crop, "channels": self.channels, "resampling": "lanczos"}

    def _box(self, width: int, height: int, what: str) -> tuple[int, int, int, int] | None:
        if self.crop is None:
            return None
        if isinstance(self.crop, tuple):
            if self.crop[2] > width or self.crop[3] > height:
                raise VaelensError(f"{what} is {width}×{height}, so the box {self.crop} does not lie in it")
            return self.crop
        tall, wide = self.size or (1, 1)
        # The largest rectangle of that shape: limited by the width or by the height.
        across, down = (width, max(1, width * tall // wide)) if width * tall <= height * wide else (0, height)
        across = across or max(1, height * wide // tall)
        left, top = (width - across) // 2, (height - down) // 2
        return left, top, left + across, top + down


def check_same_size(first: np.ndarray, other: np.ndarray, what: str) -> None:
    """Refuses two pictures (C, H, W) of different sizes, which `what` names."""
    if first.shape != other.shape:
        sizes = " and ".join(f"{picture.shape[2]}×{picture.shape[1]}" for picture in (first, other))
        raise VaelensError(
            f"{what} differ in size, {sizes}; give a size to resize them to, such as size=64, crop='center'"
        )


def checked_size(size: Size | None) -> tuple[int, int] | None:
    """Checks the `size` argument, None, a side, or height and width."""
    if size is None:
        return None
    sides = size if isinstance(size, Sequence) and not isinstance(size, str) and len(size) == 2 else (size, size)
    height, width = (whole_number("size", side, low=1) for side in sides)
    if max(height, width) > MOST_SIDE:
        raise VaelensError(f"size is {size!r}; expected sides of at most {MOST_SIDE:,} pixels")
    return height, width


def checked_crop(crop: Crop | None) -> str | tuple[int, int, int, int] | None:
    """Checks the `crop` argument, None, "center", or left, top, right and bottom."""
    if crop is None or (isinstance(crop, str) and crop == CENTRE):
        return crop
    expected = f"crop is {crop!r}; expected None, {CENTRE!r}, or (left, top, right, bottom) in pixels"
    if isinstance(crop, str) or not isinstance(crop, Sequence) or len(crop) != 4:
        raise VaelensError(expected)
    left, top, right, bottom = (whole_number("crop", side, low=0) for side in crop)
    if left >= right or top >= bottom:
        raise VaelensError(f"{expected}, with left < right and top < bottom")
    return left, top, right, bottom


def checked_channels(channels: Channels | None) -> int | None:
    """Checks the `channels` argument, None, 1 or 3."""
    if channels is not None and (type(channels) is not int or channels not in (1, 3)):
        raise VaelensError(
            f"channels is {channels!r}; expected 1 for grey, 3 for colour, or None for what the images have"
        )
    return channels
