import base64
import io

import numpy as np
import pytest
from PIL import Image

from vaelens.report import palette, pictures


def opened(uri):
    """The pixels of a picture inside a page."""
    head, packed = uri.split(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))))


def test_a_data_uri_holds_the_pixels():
    pixels = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    np.testing.assert_array_equal(opened(pictures.data_uri(pixels)), pixels)


def test_one_channel_is_grey_three_are_colours_and_others_their_mean():
    assert pictures.shown(np.full((1, 2, 2), 0.2)).tolist() == [[[51] * 3] * 2] * 2
    colours = np.stack([np.full((1, 1), level) for level in (1.0, 0.2, 0.0)])
    assert pictures.shown(colours).tolist() == [[[255, 51, 0]]]
    assert pictures.shown(np.array([0.0, 0.4]).reshape(2, 1, 1)).tolist() == [[[51] * 3]]


def test_values_out_of_range_are_clipped_and_nan_is_black():
    values = np.array([-1.0, 2.0, np.nan]).reshape(1, 1, 3)
    assert pictures.shown(values)[0, :, 0].tolist() == [0, 255, 0]


def test_a_grid_puts_white_around_every_picture():
    black = np.zeros((2, 3, 4, 5, 3), dtype=np.uint8)
    black[1, 2] = 100
    whole = pictures.grid(black)
    assert whole.shape == (2 * 6, 3 * 7, 3)
    assert (whole[0] == 255).all()
    assert (whole[1:5, 1:6] == 0).all()
    assert (whole[7:11, 15:20] == 100).all()


@pytest.mark.parametrize(("value", "expected"), [(0.0, 0), (2.0, -1), (np.nan, 0)])
def test_magnitudes_run_from_the_first_colour_to_the_last(value, expected):
    anchor = palette.SEQUENTIAL[expected]
    shade = [int(anchor[k : k + 2], 16) for k in (1, 3, 5)]
    assert pictures.heat(np.array([value]), 2.0).tolist() == [shade]


def test_a_map_without_any_change_has_the_first_colour():
    assert pictures.heat(np.zeros(1), 0.0).tolist() == pictures.heat(np.zeros(1), 1.0).tolist()
