"""Labelled results, every effect as an xarray Dataset with named dimensions, intervals and its provenance."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from vaelens.effects.schema import Schema
from vaelens.lens import Lens
from vaelens.version import __version__

LEVEL = 0.95
RESAMPLES = 1000

Array = NDArray[Any]
Interval = tuple[Array, Array]
Variables = dict[str, tuple[Sequence[str], Any]]  # (dimensions, values) by name


def record(
    lens: Lens,
    schema: Schema,
    variables: Mapping[str, tuple[Sequence[str], Any]],
    coords: Mapping[str, Any],
    **attributes: Any,
) -> xr.Dataset:
    """Builds a Dataset whose attributes say which model it is about and how its numbers were computed.

    Args:
        lens: the lens that the numbers were computed with.
        schema: what each variable is.
        variables: name to (dimensions, values).
        coords: coordinates as xarray takes them.
        **attributes: how the numbers were computed: seed, number of images, mode.
    """
    model = lens.describe()
    provenance = {
        "model": model["model"],
        # A record in netCDF holds no nested one: JSON, and nothing where a foreign model names none.
        **({"hyperparameters": json.dumps(model["hyperparameters"])} if "hyperparameters" in model else {}),
        "latent": model["latent"],
        **{name: model[name] for name in ("library", "codes", "noise") if name in model},
        "weights_sha256": model["weights_sha256"],
        "version": __version__,
        **_along(lens),
        "interval": f"{LEVEL:.0%} percentile, Poisson bootstrap over {lens.observation.noun}",
        **attributes,
    }
    observation = lens.observation
    columns = dict(coords)
    if observation.features is not None and any(observation.axes[0] in dims for dims, _ in variables.values()):
        columns[observation.axes[0]] = list(observation.features)
    return schema.of(observation).dataset(variables, columns).assign_attrs(provenance)


def _along(lens: Lens) -> dict[str, str]:
    """Describes the directions that a lens counts units along, by their names and a hash of their vectors."""
    return {
        f"directions_{site}": f"{', '.join(direction.names)} ({direction.fingerprint})"
        for site, direction in lens.directions.items()
    }


def with_interval(name: str, dims: Sequence[str], mean: Any, interval: Interval) -> Variables:
    """Returns the variables `<name>`, `<name>_low` and `<name>_high`."""
    return {name: (dims, mean), f"{name}_low": (dims, interval[0]), f"{name}_high": (dims, interval[1])}


def unit_coords(sites: Sequence[str], counts: Sequence[int]) -> dict[str, tuple[str, Array]]:
    """Returns the coordinates `site` and `index` of one `unit` dimension shared by sites of different widths."""
    return {
        "site": ("unit", np.repeat(np.asarray(sites, dtype=str), counts)),
        "index": ("unit", np.concatenate([np.arange(count) for count in counts] or [np.zeros(0, int)])),
    }


def typical_unit(values: Array, counts: Sequence[int]) -> Array:
    """Averages over the units of each unit's site, which is what a typical unit of the site has.

    The baseline beside a unit's own number, to which a site of many units is no disadvantage.

    Args:
        values: (…, unit), the units of one site after the other.
        counts: how many units each site has.

    Example:
        >>> typical_unit(np.array([1.0, 3.0, 5.0]), [2, 1])
        array([2., 2., 5.])
    """
    typical, first = values[..., :0], 0
    for count in counts:
        mean = values[..., first : first + count].mean(axis=-1, keepdims=True)
        typical, first = np.concatenate([typical, np.repeat(mean, count, axis=-1)], axis=-1), first + count
    return typical
