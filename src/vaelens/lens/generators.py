"""Generators of random numbers that a model holds, of torch, NumPy or Python, and their states."""

import random
from typing import Any

import numpy as np
import torch


def generator_state(value: Any) -> Any:
    """Returns the state of a generator of random numbers, or None of anything else."""
    if isinstance(value, torch.Generator):
        return value.get_state()
    if isinstance(value, np.random.Generator):
        return value.bit_generator.state
    if isinstance(value, np.random.RandomState):
        return value.get_state(legacy=False)
    return value.getstate() if isinstance(value, random.Random) else None


def set_generator_state(generator: Any, state: Any) -> None:
    """Puts a generator into a state that it had."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.set_state(state)


def same_state(state: Any, other: Any) -> bool:
    """Tells whether two states of one generator are the same, so that nothing was drawn between them.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> before = generator_state(generator)
        >>> same_state(before, generator_state(generator))
        True
        >>> number = generator.integers(10)
        >>> same_state(before, generator_state(generator))
        False
    """
    if isinstance(state, dict):
        return all(same_state(part, other[name]) for name, part in state.items())
    if isinstance(state, torch.Tensor):
        return torch.equal(state, other)
    return np.array_equal(state, other) if isinstance(state, np.ndarray) else state == other
