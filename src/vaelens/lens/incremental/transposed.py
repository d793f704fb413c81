"""Transposed convolutions as one matrix product and its sums, which is faster where outputs are few.

The result is equal but for rounding. With stride s and a kernel of s · m taps, out[s·u + r − p] =
Σ_t in[u − t] w[r + s·t]. Each remainder r is a convolution with m taps of its own, a phase of the output. One product
gives all in[v] w[r + s·t]; their sums are the phases, which are interleaved, and p is cut off.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Prepared = tuple[Tensor, Tensor | None]  # weights, (outputs · (s·m)², inputs), and bias


@dataclass(frozen=True)
class Splitting:
    """How a transposed convolution falls into phases.

    Attributes:
        outputs: channels of the output.
        stride: s, along both axes.
        taps: m, of each phase along both axes.
        cut: p, along each axis.
        extra: rows or columns of the output at the far end of each axis that would else be cut off.
    """

    outputs: int
    stride: int
    taps: int
    cut: tuple[int, int]
    extra: tuple[int, int]

    def prepared(self, weight: Tensor, bias: Tensor | None) -> Prepared:
        """Lays out weights, (inputs, outputs, s·m, s·m), as the product wants them, and returns them with the bias."""
        weight = weight.detach()
        return weight.reshape(len(weight), -1).t().contiguous(), bias

    def apply(self, data: Tensor, prepared: Prepared) -> Tensor:
        """Maps data (n, inputs, h, w), channels last, to (n, outputs, height, width)."""
        return self._interleaved(self._summed(data, *prepared), data)

    def _summed(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Computes the phases, (n, outputs, s, s, h + m − 1, w + m − 1)."""
        s, m, (height, width) = self.stride, self.taps, data.shape[2:]
        flat = data.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2)  # (n, inputs, h · w), not copied
        # Of one matrix with many, matmul would make one product, and copy it to turn its axes.
        products = torch.bmm(weight.expand(len(data), -1, -1), flat)
        products = products.view(-1, self.outputs, m, s, m, s, height, width).transpose(3, 4)
        precise = torch.promote_types(products.dtype, torch.float32)
        shape = (len(data), self.outputs, s, s, height + m - 1, width + m - 1)
        if bias is None:
            phases = products.new_zeros(shape, dtype=precise)
        else:
            phases = bias.to(precise).view(-1, 1, 1, 1, 1).expand(shape).contiguous()
        for a in range(m):
            for b in range(m):
                phases[..., a : a + height, b : b + width] += products[:, :, a, b]
        return phases.to(products.dtype)

    def _interleaved(self, phases: Tensor, data: Tensor) -> Tensor:
        """Interleaves phases into the output, of which row s·u + r − p is row u of phase r."""
        height, width = self._size(data)
        layout = torch.contiguous_format if self.outputs == 1 else torch.channels_last
        whole = torch.empty(
            (len(data), self.outputs, height, width), dtype=phases.dtype, device=phases.device, memory_format=layout
        )
        for r in range(self.stride):
            rows, up = _phase(r, self.stride, self.cut[0], height)
            for t in range(self.stride):
                columns, along = _phase(t, self.stride, self.cut[1], width)
                whole[:, :, rows, columns] = phases[:, :, r, t, up, along]
        return whole

    def _size(self, data: Tensor) -> tuple[int, int]:
        """Computes height and width of the output."""
        height, width = (
            (side + self.taps - 1) * self.stride - 2 * cut + extra
            for side, cut, extra in zip(data.shape[2:], self.cut, self.extra, strict=True)
        )
        return height, width


def splitting(weight: Tensor, options: Mapping[str, Any]) -> Splitting | None:
    """Finds how a transposed convolution with these weights and options falls into phases. None where it does not."""
    strides, dilations, cut, extra = (_pair(options[of]) for of in ("stride", "dilation", "padding", "output_padding"))
    rows, columns = weight.shape[2:]
    square = strides[0] == strides[1] > 1 and rows == columns and rows % strides[0] == 0
    plain = dilations == (1, 1) and options["groups"] == 1
    if not (square and plain and all(more <= less for more, less in zip(extra, cut, strict=True))):
        return None
    return Splitting(weight.shape[1], strides[0], rows // strides[0], cut, extra)


def _phase(remainder: int, stride: int, cut: int, size: int) -> tuple[slice, slice]:
    """Finds which of `size` rows of the output a phase gives, and from which of its own."""
    first = -(-(cut - remainder) // stride)  # the first row of the phase that is not cut off
    start = first * stride + remainder - cut
    return slice(start, size, stride), slice(first, first + len(range(start, size, stride)))


def _pair(value: Any) -> tuple[int, int]:
    values = (value,) * 2 if isinstance(value, int) else tuple(value)
    return (values[0], values[-1])
