"""The choice among the forms of a part's layers, by rule so that the same call gives the same bits everywhere.

A form that a timing had chosen would be another one, and another rounding, now and then. The rule is what timings on
several CPUs agreed on; on an accelerator the library that computes the layers does its own choosing.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from vaelens.lens.incremental.layers import CHANNELS_LAST, LINEAR, PLAIN, SCATTERED, Layer
from vaelens.lens.incremental.steps import Program, Step
from vaelens.lens.memory import is_out_of_memory

_FEW = 4  # outputs up to which a transposed convolution is faster as one matrix product and its sums
_TRIAL = 2  # rows


def choose(program: Program, layers: Mapping[Step, Layer], inputs: Tensor) -> None:
    """Gives each layer the form that is fastest on this kind of input.

    Args:
        program: the part.
        layers: its linear layers; their forms are set.
        inputs: rows of its input.
    """
    for layer in layers.values():
        layer.form = form_of(layer, inputs)
    if all(layer.form == PLAIN for layer in layers.values()):
        return
    try:
        program.run(inputs[:_TRIAL], calls=dict(layers))
    except RuntimeError as error:  # a module of the user's may want its data in another layout
        if is_out_of_memory(error):
            raise
        for layer in layers.values():
            layer.form = PLAIN


def form_of(layer: Layer, inputs: Tensor) -> str:
    """Returns the form that a layer takes on this kind of input."""
    # In double precision PyTorch has no convolution of its own for channels last.
    if layer.kind == LINEAR or inputs.device.type != "cpu" or inputs.dtype == torch.float64:
        return PLAIN
    return SCATTERED if SCATTERED in layer.forms and layer.outputs <= _FEW else CHANNELS_LAST
