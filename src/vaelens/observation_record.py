"""What an observation is, in types that JSON holds, and back."""

from collections.abc import Mapping
from typing import Any

from vaelens.observation import Observation


def recorded(observation: Observation) -> dict[str, Any]:
    """Returns all of an observation's fields in types that JSON holds.

    Example:
        >>> observation_from(recorded(Observation.vector(["a", "b"], groups={"both": [0, 1]}))).groups
        {'both': (0, 1)}
    """
    return {
        "shape": list(observation.shape),
        "axes": list(observation.axes),
        "low": observation.low,
        "high": observation.high,
        "noun": observation.noun,
        "features": None if observation.features is None else list(observation.features),
        "groups": {name: list(members) for name, members in observation.groups.items()},
        "unit": observation.unit,
        **({"weights": list(observation.weights)} if observation.weights else {}),
        **({"one_hot": [list(column) for column in observation.one_hot]} if observation.one_hot else {}),
    }


def observation_from(record: Mapping[str, Any]) -> Observation:
    """Returns the observation that was recorded."""
    features = record["features"]
    return Observation(
        tuple(record["shape"]),
        tuple(record["axes"]),
        record["low"],
        record["high"],
        record["noun"],
        None if features is None else tuple(features),
        {name: tuple(members) for name, members in record["groups"].items()},
        record["unit"],
        tuple(tuple(column) for column in record.get("one_hot", ())),
        tuple(record.get("weights", ())),
    )
