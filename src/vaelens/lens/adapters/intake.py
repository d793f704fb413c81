"""The intake of an autoencoder, which is images, clips or waveforms by the kind of its first convolution."""

from dataclasses import dataclass
from typing import Any

from torch import nn

from vaelens.errors import VaelensError
from vaelens.observation import Observation

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_CHANNELS = ("in_channels", "input_channels", "audio_channels", "num_channels", "out_channels")  # in a config
_OF_SOUND = ("mel_bins", "num_mels", "sampling_rate", "sample_rate")


@dataclass(frozen=True)
class Intake:
    """What a model takes.

    Attributes:
        axes: how many there are besides the channels: 1 of waveforms, 2 of images, 3 of clips.
        channels: numbers of channels that it may take, the likeliest first.
        signed: whether the model has values in [-1, 1] that are in [0, 1] outside.
    """

    axes: int
    channels: tuple[int, ...]
    signed: bool

    def observation(self, shape: tuple[int, ...]) -> Observation:
        """Describes an observation of a shape, (channels, *sizes)."""
        if self.axes == 1:
            return Observation.series(shape, -1.0, 1.0, noun="waveforms")
        if self.axes == 2:
            return Observation.image(shape)
        return Observation.volume(shape, 0.0, 1.0, noun="clips", axes=("frame", "height", "width"))


def intakes(model: Any) -> list[Intake]:
    """Lists what an autoencoder of diffusers may take, by the kind of its first convolution, then of its others.

    Raises:
        VaelensError: it has no convolution, or takes spectrograms.
    """
    encoder = getattr(model, "encoder", None)
    whole = encoder if isinstance(encoder, nn.Module) else model
    convolutions = [module for module in whole.modules() if isinstance(module, _CONVOLUTIONS)]
    instead = "give encode=, decode= and example="
    if not convolutions:
        raise VaelensError(f"this {type(model).__name__} has no convolution that says what it takes; {instead}")
    config, first = model.config, convolutions[0]
    kinds = list(dict.fromkeys(len(convolution.kernel_size) for convolution in convolutions))
    kinds += [3] if kinds == [2] else []  # a model may take clips frame by frame
    if "mel_bins" in config or (kinds[0] == 2 and any(name in config for name in _OF_SOUND)):
        raise VaelensError(f"this {type(model).__name__} takes spectrograms, whose range it does not state; {instead}")
    channels = [config[name] for name in _CHANNELS if isinstance(config.get(name), int)]
    if isinstance(patch := config.get("patch_size"), int):  # the model folds patches into channels
        channels += [count // patch**2 for count in channels if count % patch**2 == 0]
    several = tuple(dict.fromkeys([*channels, first.in_channels]))
    normalises = "encoder_norm_mean" in config  # images, which it then takes in [0, 1]
    return [Intake(axes, several, axes > 1 and not normalises) for axes in kinds]
