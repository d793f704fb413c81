"""The encoder and decoder every objective is trained with, convolutional but for vectors, which have dense ones.

Each layer, nonlinearity and change of shape is a module of its own, called once a pass in order: who hooks them
sees every activation. A layer's name ends in its stage: `conv2` and `relu2` are stage 2. An image of 64×64×1
costs about 8 million multiply-adds in the encoder and as many in the decoder.
"""

import math
import operator
from collections import OrderedDict
from itertools import pairwise
from typing import Any

from torch import nn

from vaelens.arguments import whole_number
from vaelens.errors import VaelensError
from vaelens.models.grid import WIDE, Grid

IMAGE_SIDES = (8, 16, 28, 32, 64, 128)
HIDDEN = 256
MOST_FEATURES = 2**20  # of a vector
MOST_VALUES = 2**24  # of a series or volume, 256×256×256
# By the number of axes beside the channels.
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
PADDING = {1: nn.ZeroPad1d, 2: nn.ZeroPad2d, 3: nn.ZeroPad3d}


def check_image_shape(image_shape: Any) -> tuple[int, ...]:
    """Returns the shape of an image, vector, series or volume, if the backbone builds for it.

    Raises:
        VaelensError: if it does not.

    Example:
        >>> check_image_shape([3, 28, 28])
        (3, 28, 28)
        >>> check_image_shape((2, 100))
        (2, 100)
    """
    sides = IMAGE_SIDES
    expected = (
        f"expected (channels, height, width): 1 or 3 channels, square, with side {', '.join(map(str, sides))}; or "
        "(features,) of vectors, (channels, time) of series, (channels, depth, height, width) of volumes"
    )
    if isinstance(image_shape, tuple | list) and len(image_shape) == 1:
        return (whole_number("features", image_shape[0], 1, MOST_FEATURES),)
    try:
        shape = tuple(operator.index(size) for size in image_shape)
    except TypeError:
        shape = ()
    if len(shape) in (2, 4) and min(shape) > 0:
        if math.prod(shape) > MOST_VALUES:
            raise VaelensError(f"a shape of {shape} has {math.prod(shape):,} values; expected at most {MOST_VALUES:,}")
        return shape
    if len(shape) != 3:
        raise VaelensError(f"unsupported image shape {image_shape!r}; {expected}")
    channels, height, width = shape
    if channels not in (1, 3) or height != width or height not in sides:
        side = next((side for side in sides if side >= max(height, width)), sides[-1])
        cures = [f"size={side}"] if height != width or height not in sides else []
        cures += ["channels=3"] if channels not in (1, 3) else []
        raise VaelensError(
            f"unsupported image shape {shape}; {expected}: a folder of pictures takes "
            f"{' and '.join(cures)} (--dataset-option {' --dataset-option '.join(cures)}), or give encoder= and "
            "decoder= of your own, which take any shape"
        )
    return shape


def encoder(image_shape: tuple[int, ...], outputs: int, spatial: bool = False) -> nn.Sequential:
    """Builds the encoder, from images `(n, c, h, w)` to `(n, outputs)`, or, if spatial, to `(n, outputs, 4, 4)`.

    Convolutions 4×4 with stride 2, each with a ReLU; dense 256 with a ReLU; dense `outputs`: twice the number of
    latents, for the posterior's means and then its log-variances. Spatial: 1×1 convolutions in place of the dense
    layers. For a side of 64 the convolutions have 32, 32, 64, 64 channels, as published; for 8, 16, 32 and 128: (64),
    (32, 64), (32, 32, 64), (32, 32, 64, 64, 64); a side of 28 is padded to 32 with zeros.

    Series `(n, c, t)` and volumes `(n, c, d, h, w)` go through convolutions of one and of three axes likewise, down to
    a grid of 64 channels and 1 to 6 positions along each axis: see `Grid`. For vectors `(n, features)` there are two
    dense layers of 256 with ReLUs in place of the convolutions.

    References:
        Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the
        Unsupervised Learning of Disentangled Representations (2019), table 1.

    Example:
        >>> import torch
        >>> encoder((1, 28, 28), outputs=20)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 20])
        >>> encoder((1, 28, 28), outputs=64, spatial=True)(torch.zeros(5, 1, 28, 28)).shape
        torch.Size([5, 64, 4, 4])
        >>> encoder((2, 100), outputs=20)(torch.zeros(5, 2, 100)).shape
        torch.Size([5, 20])
    """
    if len(image_shape) == 1:
        return _dense(image_shape[0], HIDDEN, HIDDEN, outputs, last="moments")
    grid = Grid(image_shape[1:])
    axes = len(grid.sides)
    convolution = CONVOLUTIONS[axes]
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if any(grid.padding):
        layers["pad"] = PADDING[axes](grid.padding)
    for stage, (before, after) in enumerate(pairwise((image_shape[0], *grid.channels))):
        layers[f"conv{stage}"] = convolution(before, after, **grid.kernel(stage))
        layers[f"relu{stage}"] = nn.ReLU()
    last = len(grid.channels)
    if spatial:
        layers[f"conv{last}"] = convolution(WIDE, HIDDEN, kernel_size=1)
        layers[f"relu{last}"] = nn.ReLU()
        layers["code"] = convolution(HIDDEN, outputs, kernel_size=1)
    else:
        layers["flatten"] = nn.Flatten()
        layers[f"dense{last}"] = nn.Linear(WIDE * math.prod(grid.sizes), HIDDEN)
        layers[f"relu{last}"] = nn.ReLU()
        layers["moments"] = nn.Linear(HIDDEN, outputs)
    return nn.Sequential(layers)


def decoder(image_shape: tuple[int, ...], latent_dim: int, spatial: bool = False) -> nn.Sequential:
    """Builds the decoder, from codes `(n, d)`, or, if spatial, `(n, d, 4, 4)`, to pixels' parameters `(n, c, h, w)`.

    The encoder's mirror image: dense 256 with a ReLU, dense 4·4·64 with a ReLU, reshaped to 64×4×4 (spatial: 1×1
    convolutions to 256 and to 64 channels), then transposed convolutions 4×4 with stride 2 and ReLUs between (for a
    side of 64: 64, 32, 32, c channels). A side of 28 is cut from the middle of 32. Of series and volumes likewise. For
    vectors two dense layers of 256 with ReLUs, then the features' parameters.

    References:
        Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the
        Unsupervised Learning of Disentangled Representations (2019), table 1.

    Example:
        >>> import torch
        >>> decoder((3, 64, 64), latent_dim=10)(torch.zeros(5, 10)).shape
        torch.Size([5, 3, 64, 64])
        >>> decoder((1, 8, 20, 20), latent_dim=10)(torch.zeros(5, 10)).shape
        torch.Size([5, 1, 8, 20, 20])
    """
    if len(image_shape) == 1:
        return _dense(latent_dim, HIDDEN, HIDDEN, image_shape[0], last="features")
    grid = Grid(image_shape[1:])
    axes = len(grid.sides)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if spatial:
        convolution = CONVOLUTIONS[axes]
        layers |= {"conv0": convolution(latent_dim, HIDDEN, kernel_size=1), "relu0": nn.ReLU()}
        layers |= {"conv1": convolution(HIDDEN, WIDE, kernel_size=1), "relu1": nn.ReLU()}
    else:
        layers |= {"dense0": nn.Linear(latent_dim, HIDDEN), "relu0": nn.ReLU()}
        layers |= {"dense1": nn.Linear(HIDDEN, WIDE * math.prod(grid.sizes)), "relu1": nn.ReLU()}
        layers["unflatten"] = nn.Unflatten(1, (WIDE, *grid.sizes))
    stages = len(grid.channels)
    for stage, (before, after) in enumerate(pairwise((*grid.channels[::-1], image_shape[0])), start=2):
        layers[f"deconv{stage}"] = TRANSPOSED[axes](before, after, **grid.kernel(stages + 1 - stage))
        if stage <= stages:  # the last stage is the output: no ReLU
            layers[f"relu{stage}"] = nn.ReLU()
    if any(grid.padding):
        layers["crop"] = PADDING[axes](tuple(-zeros for zeros in grid.padding))
    return nn.Sequential(layers)


def _dense(*widths: int, last: str) -> nn.Sequential:
    """Builds dense layers of these widths, with a ReLU after each but the last, which has a name of its own."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for stage, (before, after) in enumerate(pairwise(widths[:-1])):
        layers |= {f"dense{stage}": nn.Linear(before, after), f"relu{stage}": nn.ReLU()}
    layers[last] = nn.Linear(widths[-2], widths[-1])
    return nn.Sequential(layers)
