"""Stages: a traced forward's calls grouped into layers with the nonlinearities that follow them, however written."""

from collections.abc import Collection, Sequence

from torch import Tensor, nn

from vaelens.lens.calls import Call, is_layer, keeps_units


def stages(calls: Sequence[Call], *, heads: Collection[Tensor] = (), last_is_output: bool = False) -> list[Call]:
    """Group a traced forward into stages and return for each the call whose output is the stage's activation.

    A stage opens at a layer with a weight matrix or kernel and takes in what follows it as long as the shape is
    kept (nonlinearity, normalisation, dropout) or unflattened into channels, be it a module, a function or a method.

    Args:
        calls: the calls of one part in order; those of modules that others ran in are passed over.
        heads: the part's results; a stage that only hands over one of these (the encoder's last dense layer) is
            left out, and so is one beside it, of the same source and shape (a log-variance that is clamped after).
        last_is_output: the last stage takes in everything that follows it (a crop, the likelihood's sigmoid).
    """
    ends: list[Call] = []  # of each stage so far
    sources: list[Tensor | None] = []  # what each stage's layer was given
    calls = [call for call in calls if call.leaf]
    for call in calls:
        if not call.functions and is_layer(call.module):
            ends.append(call)
            sources.append(call.source)
        elif ends and _follows(call, ends[-1]) and not _into_tokens(call, calls):
            ends[-1] = call
    if last_is_output and ends:
        for call in calls[calls.index(ends[-1]) + 1 :]:
            if call.source is ends[-1].output:
                ends[-1] = call
    storages = {head.untyped_storage()._cdata for head in heads}  # of a stand-in, too, which has no data
    are_heads = [call.output.untyped_storage()._cdata in storages for call in ends]
    shared = {id(source) for source, head in zip(sources, are_heads, strict=True) if head and source is not None}
    shapes = {head.shape for head in heads}
    return [
        call
        for call, source, head in zip(ends, sources, are_heads, strict=True)
        if not head and not (id(source) in shared and call.output.shape in shapes)
    ]


def _into_tokens(call: Call, calls: Sequence[Call]) -> bool:
    """Whether a call turns a row of units into (n, tokens, channels), which no convolution reads."""
    if call.source is None or not call.source.ndim == 2 < call.output.ndim == 3:
        return False
    readers = [reader.module for reader in calls if reader.source is call.output and not reader.functions]
    return not any(isinstance(module, nn.Conv1d | nn.ConvTranspose1d) for module in readers)


def _follows(call: Call, end: Call) -> bool:
    """Whether a call takes the activation that a stage ended with so far, and leaves its units what they are."""
    if call.source is None or call.source is not end.output:
        return False
    if call.functions:  # beside another reader of the same activation, a function is a gate or a branch
        return end.used_once or call.output is end.output
    return keeps_units(call.module, call.source, call.output, end.axis)
