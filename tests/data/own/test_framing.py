import numpy as np
import pytest
from PIL import Image

from vaelens.data.own.framing import Framing, checked_channels, checked_crop, checked_size
from vaelens.errors import VaelensError


def ramp(width, height):
    """A grey picture whose pixels are 10 row + column."""
    return Image.fromarray((10 * np.arange(height)[:, None] + np.arange(width)).astype(np.uint8))


def test_kept_whole():
    framed = Framing(None, None, 1).apply(ramp(4, 3), "it")
    assert framed.tolist() == [[[0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]]]


def test_centre_crops_by_hand():
    # A square about the middle of 6×3: columns 1, 2 and 3 (the odd column more is cut on the right).
    assert Framing(None, "center", 1).apply(ramp(6, 3), "it")[0, 0].tolist() == [1, 2, 3]
    assert Framing(None, "center", 1).apply(ramp(3, 5), "it")[0, :, 0].tolist() == [10, 20, 30]
    # For 2 rows by 4 columns: from 8×8 the middle four rows, all columns.
    boxed = Framing((2, 4), "center", 1)
    assert boxed._box(8, 8, "it") == (0, 2, 8, 6)
    assert boxed._box(40, 4, "it") == (16, 0, 24, 4)
    assert boxed._box(4, 2, "it") == (0, 0, 4, 2)


def test_boxes_by_hand():
    assert Framing(None, (1, 0, 3, 2), 1).apply(ramp(4, 3), "it").tolist() == [[[1, 2], [11, 12]]]
    with pytest.raises(VaelensError, match=r"it is 4×3, so the box \(0, 0, 5, 2\) does not lie in it"):
        Framing(None, (0, 0, 5, 2), 1).apply(ramp(4, 3), "it")


def test_resizing_keeps_flat_colours_and_gives_the_size():
    picture = Image.new("RGB", (30, 50), (10, 200, 30))
    framed = Framing((8, 6), None, 3).apply(picture, "it")
    assert framed.shape == (3, 8, 6)
    assert (framed == np.array([10, 200, 30])[:, None, None]).all()


def test_modes():
    assert Framing(None, None, 3).apply(Image.new("L", (1, 1), 77), "it").ravel().tolist() == [77, 77, 77]
    # ITU-R 601: 0.299 · 255 = 76.2
    assert Framing(None, None, 1).apply(Image.new("RGB", (1, 1), (255, 0, 0)), "it").ravel().tolist() == [76]
    # Half transparent red over black.
    see_through = Image.new("RGBA", (1, 1), (200, 0, 0, 128))
    assert Framing(None, None, 3).apply(see_through, "it").ravel().tolist() == [100, 0, 0]
    assert Framing(None, None, 1).apply(Image.new("1", (1, 1), 1), "it").ravel().tolist() == [255]
    for mode in ("I", "F", "I;16"):
        with pytest.raises(VaelensError, match=f"it has pixels of mode {mode}; expected 8 bits a channel"):
            Framing(None, None, 1).apply(Image.new(mode, (2, 2)), "it")


def test_pictures_are_turned_upright():
    picture = ramp(3, 2)
    picture.getexif()[0x0112] = 3  # held upside down
    assert Framing(None, None, 1).apply(picture, "it").tolist() == [[[12, 11, 10], [2, 1, 0]]]


def test_arguments():
    assert checked_size(None) is None
    assert checked_size(64) == (64, 64)
    assert checked_size([48, 64]) == (48, 64)
    assert checked_crop("center") == "center"
    assert checked_crop([0, 1, 2, 3]) == (0, 1, 2, 3)
    assert checked_channels(3) == 3
    for check, wrong, match in (
        (checked_size, 0, "size is 0; expected a whole number of at least 1"),
        (checked_size, "64", "size is '64'; expected a whole number"),
        (checked_crop, "centre", r"crop is 'centre'; expected None, 'center', or \(left, top, right, bottom\)"),
        (checked_crop, (3, 0, 3, 2), "with left < right and top < bottom"),
        (checked_crop, (0, 0, 3), "crop is"),
        (checked_channels, 4, "channels is 4; expected 1 for grey, 3 for colour"),
        (checked_channels, True, "channels is True"),
    ):
        with pytest.raises(VaelensError, match=match):
            check(wrong)
