import numpy as np
import pytest

from vaelens.report import palette
from vaelens.report.style import cells, written_cells


def luminance(colour):
    """Relative luminance, by WCAG 2."""
    channels = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("values", [[0.0, 0.5], [-0.5, 0.5]])
def test_numbers_in_cells_stand_out_from_every_shade(values):
    shading = written_cells(np.array([values]))
    ink = luminance(shading["textfont"]["color"])
    for _, colour in shading["colorscale"]:
        assert (luminance(colour) + 0.05) / (ink + 0.05) >= 4.5  # what WCAG asks of text


def test_fractions_have_two_decimals_and_larger_numbers_three_digits():
    assert written_cells(np.array([[0.25, 1.0]]))["texttemplate"] == "%{z:.2f}"
    assert written_cells(np.array([[0.25, 22.8]]))["texttemplate"] == "%{z:.3~g}"


def test_signed_values_are_white_at_zero():
    shading = cells(np.array([[-0.75, 0.5, np.nan]]))
    assert (shading["zmin"], shading["zmax"]) == (-0.75, 0.75)
    middle = shading["colorscale"][len(shading["colorscale"]) // 2]
    assert middle == [0.5, palette.DIVERGING[4]]
    assert cells(np.array([[0.0, 0.5]]))["zmin"] == 0
