"""Stages, a traced forward's calls grouped into layers with the nonlinearities that follow them, however written."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd as _Dropout

from vaelens.lens.calls import Call, is_layer, keeps_units


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
    calls: Sequence[Call], *, heads: Collection[Tensor] = (), last_is_output: bool = False
) -> tuple[list[Stage], list[Stage]]:
    """Groups a traced forward into stages, and sets apart those that only hand over the part's results.

    A stage opens at a layer with a weight matrix or kernel and takes in what follows it as long as the shape is
    kept (nonlinearity, normalisation, dropout) or unflattened into channels, be it a module, a function or a method.

    Args:
        calls: the calls of one part in order; those of modules that others ran in are passed over.
        heads: the part's results; a stage that only hands over one of these (the encoder's last dense layer) is
            set apart, and so is one beside it, of the same source and shape (a log-variance that is clamped after).
        last_is_output: the last stage takes in everything that follows it (a crop, the likelihood's sigmoid).
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
    if last_is_output and grouped:
        output = grouped[-1]
        for call in calls[calls.index(output.call) + 1 :]:
            if call.source is output.call.output:
                output.extend(call)
    storages = {head.untyped_storage()._cdata for head in heads}  # of a stand-in, too, which has no data
    handing_over = [stage for stage in grouped if stage.call.output.untyped_storage()._cdata in storages]
    shared = {id(stage.source) for stage in handing_over if stage.source is not None}
    shapes = {head.shape for head in heads}
    handing_over += [
        stage
        for stage in grouped
        if stage not in handing_over and id(stage.source) in shared and stage.call.output.shape in shapes
    ]
    return [stage for stage in grouped if stage not in handing_over], handing_over


def _into_tokens(call: Call, calls: Sequence[Call]) -> bool:
    """Tells whether a call turns a row of units into (n, tokens, channels), which no convolution reads."""
    if call.source is None or not call.source.ndim == 2 < call.output.ndim == 3:
        return False
    readers = [reader.module for reader in calls if reader.source is call.output and not reader.functions]
    return not any(isinstance(module, nn.Conv1d | nn.ConvTranspose1d) for module in readers)


def _drops_nothing(call: Call, end: Call) -> bool:
    """Tells whether a call is of a dropout that hands the stage's activation on as it is, to several readers."""
    return isinstance(call.module, _Dropout) and call.source is end.output and call.output is end.output


def _follows(call: Call, end: Call) -> bool:
    """Tells whether a call takes the activation that a stage ended with so far, and leaves its units what they are."""
    if call.source is None or call.source is not end.output:
        return False
    # Beside another reader of the same activation, what follows is a gate or a branch: a site is what all are given.
    # What writes over its argument gives it to all.
    if not end.used_once and not ((call.functions or call.in_place) and call.output is end.output):
        return False
    return bool(call.functions) or keeps_units(call.module, call.source, call.output, end.axis)
