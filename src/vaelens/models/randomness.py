"""Randomness of its own, from a seed, after which the global random state is as before."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def own_randomness(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Seeds the global random state, inside a `with`, for what can only draw from it, and restores it.

    Args:
        seed: what the global generators start from, inside.
        device: the device whose generator is meant besides the CPU's.

    Example:
        >>> with own_randomness(0):
        ...     first = torch.rand(1)
        >>> with own_randomness(0):
        ...     torch.equal(first, torch.rand(1))
        True
    """
    cuda = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(cuda):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reseed accelerators that are not in use
        for cuda_device in cuda:
            with torch.cuda.device(cuda_device):
                torch.cuda.manual_seed(seed)
        yield


def next_seed(generator: torch.Generator) -> int:
    """Derives a seed from the generator's state, which stays as it is.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> next_seed(generator) == next_seed(generator)
        True
    """
    ahead = torch.Generator(generator.device)
    ahead.set_state(generator.get_state())
    return int(torch.randint(2**63 - 1, (1,), generator=ahead, device=ahead.device))
