"""Observations drawn in a page as data URIs, images as they are, series as curves, volumes as slices.

Vectors are drawn by nothing here: see `features`.
"""

import base64
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from vaelens.markup import data_uri
from vaelens.observation import Observation
from vaelens.report import palette, pictures

_WIDTH, _HEIGHT, _GAP = 120, 72, 6  # of a panel of curves
_STEPS = 240  # of time that are drawn; of more, the means of as many stretches
_SLICES = 4  # of a volume


@dataclass(frozen=True)
class Drawn:
    """How observations of a kind are drawn, all of a page on one scale.

    Attributes:
        observation: what they are.
        low: the value drawn lowest, or black.
        high: the value drawn highest, or white.
    """

    observation: Observation
    low: float = 0.0
    high: float = 1.0

    @classmethod
    def of(cls, observation: Observation, *seen: np.ndarray) -> "Drawn":
        """Chooses the scale of the values seen, or of images the range that they have."""
        if observation.is_image:
            return cls(observation)
        values = np.concatenate([np.nan_to_num(each).ravel() for each in seen])
        low, high = float(values.min()), float(values.max())
        return cls(observation, low, high if high > low else low + 1)

    def rows(self, values: Float[np.ndarray, "rows columns *shape"]) -> str:
        """Draws observations in rows and columns. Of volumes these are slices, (channels, height, width)."""
        if len(self.observation.shape) == 2:
            return _curves(values, self.low, self.high)
        scaled = values if self.observation.is_image else (values - self.low) / (self.high - self.low)
        return data_uri(pictures.grid(pictures.shown(scaled)))


def drawn_maps(changes: Float[np.ndarray, "maps *shape"], observation: Observation) -> tuple[list[str], float]:
    """Draws where each of several changes lies, on one scale from 0, and returns its end besides.

    Args:
        changes: E|Δ| of each value of an observation, with its channels: of series curves by channel; of an image the
            mean over channels as a map; of volumes that of slices evenly apart, in their order.
        observation: what changes.
    """
    values = np.nan_to_num(changes)
    if len(observation.shape) == 2:
        most = float(values.max())
        return [_curves(each[None, None], 0, most if most > 0 else 1) for each in values], most
    maps = values.mean(axis=1)
    if len(observation.shape) == 4:
        maps = maps[:, slices(observation)]
    most = float(maps.max())
    if len(observation.shape) == 4:
        return [data_uri(pictures.grid(pictures.heat(each, most)[None])) for each in maps], most
    return [data_uri(pictures.heat(each, most)) for each in maps], most


def slices(observation: Observation) -> list[int]:
    """Returns which slices of a volume are drawn, evenly apart along its first axis."""
    depth = observation.shape[1]
    count = min(_SLICES, depth)
    return [int((2 * k + 1) * depth / (2 * count)) for k in range(count)]


def colours(observation: Observation) -> str:
    """Says which channel of series has a curve of which colour, such as "ecg blue, breath orange"."""
    names = observation.features or [f"channel {k}" for k in range(observation.shape[0])]
    coloured = ", ".join(f"{name} {colour}" for name, colour in zip(names, palette.DISTINCT_NAMES, strict=False))
    more = len(names) - len(palette.DISTINCT_NAMES)
    return coloured + (f"; {more} more channels are not drawn" if more > 0 else "")


def _curves(panels: Float[np.ndarray, "rows columns channels time"], low: float, high: float) -> str:
    """Draws panels of curves, a colour for each of the first channels, as an SVG image."""
    rows, columns, channels, time = panels.shape
    stretches = np.array_split(np.arange(time), min(time, _STEPS))
    values = np.stack([np.nan_to_num(panels[..., each]).mean(axis=-1) for each in stretches], axis=-1)
    across = np.linspace(0, _WIDTH, values.shape[-1]) if values.shape[-1] > 1 else np.array([_WIDTH / 2])
    heights = _HEIGHT * (1 - (values - low) / (high - low))
    drawn = []
    for row in range(rows):
        for column in range(columns):
            left, top = column * (_WIDTH + _GAP) + _GAP / 2, row * (_HEIGHT + _GAP) + _GAP / 2
            lines = [f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="{palette.PANEL}"/>']
            for channel in range(min(channels, len(palette.DISTINCT))):
                points = zip(across, heights[row, column, channel], strict=True)
                path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
                lines.append(f'<polyline points="{path}" stroke="{palette.DISTINCT[channel]}"/>')
            drawn.append(f'<g transform="translate({left:g} {top:g})">{"".join(lines)}</g>')
    width, height = columns * (_WIDTH + _GAP), rows * (_HEIGHT + _GAP)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<rect width="{width}" height="{height}" fill="{palette.PAPER}"/>'
        f'<g fill="none" stroke-width="1.5" stroke-linejoin="round">{"".join(drawn)}</g></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
