"""Pictures from the browser, checked, brought to the model's shape, and packed as text for address and code."""

import base64
import binascii
import io

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vaelens.data.own.framing import CENTRE, Framing
from vaelens.data.own.raster import check_pixels, readable_formats, reading
from vaelens.errors import VaelensError
from vaelens.observation import Observation

LARGEST = 8 * 2**20  # bytes of a picture
MOST_PIXELS = 40_000_000
PACKED = "png:"
_ADVICE = "give a PNG, JPEG, WebP, GIF, BMP or TIFF file"


def packed_picture(content: bytes, kind: Observation) -> str:
    """Checks a picture's bytes, cuts the largest centred piece with the model's sides, resizes it, and packs it.

    Args:
        content: the file.
        kind: what the model takes.

    Returns:
        "png:" and a PNG of that shape in base64, without any metadata.

    Raises:
        VaelensError: the model takes no images of 1 or 3 channels; more than 8 MiB or 40 million pixels; no picture.
    """
    if not kind.is_image or kind.shape[0] not in (1, 3):
        raise VaelensError(f"the model takes {kind.noun} of shape {kind.shape}, and a picture has 1 or 3 channels")
    if len(content) > LARGEST:
        raise VaelensError(f"the picture has {len(content):,} bytes; expected at most {LARGEST:,}: make it smaller")
    channels, height, width = kind.shape
    with reading("the file", _ADVICE), Image.open(io.BytesIO(content), formats=readable_formats()) as picture:
        check_pixels(picture, MOST_PIXELS, "the picture")
        pixels = Framing((height, width), CENTRE, channels).apply(picture, "the picture")
    return PACKED + _png(pixels)


def unpacked_picture(text: str, kind: Observation | None = None) -> Tensor:
    """Unpacks a picture that `packed_picture` packed.

    Args:
        text: "png:…".
        kind: what the model takes; unchecked by default.

    Returns:
        The image, float32 (1, C, H, W) in [0, 1].

    Raises:
        VaelensError: no such text, or a picture of another shape.
    """
    try:
        content = base64.urlsafe_b64decode(text.removeprefix(PACKED).encode("ascii"))
    except (binascii.Error, ValueError) as error:
        raise VaelensError("the address holds a picture that is cut off; load the picture again") from error
    if len(content) > LARGEST:
        raise VaelensError(f"the picture has {len(content):,} bytes; expected at most {LARGEST:,}")
    with (
        reading("the picture in the address", "load it again"),
        Image.open(io.BytesIO(content), formats=["PNG"]) as png,
    ):
        check_pixels(png, MOST_PIXELS, "the picture")
        pixels = np.array(png)
    image = torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1)[None].float() / 255
    if kind is not None and (pixels.dtype != np.uint8 or tuple(image.shape[1:]) != kind.shape):
        raise VaelensError(
            f"the picture in the address is of shape {tuple(image.shape[1:])}, and the model takes {kind.shape}; load "
            "the picture again"
        )
    return image


def _png(pixels: np.ndarray) -> str:
    """Packs uint8 (C, H, W)."""
    flat = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(flat)).save(file, "PNG", optimize=True)
    return base64.urlsafe_b64encode(file.getvalue()).decode("ascii")
