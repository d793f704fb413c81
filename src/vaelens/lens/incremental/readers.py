"""The readers of a step, which are the linear layers that alone are given its value, as matrices of its units.

What such a matrix does not see of an activation, nothing behind the step sees.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from vaelens.lens.incremental.downstream import reshapes
from vaelens.lens.incremental.layers import LINEAR, TRANSPOSED, Layer
from vaelens.lens.incremental.observation import Observed, is_by_shape
from vaelens.lens.incremental.steps import Step, references

_PASSING = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)  # of which a model in eval mode is made


def readers(known: Observed, source: Step, layers: Mapping[Step, Layer]) -> list[Tensor] | None:
    """Returns the layers that read a step's value as matrices (outputs, units), or None where anything else reads it.

    Of a convolution the outputs are every channel at every place of its kernel, of a layer behind a flattening every
    neuron at every position: what such a matrix takes to 0 does nothing wherever in the image it is.

    Args:
        known: the part.
        source: the step, of a value (n, units, *positions).
        layers: the linear layers.
    """
    if source in references(known.program.result) or source not in known.shapes:
        return None
    units, matrices = known.shapes[source][0], []
    pending = [source]
    while pending:
        step = pending.pop()
        for reader in known.program.steps:
            if step not in reader.inputs or is_by_shape(reader) or not known.floats[reader]:
                continue
            matrix = _matrix(reader, step, layers, known.shapes.get(step), units)
            if matrix is not None:
                matrices.append(matrix)
            elif reshapes(known, reader, source) or type(reader.module) in _PASSING:
                pending.append(reader)
            else:
                return None
    return matrices or None


def _matrix(
    reader: Step, step: Step, layers: Mapping[Step, Layer], shape: tuple[int, ...] | None, units: int
) -> Tensor | None:
    """Returns the matrix (outputs, units) of a layer that is given a step's value, or None for anything else."""
    layer = layers.get(reader)
    if layer is not None and layer.data is step:
        weight, transposed, groups = layer.weight(), layer.kind == TRANSPOSED, layer.options.get("groups", 1)
        if layer.kind == LINEAR and shape is not None and len(shape) > 1:
            return None  # of tokens, whose units are counted elsewhere
    elif isinstance(reader.module, _ConvNd) and reader.args and reader.args[0] is step:
        weight, groups = reader.module.weight, reader.module.groups
        transposed = isinstance(reader.module, _ConvTransposeNd)
    else:
        return None
    weight = weight.detach().cpu().double()
    if weight.ndim == 2:
        by_unit = weight.reshape(len(weight), units, -1).movedim(1, -1)  # (outputs, positions, units)
        return by_unit.reshape(-1, units)
    taps = weight.flatten(2)  # (outputs or units, units or outputs of a group, places)
    by_unit = taps.permute(1, 2, 0) if transposed else taps.permute(0, 2, 1)
    if groups == 1:
        return by_unit.reshape(-1, units)
    if transposed:  # every unit is read by the outputs of its own group
        own = torch.arange(units) // (units // groups) == torch.arange(groups)[:, None]
        return (by_unit[None] * own[:, None, None]).reshape(-1, units)
    matrix = torch.zeros(*by_unit.shape[:2], units, dtype=weight.dtype)
    width, block = units // groups, len(by_unit) // groups
    for group in range(groups):
        rows, columns = slice(group * block, (group + 1) * block), slice(group * width, (group + 1) * width)
        matrix[rows, :, columns] = by_unit[rows]
    return matrix.reshape(-1, units)
