"""The convolutional encoder and decoder every objective is trained with.

Each layer, nonlinearity and change of shape is a module of its own, called once a pass in order: who hooks them
sees every activation. A layer's name ends in its stage: `conv2` and `relu2` are stage 2. An image of 64×64×1
costs about 8 million multiply-adds in the encoder and as many in the decoder.
"""

import math
import operator
from collections import OrderedDict
from typing import Any

from torch import nn

from vaelens.errors import VaelensError

# Side of the (padded) image -> channels of the encoder's convolutions. Each halves the side, down to a 4×4 grid.
CONV_CHANNELS = {
    8: (64,),
    16: (32, 64),
    32: (32, 32, 64),
    64: (32, 32, 64, 64),
    128: (32, 32, 64, 64, 64),
}
PADDING = {28: 2}  # zeros on each side: MNIST's 28 becomes 32
GRID = (64, 4, 4)  # what the convolutions leave of an image
HIDDEN = 256


def check_image_shape(image_shape: Any) -> tuple[int, int, int]:
    """The shape (channels, height, width), if the backbone builds for it.

    Raises:
        VaelensError: if it does not.

    Example:
        >>> check_image_shape([3, 28, 28])
        (3, 28, 28)
    """
    sides = sorted([*CONV_CHANNELS, *PADDING])
    expected = f"expected (channels, height, width): 1 or 3 channels, square, with side {', '.join(map(str, sides))}"
    try:
        channels, height, width = (operator.index(size) for size in image_shape)
    except (TypeError, ValueError):
        raise VaelensError(f"unsupported image shape {image_shape!r}; {expected}") from None
    if channels not in (1, 3) or height != width or height not in sides:
        raise VaelensError(f"unsupported image shape {(channels, height, width)}; {expected}")
    return channels, height, width


def encoder(image_shape: tuple[int, int, int], latent_dim: int) -> nn.Sequential:
    """The encoder: images `(n, c, h, w)` to the posterior's moments `(n, 2 d)`, means first, then log-variances.

    Convolutions 4×4 with stride 2, each with a ReLU; dense 256 with a ReLU; dense 2d. For a side of 64 the
    convolutions have 32, 32, 64, 64 channels, as published; for 8, 16, 32 and 128: (64), (32, 64), (32, 32, 64),
    (32, 32, 64, 64, 64); a side of 28 is padded to 32 with zeros.

    References:
        Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the
        Unsupervised Learning of Disentangled Representations (2019), table 1.

    Example:
        >>> import torch
        >>> encoder((1, 28, 28), latent_dim=10)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 20])
    """
    channels, side, _ = image_shape
    padding = PADDING.get(side, 0)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if padding:
        layers["pad"] = nn.ZeroPad2d(padding)
    stages = CONV_CHANNELS[side + 2 * padding]
    for stage, (before, after) in enumerate(zip((channels, *stages), stages, strict=False)):
        layers[f"conv{stage}"] = nn.Conv2d(before, after, kernel_size=4, stride=2, padding=1)
        layers[f"relu{stage}"] = nn.ReLU()
    last = len(stages)
    layers["flatten"] = nn.Flatten()
    layers[f"dense{last}"] = nn.Linear(math.prod(GRID), HIDDEN)
    layers[f"relu{last}"] = nn.ReLU()
    layers["moments"] = nn.Linear(HIDDEN, 2 * latent_dim)
    return nn.Sequential(layers)


def decoder(image_shape: tuple[int, int, int], latent_dim: int) -> nn.Sequential:
    """The decoder: codes `(n, d)` to the likelihood's parameters, one a pixel, `(n, c, h, w)`.

    The encoder's mirror image: dense 256 with a ReLU, dense 4·4·64 with a ReLU, reshaped to 64×4×4, then transposed
    convolutions 4×4 with stride 2 and ReLUs between (for a side of 64: 64, 32, 32, c channels). A side of 28 is
    cut from the middle of 32.

    References:
        Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the
        Unsupervised Learning of Disentangled Representations (2019), table 1.

    Example:
        >>> import torch
        >>> decoder((3, 64, 64), latent_dim=10)(torch.zeros(5, 10)).shape
        torch.Size([5, 3, 64, 64])
    """
    channels, side, _ = image_shape
    padding = PADDING.get(side, 0)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        dense0=nn.Linear(latent_dim, HIDDEN),
        relu0=nn.ReLU(),
        dense1=nn.Linear(HIDDEN, math.prod(GRID)),
        relu1=nn.ReLU(),
        unflatten=nn.Unflatten(1, GRID),
    )
    stages = CONV_CHANNELS[side + 2 * padding][::-1]
    outputs = (*stages[1:], channels)
    for stage, (before, after) in enumerate(zip(stages, outputs, strict=True), start=2):
        layers[f"deconv{stage}"] = nn.ConvTranspose2d(before, after, kernel_size=4, stride=2, padding=1)
        if stage <= len(stages):  # the last stage is the output: no ReLU
            layers[f"relu{stage}"] = nn.ReLU()
    if padding:
        layers["crop"] = nn.ZeroPad2d(-padding)
    return nn.Sequential(layers)
