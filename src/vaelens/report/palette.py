"""The colours and the typeface of every page, defined once. The colours are distinct to any colour vision."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

INK = "#1f2933"
MUTED = "#5b6673"
RULE = "#d5dbe3"
PANEL = "#f5f7f9"
PAPER = "#ffffff"
LINK = "#0b5cad"


class DARK:
    """The same where the reader's system is set to dark."""

    INK = "#e3e7eb"
    MUTED = "#a6b0bb"
    RULE = "#424c57"
    PANEL = "#1e252c"
    PAPER = "#14191e"
    LINK = "#7cb9f4"


ACTIVE = "#5b9fd0"
INACTIVE = "#c6ccd3"

# Okabe and Ito's set, which every common kind of colour blindness keeps apart.
DISTINCT = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
DISTINCT_NAMES = ("blue", "orange", "green", "pink", "light blue", "red")

INDIRECT, INTERACTION, DIRECT = "#0072b2", "#e69f00", "#d3dae2"

# Magnitudes: from paper white to dark blue. Signed values: orange below 0, white at it, blue above.
SEQUENTIAL = ("#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c", "#08306b")
DIVERGING = ("#7f3b08", "#b35806", "#e08214", "#fdb863", "#f7f7f7", "#9ecae1", "#4292c6", "#08519c", "#08306b")


def colour(values: Float[np.ndarray, "*shape"], anchors: Sequence[str] = SEQUENTIAL) -> UInt8[np.ndarray, "*shape 3"]:
    """Turns values in [0, 1] to RGB, between evenly spaced anchor colours, clipping others.

    Args:
        values: any shape.
        anchors: two or more colours as "#rrggbb".

    Returns:
        The colours, (…, 3).

    Example:
        >>> colour(np.array([0.0, 0.5, 1.0]), ("#000000", "#ff0000"))
        array([[  0,   0,   0],
               [128,   0,   0],
               [255,   0,   0]], dtype=uint8)
    """
    ends = np.array([[int(anchor[k : k + 2], 16) for k in (1, 3, 5)] for anchor in anchors])
    places = np.linspace(0, 1, len(ends))
    channels = [np.interp(values, places, ends[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
