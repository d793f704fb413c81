"""captum: `LayerFeatureAblation`, with the source's activation as baseline and a mask that groups each unit's values.

Its forward function returns the distance to the unpatched outcome, so that an attribution is minus the effect.
"""

import torch
from captum.attr import LayerFeatureAblation
from torch import Tensor

from benchmarks.rivals import norms
from benchmarks.rivals.hooks import activation
from benchmarks.subject import Part


def patching(part: Part, inputs: Tensor, others: Tensor) -> Tensor:
    """Mean ‖f_patched − f_base‖ of every unit, by one forward of the part for each."""
    unpatched, effects = part(inputs), []

    def distance(inputs: Tensor, unpatched: Tensor) -> Tensor:
        return norms(part(inputs) - unpatched)

    for name in part.points:
        point = part.get_submodule(name)
        given = activation(point, lambda: part(others))
        units = torch.arange(given.shape[1], device=given.device).reshape(1, -1, *[1] * (given.ndim - 2))
        attribution = LayerFeatureAblation(distance, point).attribute(
            inputs,
            layer_baselines=given,
            layer_mask=units.expand(1, *given.shape[1:]),
            additional_forward_args=unpatched,
        )
        assert isinstance(attribution, Tensor), "one layer has one attribution"
        effects.append(-attribution.flatten(2)[:, :, 0].mean(dim=0) if given.ndim > 2 else -attribution.mean(dim=0))
    return torch.cat(effects)
