"""Observations as pictures in the page without any file, images as PNG and vectors and series as small charts."""

import base64
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from vaelens.markup import data_uri, text
from vaelens.observation import Observation
from vaelens.report import palette
from vaelens.report.pictures import heat, shown

Values = Float[np.ndarray, "*shape"]

_BARS = 24  # features that a chart of a vector shows
_WIDE, _TALL = 240, 180  # of a chart
_GREY, _BLUE = "#7b8794", "#3f8fd2"  # of lines and text that are read on white and on black
_LEAST = 0.02  # of the range, that the colours of a difference span at least


class Pictures:
    """Draws observations of a kind.

    Args:
        kind: what an observation is.
    """

    def __init__(self, kind: Observation) -> None:
        self._kind = kind

    def observation(self, values: Values, most_different: Values | None = None) -> str:
        """Draws one observation, as a data URI.

        Args:
            values: of shape (*shape).
            most_different: differences by which the features of a long vector are chosen; the first ones by default.
        """
        if len(self._kind.shape) >= 3:
            return data_uri(shown(self._in_range(_slice(values))))
        return self._chart(values, most_different, signed=False)

    def difference(self, values: Values) -> tuple[str, float]:
        """Draws signed values about 0, orange below and blue above, with the value that full colour stands for."""
        span = 1.0 if self._kind.low is None or self._kind.high is None else self._kind.high - self._kind.low
        most = max(float(np.abs(values).max(initial=0.0)), _LEAST * span)
        if len(self._kind.shape) >= 3:
            signed = _slice(values).mean(axis=0)
            return data_uri(heat(signed / most / 2 + 0.5, 1.0, palette.DIVERGING)), most
        return self._chart(values, values, signed=True), most

    def magnitudes(self, values: Values) -> str:
        """Draws magnitudes (height, width) from white to dark blue."""
        return data_uri(heat(values, float(np.nanmax(values, initial=0.0))))

    def thumbnail(self, values: Values, side: int = 56) -> str:
        """Draws one observation small, by leaving out pixels."""
        if len(self._kind.shape) >= 3:
            step = max(1, min(values.shape[-2:]) // side)
            return self.observation(values[..., ::step, ::step])
        return self.observation(values)

    def _in_range(self, values: Values) -> Values:
        """Brings values from their range, or from between their own ends where they have none, to [0, 1]."""
        low, high = self._kind.low, self._kind.high
        if low is None or high is None:
            low, high = float(values.min()), float(values.max())
        return (values - np.float32(low)) / np.float32(max(high - low, 1e-12))

    def _chart(self, values: Values, most_different: Values | None, signed: bool) -> str:
        marks = self._lines(values) if len(self._kind.shape) == 2 else self._bars(values, most_different, signed)
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {_TALL}">{marks}</svg>'
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"

    def _bars(self, values: Values, most_different: Values | None, signed: bool) -> str:
        count = len(values)
        order = np.arange(count)
        if count > _BARS:
            rank = np.zeros(count) if most_different is None else -np.abs(most_different)
            order = np.sort(np.argsort(rank, kind="stable")[:_BARS])
        taken = values[order]
        low, high = (min(0.0, float(taken.min())), max(0.0, float(taken.max())))
        if not signed and self._kind.low is not None and self._kind.high is not None:
            low, high = min(low, self._kind.low), max(high, self._kind.high)
        scale = (_WIDE - 84) / max(high - low, 1e-12)
        height = _TALL / len(order)
        zero, marks = 80 - low * scale, []
        for row, (feature, value) in enumerate(zip(order.tolist(), taken.tolist(), strict=True)):
            left, width = (zero, value * scale) if value >= 0 else (zero + value * scale, -value * scale)
            colour = palette.DISTINCT[5] if signed and value < 0 else _BLUE
            name = str(feature) if self._kind.features is None else self._kind.features[feature]
            top = row * height
            middle = top + height / 2 + 3
            marks.append(
                f'<rect x="{left:.1f}" y="{top + 1:.1f}" width="{max(width, 0.5):.1f}" '
                f'height="{max(height - 2, 1):.1f}" fill="{colour}"/>'
                f'<text x="76" y="{middle:.1f}" text-anchor="end" font-size="9" font-family="sans-serif" '
                f'fill="{_GREY}">{text(name[:14])}</text>'
            )
        return "".join([*marks, f'<path d="M{zero:.1f} 0V{_TALL}" stroke="{_GREY}" stroke-width="0.7"/>'])

    def _lines(self, values: Values) -> str:
        low, high = float(values.min()), float(values.max())
        if self._kind.low is not None and self._kind.high is not None:
            low, high = min(low, self._kind.low), max(high, self._kind.high)
        across = np.linspace(4, _WIDE - 4, values.shape[1])
        lines = []
        for channel, series in enumerate(values[: len(palette.DISTINCT)]):
            down = _TALL - 4 - (series - low) / max(high - low, 1e-12) * (_TALL - 8)
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))
            colour = palette.DISTINCT[channel]
            lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        return "".join(lines)


def _slice(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "c h w"]:
    """Takes the image, or of a volume the slice in its middle, (channels, height, width)."""
    while values.ndim > 3:
        values = values[:, values.shape[1] // 2]
    return values


def caption(kind: Observation) -> str:
    """Says what of an observation the pictures leave out, or nothing."""
    said: Sequence[str] = {
        1: [f"the {_BARS} features that differ most are shown, of {kind.size}"] if kind.size > _BARS else [],
        2: [f"the first {len(palette.DISTINCT)} channels are shown"] if kind.shape[0] > len(palette.DISTINCT) else [],
        4: [f"the middle {kind.axes[1]} is shown"] if len(kind.shape) == 4 else [],
    }.get(len(kind.shape), [])
    return "; ".join(said)
