"""The bounds that its weights set to a stranger's model, so that no config makes it larger than they are."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vaelens.errors import VaelensError

_MOST_TENSORS = 100_000
_HOLES = 64  # times what a file takes on disk, that it may seem to hold


def size_of(paths: Iterable[Path]) -> int:
    """Returns the bytes of the files, and of one with holes not much more than it takes on disk."""
    sizes = [(path.stat().st_size, getattr(path.stat(), "st_blocks", None)) for path in paths]
    return sum(size if blocks is None else min(size, _HOLES * 512 * blocks) for size, blocks in sizes)


@contextmanager
def no_larger_than(size: int, folder: Path) -> Iterator[None]:
    """Stops the making of a model, inside a `with`, as soon as it has more than its weights' files could hold.

    A layer registers its weights before it fills them, so that nothing large is touched.

    Args:
        size: bytes of the files.
        folder: where they are.

    Raises:
        VaelensError: if the model grows larger.
    """
    from torch.nn.modules import module

    tensors = numbers = 0

    def count(owner: Any, name: str, added: Any) -> None:
        nonlocal tensors, numbers
        tensors += 1
        numbers += added.numel() if hasattr(added, "numel") else 0
        if numbers > 2 * size or tensors > min(size, _MOST_TENSORS):
            raise VaelensError(
                f"the config in {str(folder)!r} describes a model of more than {tensors - 1:,} layers and weights with "
                f"{numbers:,} numbers, but its weights take {size:,} bytes; they do not belong together: save it again"
            )

    hooks = [
        module.register_module_parameter_registration_hook(count),
        module.register_module_module_registration_hook(count),
        module.register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
