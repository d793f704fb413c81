"""Gaussian noise that a model draws by itself, fixed to its mean to make a hierarchical decoder deterministic."""

from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, Literal

import torch
from torch.overrides import TorchFunctionMode

from vaelens.errors import VaelensError, unknown

Noise = Literal["drawn", "mean"]
DRAWN, MEAN = NOISES = ("drawn", "mean")


def with_noise(part: Callable[..., Any], noise: str) -> Callable[..., Any]:
    """Returns a part that draws, or one whose every Gaussian draw is its mean.

    Raises:
        VaelensError: neither "drawn" nor "mean".
    """
    if noise not in NOISES:
        raise unknown("noise", noise, NOISES)
    if noise == DRAWN:
        return part

    @wraps(part)
    def without_chance(*args: Any, **kwargs: Any) -> Any:
        with _MeansOfDraws():
            return part(*args, **kwargs)

    return without_chance


def check_means(noise: str, draws: Mapping[str, bool]) -> None:
    """Refuses a part that still draws although every draw was to be its mean.

    Args:
        noise: "drawn" or "mean".
        draws: by part, whether it draws random numbers.

    Raises:
        VaelensError: it draws in a way that is not seen, or what is not Gaussian.
    """
    drawing = [part for part, does in draws.items() if does]
    if noise == MEAN and drawing:
        raise VaelensError(
            "noise='mean' is of Gaussian draws by torch.randn, torch.normal, Tensor.normal_ or torch.distributions in "
            f"Python, and the {' and the '.join(drawing)} still draws: inside TorchScript, by NumPy, from another "
            "distribution, or by dropout that stays on; give encode= and decode= that take means themselves, or leave "
            "noise= out"
        )


class _MeansOfDraws(TorchFunctionMode):
    """Puts its mean in place of every Gaussian draw, also of a distribution's, which draws by these functions."""

    def __torch_function__(
        self, func: Any, types: Iterable[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func in (torch.randn, torch.randn_like):
            options.pop("generator", None)
            return (torch.zeros if func is torch.randn else torch.zeros_like)(*args, **options)
        if func is torch.Tensor.normal_:
            return args[0].fill_(args[1] if len(args) > 1 else options.get("mean", 0.0))
        if func is torch.normal and "out" not in options:
            return _mean(*args, **options)
        return func(*args, **options)


def _mean(mean: Any, std: Any = 1.0, size: Any = None, **given: Any) -> Any:
    """Returns the means that `torch.normal` would draw about, in the shape of what it would draw."""
    given.pop("generator", None)
    return mean + 0.0 * std if size is None else torch.full(size, float(mean), **given)
