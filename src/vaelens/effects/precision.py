"""The measured error of a lower precision, by which a result in bf16 says how far it is from single precision."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.effects.one_sweep import one_sweep
from vaelens.lens import FP32, Batch, Lens

_FEW = 8  # images that the error is measured on

Arguments = ParamSpec("Arguments")


def with_precision(
    variable: str, images: tuple[str, ...], count: str | None = None
) -> Callable[[Callable[Arguments, xr.Dataset]], Callable[Arguments, xr.Dataset]]:
    """Makes an effect say in which precision it was computed, and, below single precision, how large the error is.

    The model's steps are compared with it when the effect begins, as it may have been changed since the last one.

    The attribute `precision_error` is the largest difference of one variable to its value in the model's own type,
    divided by its largest value, both on the first 8 images.

    Args:
        variable: which.
        images: the arguments that are images, of which a few will do.
        count: the argument that says how many images are drawn, if there is one.
    """

    def decorate(effect: Callable[Arguments, xr.Dataset]) -> Callable[Arguments, xr.Dataset]:
        swept = one_sweep(effect)

        @functools.wraps(effect)
        def measured(*args: Arguments.args, **kwargs: Arguments.kwargs) -> xr.Dataset:
            result = swept(*args, **kwargs)
            arguments = inspect.signature(effect).bind(*args, **kwargs).arguments
            lens = arguments["lens"]
            assert isinstance(lens, Lens), "an effect that has a result has a lens"
            result.attrs["precision"] = lens.precision
            if lens.precision == FP32:
                return result
            few = dict(arguments) | {"progress": False} | ({} if count is None else {count: _FEW})
            few |= {name: _first(few[name]) for name in images if name in few}
            few.pop("tolerance", None)  # which a few images could not reach
            low, high = (
                effect(**(few | {"lens": each}))[variable].values  # pyright: ignore[reportCallIssue]
                for each in (lens, lens.with_precision(FP32))
            )
            largest = np.nanmax(np.abs(high))
            result.attrs["precision_error"] = float(np.nanmax(np.abs(low - high)) / largest) if largest else 0.0
            return result

        return measured

    return decorate


def _first(images: Any) -> Any:
    """Takes a few images, or the whole of a treatment by interventions, which may have a value for every image."""
    if isinstance(images, Mapping):  # a context of several arrays
        return {name: _first(rows) for name, rows in images.items()}
    return (
        images[:_FEW]
        if isinstance(images, Tensor | np.ndarray)
        else images[slice(_FEW)]
        if isinstance(images, Batch)
        else images
    )
