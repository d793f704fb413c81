"""Which of a circuit's units a picture shows."""

import numpy as np

from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.unit_sets import Mask, UnitTable

SHOWN, MOST_AT_A_SITE = 20, 5  # units; columns stay short enough to be seen at once


def shown_units(table: UnitTable, mask: Mask, losses: np.ndarray) -> list[int]:
    """Chooses units of a circuit by what is lost without them, at least one of each site and at most five.

    Args:
        table: all units.
        mask: the circuit.
        losses: the fraction lost without each of its units, in their order.

    Returns:
        Their numbers, in the order of the data.

    Example:
        >>> table = UnitTable({"encoder.0": 2, "latent": 2})
        >>> shown_units(table, np.array([True, True, False, True]), np.array([0.1, 0.3, 0.9]))
        [0, 1, 3]
    """
    members = np.flatnonzero(mask)
    by_loss = members[np.argsort(-losses, kind="stable")]
    first = [next((unit for unit in by_loss if span.start <= unit < span.stop), None) for _, span in table.spans()]
    chosen = [int(unit) for unit in first if unit is not None]
    shown_at = {site: 1 for site, _ in map(table.node, chosen)}
    for unit in by_loss.tolist():
        site, _ = table.node(unit)
        if len(chosen) < SHOWN and unit not in chosen and shown_at[site] < MOST_AT_A_SITE:
            chosen.append(unit)
            shown_at[site] += 1
    return sorted(chosen)


def effect_maps(runs: CircuitRuns, units: list[int]) -> np.ndarray:
    """Computes the units' effect maps, (units, height, width), of size 0 where the output is no image."""
    if len(runs.lens.image_shape) != 3:
        return np.zeros((len(units), 0, 0))
    return runs.effect_maps(units)
