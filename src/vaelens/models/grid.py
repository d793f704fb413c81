"""The grid that convolutions of stride 2 leave of an observation, about four positions along each axis.

A series has one axis, an image two, a volume three. The arithmetic is the same for all of them, so a series is an image
of height 1. It costs nothing; `backbone` makes the layers.
"""

import math
from dataclasses import dataclass

SMALLEST = 4  # positions along an axis, about
WIDE, NARROW = 64, 32  # channels of the later convolutions, and of the first two


@dataclass(frozen=True)
class Grid:
    """How convolutions take an observation of some sides down to a small grid, and back.

    Stage k halves an axis that is still to be halved, by a kernel of 4 with stride 2, and keeps another as it is, by a
    kernel of 3 with stride 1, or of 1 along an axis of length 1. An axis of length L is halved round(log₂(L/4)) times,
    after it was padded by zeros, as many at its end as at its beginning or one more, to the next multiple of what
    the halvings divide by.

    Attributes:
        sides: the length of each axis, without padding.

    Example:
        >>> mnist = Grid((28, 28))
        >>> mnist.sizes, mnist.padding, mnist.channels
        ((4, 4), (2, 2, 2, 2), (32, 32, 64))
        >>> Grid((100,)).sizes, Grid((100,)).padding
        ((4,), (14, 14))
    """

    sides: tuple[int, ...]

    @property
    def halvings(self) -> tuple[int, ...]:
        """How often each axis is halved."""
        return tuple(max(0, round(math.log2(side / SMALLEST))) for side in self.sides)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The length of each axis after the last stage, 1 to 6."""
        return tuple(-(-side // 2**halvings) for side, halvings in zip(self.sides, self.halvings, strict=True))

    @property
    def padding(self) -> tuple[int, ...]:
        """How many zeros come before and after each axis, the last axis first, as PyTorch has it."""
        padding: list[int] = []
        for side, size, halvings in zip(self.sides, self.sizes, self.halvings, strict=True):
            zeros = size * 2**halvings - side
            padding = [zeros // 2, zeros - zeros // 2, *padding]
        return tuple(padding)

    @property
    def channels(self) -> tuple[int, ...]:
        """The number of channels that leave each stage, 32, 32, 64, 64 … of three stages or more, 64 at the last."""
        stages = max(1, *self.halvings)
        return (NARROW,) * min(2, stages - 1) + (WIDE,) * max(1, stages - 2)

    def kernel(self, stage: int) -> dict[str, tuple[int, ...]]:
        """Returns kernel size, stride and padding of a stage's convolution, and of the transposed one in return."""
        rows = [
            (4, 2, 1) if stage < halvings else (1, 1, 0) if size == 1 else (3, 1, 1)
            for halvings, size in zip(self.halvings, self.sizes, strict=True)
        ]
        return dict(zip(("kernel_size", "stride", "padding"), zip(*rows, strict=True), strict=True))
