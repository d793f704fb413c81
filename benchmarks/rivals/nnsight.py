"""nnsight: one trace for each unit, which writes into a module's output.

Several units in one trace, an invoke for each, are not offered for a module of one's own: `NNsight` batches no inputs.
"""

import torch
from nnsight import NNsight
from torch import Tensor

from benchmarks.rivals import norms
from benchmarks.subject import Part


def patching(part: Part, inputs: Tensor, others: Tensor) -> Tensor:
    """Mean ‖f_patched − f_base‖ of every unit, by one forward of the part for each."""
    model, effects = NNsight(part), []
    with model.trace(inputs):
        unpatched = model.output.save()
    for name in part.points:
        point = model.get(name)
        with model.trace(others):
            given = point.output.save()
        for unit in range(given.shape[1]):
            with model.trace(inputs):
                point.output[:, unit] = given[:, unit]
                patched = model.output.save()
            effects.append(norms(patched - unpatched).mean())
    return torch.stack(effects)


def skipping(part: Part, inputs: Tensor, others: Tensor) -> Tensor:
    """The same, but no module up to the unit's runs: `skip` puts the patched activation in their place."""
    model, effects = NNsight(part), []
    layers = model.get(f"vae.{part.name}")
    with model.trace(inputs):
        unpatched = model.output.save()
    for name in part.points:
        point = model.get(name)
        order = [path for path, _ in part.get_submodule(f"vae.{part.name}").named_children()]
        upstream = [layers.get(path) for path in order[: order.index(name.rpartition(".")[2])]]
        with model.trace(inputs):
            present = point.output.save()
        with model.trace(others):
            given = point.output.save()
        for unit in range(given.shape[1]):
            edited = present.clone()
            edited[:, unit] = given[:, unit]
            with model.trace(inputs):
                for module in upstream:
                    module.skip(edited)
                point.skip(edited)
                patched = model.output.save()
            effects.append(norms(patched - unpatched).mean())
    return torch.stack(effects)
