"""Pictures in files, of which only the raster formats named here are ever opened, and none larger than a bound.

Pillow would also run what is a program (PostScript), whatever its file is called.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from PIL import Image

from vaelens.arguments import whole_number
from vaelens.data.annotations import Count
from vaelens.errors import VaelensError

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP", "JPEG2000", "AVIF")  # tried in this order
PILLOW_MOST = 178_956_970  # pixels, above which Pillow itself refuses


@cache
def readable_formats() -> tuple[str, ...]:
    """Lists those of the formats that this machine's Pillow reads."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


@contextmanager
def opened(path: Path, most_pixels: int, advice: str) -> Iterator[Image.Image]:
    """Opens a picture without decoding it.

    Args:
        path: The file.
        most_pixels: How many pixels it may have.
        advice: What errors advise if it is no picture.

    Raises:
        VaelensError: If it is no picture of these formats, is damaged, or has more pixels.
    """
    with reading(repr(str(path)), advice), Image.open(path, formats=readable_formats()) as picture:
        check_pixels(picture, most_pixels, repr(str(path)))
        yield picture


@contextmanager
def reading(what: str, advice: str) -> Iterator[None]:
    """Turns whatever a decoder raises into one sentence, and drops its warnings of odd metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except VaelensError:
            raise
        except Image.DecompressionBombError as error:
            most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
            raise VaelensError(
                f"{what} has more pixels than the {most:,} that Pillow opens at all, as a small file can claim; save "
                "it smaller if you trust it"
            ) from error
        except Exception as error:
            raise VaelensError(f"{what} can't be read as a picture ({type(error).__name__}); {advice}") from error


def check_format(picture: Image.Image, what: str) -> None:
    """Refuses a picture that was opened, but not decoded yet, in any other format."""
    if picture.format is not None and picture.format not in (*FORMATS, "MPO"):  # MPO: a JPEG with further ones behind
        raise VaelensError(f"{what} is a picture of format {picture.format}; expected one of {', '.join(FORMATS)}")


def check_pixels(picture: Image.Image, most: int, what: str) -> None:
    """Refuses a picture with more pixels than the bound, before it is decoded."""
    width, height = picture.size
    if width * height > most:
        raise VaelensError(
            f"{what} has {width:,}×{height:,} = {width * height:,} pixels, the bound is {most:,}; give most_pixels= to "
            "read larger ones"
        )


def checked_most_pixels(most_pixels: Count) -> int:
    """Checks the `most_pixels` argument."""
    return whole_number("most_pixels", most_pixels, low=1, high=PILLOW_MOST)
