"""The parts that a model is made of where the user gives none, and the check of what goes into a part."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.models import backbone
from vaelens.models.catalogue import Objective
from vaelens.models.counts import Log1p
from vaelens.models.hyperparameters import Value
from vaelens.models.own_modules import STANDARD
from vaelens.models.quantiser import Quantiser


def standard_parts(
    objective: Objective,
    image_shape: tuple[int, ...],
    latent_dim: int,
    hyperparameters: Mapping[str, Value],
    modules_from: Mapping[str, str],
    counts: bool = False,
) -> dict[str, nn.Module]:
    """Makes those parts of a model that are ours, with weights from the global random state.

    An encoder of counts begins with log(1 + x).
    """
    parts: dict[str, nn.Module] = {}
    if modules_from["encoder"] == STANDARD:
        outputs = latent_dim if objective.quantised else 2 * latent_dim
        encoder = backbone.encoder(image_shape, outputs, spatial=objective.quantised)
        if counts:
            encoder = nn.Sequential(OrderedDict(log=Log1p(), **dict(encoder.named_children())))
        parts["encoder"] = encoder
    if objective.quantised:
        codes, decay, revival = (hyperparameters[name] for name in ("codes", "decay", "revival"))
        parts["quantiser"] = Quantiser(int(codes), latent_dim, float(decay), float(revival))
    if modules_from["decoder"] == STANDARD:
        parts["decoder"] = backbone.decoder(image_shape, latent_dim, spatial=objective.quantised)
    return parts


def check_tensor(tensor: Any, shape: tuple[int, ...], what: str, dtype: torch.dtype | None) -> None:
    """Refuses what a part does not take.

    Args:
        tensor: what is given.
        shape: what each row is to be.
        what: what it is called.
        dtype: the type of the part's weights, None where any will do.

    Raises:
        VaelensError: if it is no tensor of floats, or of another shape or type.
    """
    expected = f"expected a floating-point tensor (n, {', '.join(map(str, shape))})"
    if not isinstance(tensor, Tensor):
        raise VaelensError(f"{what} of type {type(tensor).__name__}; {expected}")
    if not tensor.is_floating_point() or tensor.shape[1:] != shape:
        raise VaelensError(f"{what} are {tensor.dtype} of shape {tuple(tensor.shape)}; {expected}")
    if dtype not in (None, tensor.dtype) and not torch.is_autocast_enabled(tensor.device.type):
        raise VaelensError(f"{what} are {tensor.dtype}, the model's weights {dtype}; give {what}.to({dtype})")
