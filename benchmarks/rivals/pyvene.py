"""pyvene: an intervenable model for each site, with a function as intervention, run once for each unit.

The source's activation is collected once for each site: with `sources=`, every run would run the source too.
"""

from types import SimpleNamespace

import pyvene
import torch
from torch import Tensor

from benchmarks.rivals import norms
from benchmarks.subject import Part


def patching(part: Part, inputs: Tensor, others: Tensor) -> Tensor:
    """Mean ‖f_patched − f_base‖ of every unit, by one forward of the part for each."""
    part.config = SimpleNamespace(to_dict=dict)  # what it asks of a model that it does not know
    unpatched, effects, chosen = part(inputs), [], {"unit": 0}
    for name in part.points:
        collecting = pyvene.IntervenableModel(
            [{"component": f"{name}.output", "intervention": pyvene.CollectIntervention()}], model=part
        )
        given = collecting(base={"inputs": others})[0][1][0]

        def patch(base: Tensor, source: Tensor | None, given: Tensor = given) -> Tensor:
            base[:, chosen["unit"]] = given[:, chosen["unit"]]
            return base

        patching = pyvene.IntervenableModel([{"component": f"{name}.output", "intervention": patch}], model=part)
        for unit in range(given.shape[1]):
            chosen["unit"] = unit
            patched = patching(base={"inputs": inputs})[1]
            effects.append(norms(patched - unpatched).mean())
    return torch.stack(effects)
