"""Rows of a part's input that are made up, where a user's few may be all the same."""

import torch
from torch import Tensor

from vaelens.observation import Observation


def two_rows(example: Tensor, observation: Observation) -> Tensor:
    """Makes up two different rows to trace a part on, within the range, or without one near the example's."""
    generator = torch.Generator().manual_seed(0)
    rows = example[torch.arange(2) % len(example)]
    noise = torch.rand(2, observation.size, generator=generator, dtype=torch.float32).to(example)
    if observation.low is not None and observation.high is not None:
        values = noise * (observation.high - observation.low) + observation.low
    else:
        values = rows.flatten(1)[:, : observation.size] * (0.5 + noise)
        values = noise if torch.equal(values[0], values[1]) else values
    context = rows.flatten(1)[:, observation.size :]
    return torch.cat([values, context], dim=1) if context.shape[1] else values.reshape(2, *observation.shape)
