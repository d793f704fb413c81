"""Labelled results: every effect as an xarray Dataset with named dimensions, intervals and its provenance."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaelens.lens import Lens
from vaelens.version import __version__

LEVEL = 0.95
RESAMPLES = 1000

Array = NDArray[Any]
Interval = tuple[Array, Array]


def record(
    lens: Lens,
    variables: Mapping[str, tuple[Sequence[str], Any]],
    coords: Mapping[str, Any],
    **attributes: Any,
) -> xr.Dataset:
    """A Dataset whose attributes say which model it is about, and how its numbers were made.

    Args:
        lens: the lens that the numbers were made with.
        variables: name to (dimensions, values).
        coords: coordinates as xarray takes them.
        **attributes: how the numbers were made: seed, number of images, mode.
    """
    known = lens.describe()
    made = {
        "model": known["model"],
        # A record in netCDF holds no nested one: JSON, and nothing where a foreign model names none.
        **({"hyperparameters": json.dumps(known["hyperparameters"])} if "hyperparameters" in known else {}),
        "latent": known["latent"],
        **{name: known[name] for name in ("library", "codes") if name in known},
        "weights_sha256": known["weights_sha256"],
        "version": __version__,
        "interval": f"{LEVEL:.0%} percentile, Poisson bootstrap over images",
        **attributes,
    }
    return xr.Dataset({name: (tuple(dims), values) for name, (dims, values) in variables.items()}, coords, made)


def with_interval(
    name: str, dims: Sequence[str], mean: Any, interval: Interval
) -> dict[str, tuple[Sequence[str], Any]]:
    """The variables `<name>`, `<name>_low` and `<name>_high`."""
    return {name: (dims, mean), f"{name}_low": (dims, interval[0]), f"{name}_high": (dims, interval[1])}


def unit_coords(sites: Sequence[str], counts: Sequence[int]) -> dict[str, tuple[str, Array]]:
    """The coordinates `site` and `index` of one `unit` dimension shared by sites of different widths."""
    return {
        "site": ("unit", np.repeat(np.asarray(sites, dtype=str), counts)),
        "index": ("unit", np.concatenate([np.arange(count) for count in counts] or [np.zeros(0, int)])),
    }


def random_unit(values: Array, counts: Sequence[int]) -> Array:
    """What a unit drawn at random from the same site would have: for each unit the mean over its site's.

    The baseline beside a unit's own number, to which a site of many units is no disadvantage.

    Args:
        values: (…, unit), the units of one site after the other.
        counts: how many units each site has.

    Example:
        >>> random_unit(np.array([1.0, 3.0, 5.0]), [2, 1])
        array([2., 2., 5.])
    """
    ends = np.cumsum(counts)
    means = [
        values[..., end - count : end].mean(axis=-1, keepdims=True) for count, end in zip(counts, ends, strict=True)
    ]
    return np.concatenate([np.repeat(mean, count, axis=-1) for mean, count in zip(means, counts, strict=True)], axis=-1)
