"""Which features each latent changes most, of an analysis of vectors, series or volumes."""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.observation import Observation
from vaelens.report.latents import Latents
from vaelens.report.matrices import Matrix
from vaelens.report.numerals import estimate

_ROWS = 40  # of the heat map
_TOP = 10  # features that are listed of each latent


def feature_changes(latent: xr.Dataset, observation: Observation) -> Matrix:
    """Makes the matrix of features and latents, with E|Δ| of each feature as the mean over its positions.

    With Gower's distance it is what each adds to that, since a matrix has one scale for all of them. Of many features
    it has those that are among the most changed ones of some latent.
    """
    counts, names = _counts(observation), _names(observation)
    values = _by_feature(latent["effect_map"]) * counts
    ends = None
    if len(observation.shape) == 1 and latent["effect_map_low"].notnull().any():
        ends = np.stack([_by_feature(latent[f"effect_map{end}"]) * counts for end in ("_low", "_high")], axis=-1)
    shown = np.arange(len(names))
    if len(names) > _ROWS:
        ranks = np.argsort(np.argsort(-np.nan_to_num(values), axis=1), axis=1)  # (latent, feature)
        shown = np.sort(np.argsort(ranks.min(axis=0), kind="stable")[:_ROWS])
    rows = [names[k] for k in shown]
    title = f"Mean absolute change ({observation.distance if observation.weights else observation.unit})"
    return Matrix(title, rows, values.T[shown], None if ends is None else ends.transpose(1, 0, 2)[shown])


def top_features(latent: xr.Dataset, observation: Observation, latents: Latents) -> list[dict[str, Any]]:
    """Lists the features that each latent changes most, with intervals where they were measured.

    With Gower's distance the most is what adds most to that; what is listed is in the features' own units.
    """
    counts = _counts(observation)
    values, names = _by_feature(latent["effect_map"]), _names(observation)
    low, high = (
        _by_feature(latent[f"effect_map{end}"]) if len(observation.shape) == 1 else np.full_like(values, np.nan)
        for end in ("_low", "_high")
    )
    listed = []
    for k in latents.order:
        counted = np.nan_to_num(values[k]) * counts
        most = float(counted.max()) or 1.0
        rows = []
        for feature in np.argsort(-counted, kind="stable")[:_TOP]:
            value, interval = estimate(values[k, feature], low[k, feature], high[k, feature])
            share = 100 * float(counted[feature]) / most
            rows.append({"name": names[feature], "value": value, "interval": interval, "share": f"{share:.1f}"})
        listed.append({"latent": k, "active": bool(latents.active[k]), "rows": rows})
    return listed


def _counts(observation: Observation) -> np.ndarray:
    """Returns how much a change of each feature by 1 counts beside the others', (feature,)."""
    return np.array(observation.weights) if observation.weights else np.ones(observation.shape[0])


def _by_feature(changes: xr.DataArray) -> np.ndarray:
    """Averages an array over its positions, (latent, feature)."""
    values = changes.values
    return values.reshape(*values.shape[:2], -1).mean(axis=2)


def _names(observation: Observation) -> list[str]:
    axis = observation.axes[0]
    return list(observation.features or (f"{axis} {k}" for k in range(observation.shape[0])))
