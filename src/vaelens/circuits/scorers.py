"""Scorers of how much of a factor's effect on the image each unit carries, by which a search orders units.

All have one signature; a new scorer is a function and a line in `SCORERS`.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from jaxtyping import Float

from vaelens.circuits.circuit_runs import CircuitRuns, fractions
from vaelens.circuits.gradients import gradients
from vaelens.errors import VaelensError

STEPS = 8  # of the path of integrated gradients

Scores = Float[np.ndarray, " units"]


def exact(runs: CircuitRuns, seed: int) -> Scores:
    """Patches every unit by itself, one run for each unit and pair.

    A unit's score is what setting it to the source's value brings about in the base's run and what holding it at the
    base's takes away from the source's run, on average. A unit that is needed together with others shows in the
    second, one of which others are substitutes in the first.
    """
    into_base, out_of_source = (fractions(runs.patched(into), runs.totals) for into in (False, True))
    return (into_base + out_of_source) / 2


def attribution(runs: CircuitRuns, seed: int) -> Scores:
    """Multiplies gradient and difference, Σ ∂<Y, Y(x') − Y(x)>/∂a · (a' − a), by one backward pass of the base's run.

    References:
        Attribution patching: activation patching at industrial scale (Nanda, 2023).
    """
    return _attributed(runs, [0.0])


def integrated_attribution(runs: CircuitRuns, seed: int) -> Scores:
    """Averages the gradients of attribution over 8 images on the straight way from base to source.

    References:
        Axiomatic attribution for deep networks (Sundararajan, Taly, Yan, 2017). Have faith in faithfulness: going
        beyond circuit overlap when finding model mechanisms (Hanna, Pezzelle, Belinkov, 2024).
    """
    return _attributed(runs, [(step + 0.5) / STEPS for step in range(STEPS)])


def random(runs: CircuitRuns, seed: int) -> Scores:
    """Samples scores uniformly from [0, 1], a baseline for every other scorer."""
    return np.random.default_rng(seed).random(len(runs.table))


def _attributed(runs: CircuitRuns, steps: list[float]) -> Scores:
    if runs.lens.quantised:
        raise VaelensError(
            "attribution follows gradients, and none pass a quantised latent; use scorer='exact' on this lens"
        )
    scores = np.zeros(len(runs.table))
    for rows, base, source in runs.activations():
        direction = source.image - base.image
        for step in steps:
            images = base.images + step * (source.images - base.images)
            by_site = gradients(runs.lens, images, direction, first_row=rows.start)
            for site, span in runs.table.spans():
                product = by_site[site].gradient * (source.activation(site) - base.activation(site))
                scores[span] += product.transpose(0, 1).flatten(1).sum(dim=1).double().cpu().numpy()
    return scores / (len(steps) * runs.totals.sum())


SCORERS: MappingProxyType[str, Callable[[CircuitRuns, int], Scores]] = MappingProxyType(
    {"exact": exact, "attribution": attribution, "attribution-ig": integrated_attribution, "random": random}
)
