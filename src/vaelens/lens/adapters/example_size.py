"""The size of an example, the first likely one that a model encodes and decodes to the same shape.

Nothing is computed: tensors without numbers go through the model, at the cost of its Python code.
"""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses import fake_tensor

from vaelens.errors import VaelensError
from vaelens.lens.adapters.intake import Intake
from vaelens.lens.isolation import isolated

_IMAGE_SIDE = 64
_LONGEST = 2**14  # samples of a waveform
_Part = Callable[[Any], Any]


def example_shape(model: Any, encode: _Part, decode: _Part, kinds: Sequence[Intake]) -> tuple[Intake, tuple[int, ...]]:
    """Finds what a model takes and the shape of an example, (channels, *sizes).

    The shape is the first likely one that comes back as it went in. Where none does, it is the likeliest: it may be
    that only other sizes go, which a user knows.

    Args:
        model: the model.
        encode: what the model takes to a code, or mean and log-variance.
        decode: codes to the same.
        kinds: what the model may take, the likeliest first.

    Raises:
        VaelensError: encode or decode refuses what it is given or what comes of it, or is given too little.
    """
    likely = [
        (kind, (channels, *sizes)) for kind in kinds for channels in kind.channels for sizes in _sizes(model, kind.axes)
    ]
    lacking: dict[Intake, tuple[int, ...]] = {}
    for kind, shape in likely:
        if kind in lacking:
            continue
        try:
            with _without_numbers():
                returned = _returned(model, encode, decode, shape)
        except VaelensError:
            raise
        except (TypeError, NotImplementedError):  # no matter of size
            lacking[kind] = shape
        except Exception:  # a model's code may do anything with a size that it is not made for
            continue
        else:
            if returned == shape:
                return kind, shape
    for kind, shape in lacking.items():
        _check_alone(model, encode, decode, kind, shape)
    return likely[0]  # what does not fit is said where sites are found, unless a user's example does


def _check_alone(model: Any, encode: _Part, decode: _Part, kind: Intake, shape: tuple[int, ...]) -> None:
    """Refuses a model that does not run on what it takes and codes alone.

    Raises:
        VaelensError: it does not.
    """
    try:
        _returned(model, encode, decode, shape)
    except (TypeError, NotImplementedError) as error:
        raise VaelensError(
            f"this {type(model).__name__} does not run on {kind.observation(shape).noun} and codes alone "
            f"({type(error).__name__}: {' '.join(str(error).split())[:160]}); give encode= and decode= that hand it "
            "what it needs besides"
        ) from error
    except VaelensError:
        raise
    except Exception:  # of its size
        return


def _returned(model: Any, encode: _Part, decode: _Part, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Returns the shape of what an observation of a shape is decoded to, without the axis of observations."""
    weight = next(model.parameters())
    with isolated(model):
        code = encode(torch.zeros(1, *shape, dtype=weight.dtype, device=weight.device))
        return tuple(decode(code[0] if isinstance(code, tuple) else code).shape[1:])


@contextmanager
def _without_numbers() -> Iterator[None]:
    """Makes tensors shapes alone inside a `with`, in which PyTorch does not log what does not fit."""
    log = logging.getLogger(fake_tensor.__name__)
    disabled, log.disabled = log.disabled, True
    try:
        with fake_tensor.FakeTensorMode(allow_non_fake_inputs=True):
            yield
    finally:
        log.disabled = disabled


def _sizes(model: Any, axes: int) -> Iterator[tuple[int, ...]]:
    """Yields likely sizes of an observation without its channels, the likeliest first."""
    if axes == 1:
        hop = _stated(model, "hop_length", "hop_size", "downsampling_ratio")
        for rates in (model.config.get(name) for name in ("encoder_rates", "downsampling_ratios")):
            hop = hop or (math.prod(rates) if rates else None)
        yield from ([(2 * hop,), (hop,), (4 * hop,)] if hop else [])
        yield from ((2**power,) for power in range(5, _LONGEST.bit_length()))
        return
    ratio = _stated(model, "spatial_compression_ratio", "scale_factor_spatial") or 8
    sides = [2 * ratio, 4 * ratio, ratio, 8 * ratio]
    if axes == 2:
        one = _stated(model, "decoder_image_size", "image_size")
        if one:
            yield one, one
        side = max(ratio, min(_stated(model, "sample_size") or _IMAGE_SIDE, _IMAGE_SIDE))
        yield from ((size, size) for size in dict.fromkeys([side, _IMAGE_SIDE, *sides, 224, 256]))
        return
    in_time = _stated(model, "temporal_compression_ratio", "scale_factor_temporal") or 4
    frames = [in_time + 1, 2 * in_time + 1, 2 * in_time, 4 * in_time, 1]  # causal models want k · ratio + 1
    yield from ((count, side, side) for side in sides for count in frames)


def _stated(model: Any, *names: str) -> int | None:
    """Returns the first of some sizes that a model states, as an attribute or in its config, or None."""
    for name in names:
        for value in (vars(model).get(name), model.config.get(name)):
            if isinstance(value, int | float) and value >= 1:
                return int(value)
    return None
