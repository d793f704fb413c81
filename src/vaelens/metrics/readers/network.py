"""The network that reads factors off an image by convolutions that all factors share and a softmax for each factor.

An image of 64×64×1 costs about 4 million multiply-adds.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from vaelens.shapes import Images

_CHANNELS = (16, 32, 64, 64)  # of the first convolutions; further ones, of larger images, have the last number
_GRID = 4  # the convolutions halve an image until no side is longer
_HIDDEN = 256


class ReaderNetwork(nn.Module):
    """Maps images to logits over each factor's values.

    Convolutions 3×3 with stride 2 and ReLU until no side of the grid is longer than 4, of 16, 32, 64, 64 … channels;
    dense 256 with ReLU; a dense layer for each factor: about the encoders of Locatello et al. 2019, for any image size.

    Args:
        image_shape: (C, H, W).
        sizes: the number of values of each factor, by its name.

    References:
        Locatello, Bauer, Lucic, Rätsch, Gelly, Schölkopf, Bachem: Challenging Common Assumptions in the Unsupervised
        Learning of Disentangled Representations (2019).

    Example:
        >>> import torch
        >>> network = ReaderNetwork((1, 9, 5), {"shape": 3, "scale": 6})
        >>> [(name, tuple(logits.shape)) for name, logits in network(torch.zeros(2, 1, 9, 5)).items()]
        [('shape', (2, 3)), ('scale', (2, 6))]
    """

    def __init__(self, image_shape: tuple[int, ...], sizes: Mapping[str, int]) -> None:
        super().__init__()
        channels, height, width = image_shape
        layers: list[nn.Module] = []
        while max(height, width) > _GRID or not layers:
            wide = _CHANNELS[min(len(layers) // 2, len(_CHANNELS) - 1)]
            layers += [nn.Conv2d(channels, wide, kernel_size=3, stride=2, padding=1), nn.ReLU()]
            channels, height, width = wide, (height + 1) // 2, (width + 1) // 2
        self.trunk = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, _HIDDEN), nn.ReLU())
        self.heads = nn.Linear(_HIDDEN, sum(sizes.values()))
        self._sizes = dict(sizes)

    def forward(self, images: Images) -> dict[str, Tensor]:
        """Returns the logits (n, size) of each factor, by its name."""
        logits = self.heads(self.trunk(images)).split(list(self._sizes.values()), dim=1)
        return dict(zip(self._sizes, logits, strict=True))
