"""Stages, a traced forward's calls grouped into layers with the nonlinearities that follow them, however written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd as _Dropout

from vaelens.lens.calls import Call, is_layer, keeps_units
from vaelens.lens.same_tensors import storage_of

Copies = Mapping[int, tuple[Tensor, Tensor]]  # what was copied, and the copy, by the memory of the copy
NO_COPIES: Copies = MappingProxyType({})


@dataclass(eq=False)
class Stage:
    """A layer with the nonlinearities that follow it.

    Attributes:
        call: the call whose output is the stage's activation.
        source: what its layer was given.
        modules: the layer, and the modules that follow it.
    """

    call: Call
    source: Tensor | None
    modules: list[nn.Module] = field(default_factory=list)

    def extend(self, call: Call) -> None:
        """Takes in a call that follows."""
        self.call = call
        if call.module not in self.modules:
            self.modules.append(call.module)


def stages(
    calls: Sequence[Call],
    *,
    heads: Collection[Tensor] = (),
    image: Tensor | None = None,
    origins: Copies = NO_COPIES,
) -> tuple[list[Stage], list[Stage]]:
    """Groups a traced forward into stages, and sets apart those that only hand over the part's results.

    A stage opens at a layer with a weight matrix or kernel and takes in what follows it as long as the shape is
    kept (nonlinearity, normalisation, dropout) or unflattened into channels, be it a module, a function or a method.

    Args:
        calls: the calls of one part in order; those of modules that others ran in are passed over.
        heads: the part's results; a stage that only hands over one of these (the encoder's last dense layer) is
            set apart, and so is one beside it, of the same source and shape (a log-variance that is clamped after).
        image: what the decoder gives. Its last stage takes in everything that follows it up to there (a crop, the
            likelihood's sigmoid).
        origins: what was copied, so that a stage whose copy is a result hands it over too.
    """
    grouped: list[Stage] = []
    calls = [call for call in calls if call.leaf]
    for call in calls:
        if not call.functions and is_layer(call.module):
            grouped.append(Stage(call, call.source, [call.module]))
        elif grouped and _follows(call, grouped[-1].call) and not _into_tokens(call, calls):
            grouped[-1].extend(call)
        elif grouped and _drops_nothing(call, grouped[-1].call):
            grouped[-1].modules.append(call.module)
    if image is not None and grouped:
        output = grouped[-1]
        for call in calls[calls.index(output.call) + 1 :]:
            is_end = not output.call.used_once or _holds(output.call.output, image)
            if call.source is output.call.output and (call.output is call.source or not is_end):
                output.extend(call)
    storages = {memory for head in heads for memory in memories(head, origins)}
    handing_over = [stage for stage in grouped if storage_of(stage.call.output) in storages]
    shared = {id(stage.source) for stage in handing_over if stage.source is not None}
    shapes = {head.shape for head in heads}
    handing_over += [
        stage
        for stage in grouped
        if stage not in handing_over and id(stage.source) in shared and stage.call.output.shape in shapes
    ]
    return [stage for stage in grouped if stage not in handing_over], handing_over


def memories(tensor: Tensor, origins: Copies) -> list[int]:
    """Lists the memory that a tensor lies in, and those that it was copied from."""
    memory = [storage_of(tensor)]
    while memory[-1] in origins:
        memory.append(storage_of(origins[memory[-1]][0]))
    return memory


def _holds(output: Tensor, image: Tensor) -> bool:
    return storage_of(output) == storage_of(image) and output.numel() == image.numel()


def _into_tokens(call: Call, calls: Sequence[Call]) -> bool:
    """Tells whether a call turns a row of units into (n, tokens, channels) or (n, *positions, channels).

    That is what no convolution reads, or none before the axes are put in another order.
    """
    if call.source is None or not call.source.ndim == 2 < call.output.ndim:
        return False
    if call.output.ndim > 3:
        return _is_moved(call, calls)
    if call.output.shape[2] == 1:  # each unit has an axis of its own
        return False
    readers = [reader.module for reader in calls if reader.source is call.output and not reader.functions]
    return not any(isinstance(module, nn.Conv1d | nn.ConvTranspose1d) for module in readers)


def _is_moved(call: Call, calls: Sequence[Call]) -> bool:
    """Tells whether the axes of a call's output are put in another order, also after a nonlinearity."""
    after = [later for later in calls if later.source is call.output and later.output.shape == call.output.shape]
    return call.moved or any(_is_moved(later, calls) for later in after if later.output is not call.output)


def _drops_nothing(call: Call, end: Call) -> bool:
    """Tells whether a call is of a dropout that hands the stage's activation on as it is, to several readers."""
    return isinstance(call.module, _Dropout) and call.source is end.output and call.output is end.output


def _follows(call: Call, end: Call) -> bool:
    """Tells whether a call takes the activation that a stage ended with so far, and leaves its units what they are."""
    if call.source is None or call.source is not end.output or call.source_written:
        return False
    # Beside another reader of the same activation, what follows is a gate or a branch: a site is what all are given.
    # What writes over its argument gives it to all.
    if not end.used_once and not ((call.functions or call.in_place) and call.output is end.output):
        return False
    if call.functions:
        return not call.arranges
    return keeps_units(call.module, call.source, call.output, end.axis)
