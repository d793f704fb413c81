"""A model as it was before training, with random weights inside a `with` and every bit as found afterwards.

Costs a copy of the weights. The model itself is used: functions of a user's that encode and decode know no other.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, nn

from vaelens.lens import Lens
from vaelens.models.randomness import own_randomness


@contextmanager
def untrained(lens: Lens, seed: int) -> Iterator[Lens]:
    """Gives the model under a lens new random weights.

    Every submodule that has `reset_parameters` draws its weights anew by it. Of all others, and of a codebook, the
    entries of each tensor are permuted: their sizes stay, and what was learnt is gone.

    Args:
        lens: the lens.
        seed: of the weights; the global random state is left as it was.
    """
    tensors = _tensors(lens.module)
    kept = [(tensor, tensor.detach().clone()) for tensor in tensors]
    try:
        with own_randomness(seed, lens.device), torch.no_grad():
            _randomise(lens)
        lens.engine.parts.forget_weights()
        yield lens
    finally:
        with torch.no_grad():
            for tensor, values in kept:
                tensor.copy_(values)
        lens.engine.parts.forget_weights()


def why_not_untrained(lens: Lens) -> str:
    """Says why a model can't be given other weights, nothing where it can."""
    if any(tensor.is_inference() for tensor in _tensors(lens.module)):
        return "the model was made in inference mode, in which weights can't be exchanged"
    return ""


def _tensors(module: nn.Module) -> list[Tensor]:
    """Lists parameters and buffers, each once."""
    return list({id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}.values())


def _randomise(lens: Lens) -> None:
    reset: set[int] = set()
    for child in lens.module.modules():
        if callable(method := getattr(child, "reset_parameters", None)):
            with suppress(TypeError):  # one that asks for arguments
                method()
                reset |= {id(tensor) for tensor in (*child.parameters(recurse=False), *child.buffers(recurse=False))}
    book = lens.codebook
    codes = None if book is None else book.untyped_storage().data_ptr()
    learnt = {id(tensor): tensor for tensor in lens.module.parameters()}
    learnt |= {id(tensor): tensor for tensor in lens.module.buffers() if tensor.untyped_storage().data_ptr() == codes}
    if (quantisation := lens.engine.parts.quantisation) is not None:
        ours = {id(tensor) for tensor in lens.module.buffers()}  # all others would not be put back
        learnt |= {id(tensor): tensor for tensor in quantisation.learnt if id(tensor) in ours}
    for name, tensor in learnt.items():
        if name not in reset:
            flat = tensor.detach().flatten()
            order = torch.randperm(len(flat)).to(flat.device)
            tensor.copy_(flat[order].reshape(tensor.shape))
