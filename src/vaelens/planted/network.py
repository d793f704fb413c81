"""Networks wired by hand, as dense layers or as convolutions 2×2 of stride 2, on images of 16×16.

Of a convolutional site each channel holds its number at all positions: going down the encoder takes the mean of four,
going up the decoder repeats.
"""

import math
from collections import OrderedDict

import numpy as np
import torch
from torch import Tensor, nn

from vaelens.lens import IMAGE, LATENT
from vaelens.planted.wiring import CONTRAST, LATTICES, Stage, Wiring

SIDE = 16
BACKGROUND = 0.5
PIXELS = SIDE * SIDE // LATTICES  # of a lattice
LOG_VARIANCE = -4.0  # of the posterior of a latent that is in use; 0 of a dead one


def build(
    wiring: Wiring, lattices: np.ndarray, convolutional: bool, dead: set[str]
) -> tuple[nn.Sequential, nn.Sequential]:
    """Builds encoder and decoder.

    Args:
        wiring: what they compute.
        lattices: which lattice each pixel is of, (SIDE, SIDE).
        convolutional: whether of convolutions.
        dead: the names of dead latents.
    """
    layers = _Convolutions(wiring, lattices) if convolutional else _Dense(lattices)
    encoder: OrderedDict[str, nn.Module] = OrderedDict() if convolutional else OrderedDict(flatten=nn.Flatten())
    for k, stage in enumerate(wiring.of("encoder")):
        encoder |= {f"layer{k}": layers.first(stage) if k == 0 else layers.down(stage), f"relu{k}": nn.ReLU()}
    encoder |= layers.moments(wiring.stage(LATENT), dead)
    decoder: OrderedDict[str, nn.Module] = OrderedDict()
    for k, stage in enumerate(wiring.of("decoder")):
        decoder |= layers.grid(stage) if k == 0 else {f"layer{k}": layers.up(stage), f"relu{k}": nn.ReLU()}
    decoder |= layers.output(wiring.stage(IMAGE))
    return nn.Sequential(encoder), nn.Sequential(decoder)


class _Dense:
    """The layers of a dense network."""

    def __init__(self, lattices: np.ndarray) -> None:
        self._shows = np.equal.outer(lattices.flatten(), np.arange(LATTICES))  # (pixels, lattices)

    def first(self, stage: Stage) -> nn.Module:
        """Reads the mean of each lattice's pixels."""
        weight = stage.weight @ self._shows.T * (CONTRAST / PIXELS)
        return _linear(weight, stage.bias - BACKGROUND * weight.sum(axis=1))

    def down(self, stage: Stage) -> nn.Module:
        return _linear(stage.weight, stage.bias)

    up = down

    def moments(self, stage: Stage, dead: set[str]) -> dict[str, nn.Module]:
        return {"moments": _moments(stage, 1, dead)}

    def grid(self, stage: Stage) -> dict[str, nn.Module]:
        return {"layer0": self.down(stage), "relu0": nn.ReLU()}

    def output(self, stage: Stage) -> dict[str, nn.Module]:
        weight, bias = self._shows @ stage.weight / CONTRAST, self._shows @ stage.bias / CONTRAST + BACKGROUND
        return {"output": _linear(weight, bias), "unflatten": nn.Unflatten(1, (1, SIDE, SIDE))}


class _Convolutions:
    """The layers of a convolutional network."""

    def __init__(self, wiring: Wiring, lattices: np.ndarray) -> None:
        self._cell = lattices[:2, :2]
        self._narrow = SIDE // 2 ** len(wiring.of("encoder"))  # the side of the smallest grid

    def first(self, stage: Stage) -> nn.Module:
        """Reads the pixel of each lattice in every cell."""
        weight = CONTRAST * stage.weight[:, self._cell][:, None]  # (units, 1, 2, 2)
        return _filled(nn.Conv2d(1, len(weight), 2, 2), weight, stage.bias - BACKGROUND * weight.sum(axis=(1, 2, 3)))

    def down(self, stage: Stage) -> nn.Module:
        weight = np.broadcast_to(stage.weight[:, :, None, None] / 4, (*stage.weight.shape, 2, 2))
        return _filled(nn.Conv2d(weight.shape[1], len(weight), 2, 2), weight, stage.bias)

    def up(self, stage: Stage) -> nn.Module:
        weight = np.broadcast_to(stage.weight.T[:, :, None, None], (*stage.weight.T.shape, 2, 2))
        return _filled(nn.ConvTranspose2d(len(weight), weight.shape[1], 2, 2), weight, stage.bias)

    def moments(self, stage: Stage, dead: set[str]) -> dict[str, nn.Module]:
        return {"flatten": nn.Flatten(), "moments": _moments(stage, self._narrow**2, dead)}

    def grid(self, stage: Stage) -> dict[str, nn.Module]:
        positions = self._narrow**2
        layer = _linear(np.repeat(stage.weight, positions, axis=0), np.repeat(stage.bias, positions))
        shape = (len(stage.bias), self._narrow, self._narrow)
        return {"layer0": layer, "relu0": nn.ReLU(), "unflatten": nn.Unflatten(1, shape)}

    def output(self, stage: Stage) -> dict[str, nn.Module]:
        weight = stage.weight.T[:, self._cell][:, None] / CONTRAST  # (units, 1, 2, 2)
        assert not stage.bias.any(), "one bias is all that a transposed convolution has"
        return {"output": _filled(nn.ConvTranspose2d(len(weight), 1, 2, 2), weight, np.array([BACKGROUND]))}


def _moments(stage: Stage, positions: int, dead: set[str]) -> nn.Module:
    """Builds the layer that returns means, from the mean over positions, and then constant log-variances."""
    means = np.repeat(stage.weight / positions, positions, axis=1)
    log_variances = [0.0 if name in dead else LOG_VARIANCE for name in stage.names]
    return _linear(np.concatenate([means, np.zeros_like(means)]), np.concatenate([stage.bias, log_variances]))


def _linear(weight: np.ndarray, bias: np.ndarray) -> nn.Module:
    return _filled(nn.Linear(weight.shape[1], weight.shape[0]), weight, bias)


@torch.no_grad()
def _filled(layer: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, weight: np.ndarray, bias: np.ndarray) -> nn.Module:
    assert layer.weight.shape == weight.shape, "a layer is as large as what it is wired to compute"
    assert isinstance(layer.bias, Tensor), "every layer has a bias"
    layer.weight.copy_(torch.from_numpy(np.array(weight)))
    layer.bias.copy_(torch.from_numpy(np.array(bias)))
    return layer


def lattices(convolutional: bool, rng: np.random.Generator) -> np.ndarray:
    """Assigns pixels to lattices at random, (SIDE, SIDE), alike in every cell where layers are convolutions."""
    if convolutional:
        return np.tile(rng.permutation(LATTICES).reshape(2, 2), (SIDE // 2, SIDE // 2))
    return rng.permutation(np.repeat(np.arange(LATTICES), math.prod((SIDE, SIDE)) // LATTICES)).reshape(SIDE, SIDE)
