"""The check that every batch of codes from outside passes before a decoder sees it."""

from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.description import name_of


def checked_codes(z: Any, shape: tuple[int, ...] | None = None) -> Tensor:
    """Returns codes as a tensor (n, d, *positions), or raises a sentence that says what is wrong with them.

    Args:
        z: a tensor, array or list.
        shape: (d, *positions) that each code must have; None accepts any.

    Raises:
        VaelensError: not an array, no code, wrong shape, NaN or infinite values.
    """
    try:
        codes = torch.as_tensor(z)
    except (TypeError, ValueError, RuntimeError) as error:
        raise VaelensError(f"codes are a {type(z).__name__}, expected a tensor or array (n, d)") from error
    if codes.ndim < 2 or len(codes) == 0 or (shape is not None and tuple(codes.shape[1:]) != shape):
        expected = "(n, d)" if shape is None else str(("n", *shape)).replace("'", "")
        raise VaelensError(f"codes have shape {tuple(codes.shape)}, expected {expected} with n of at least 1")
    if not torch.isfinite(codes).all():
        raise VaelensError("codes contain NaN or infinite values; give finite numbers")
    return codes


def has_no_codes(model: nn.Module) -> VaelensError:
    """Builds the error for where codes of a codebook are asked for of a continuous latent."""
    return VaelensError(
        f"the latent of this {name_of(model)} is continuous, so no position of it takes a code; a quantised one, such "
        "as a vq-vae's, has codes"
    )
