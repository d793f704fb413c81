"""The features on an observation's first axis, with their names, groups, one-hot columns and weights of a distance."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaelens.errors import VaelensError


def check_features(
    shape: tuple[int, ...],
    names: Sequence[str] | None,
    groups: Mapping[str, Sequence[int]],
    one_hot: Sequence[Sequence[int]],
    weights: Sequence[float],
) -> None:
    """Refuses names, groups, one-hot columns or weights that do not fit the features on the first axis of a shape.

    Raises:
        VaelensError: names of another number, or twice; a group or column that is empty, or of features that are not
            there, or twice; a group that has the name of a feature outside of it; a feature in two columns; weights of
            what is no vector, or of another number.
    """
    count = shape[0]
    if weights and shape != (len(weights),):
        raise VaelensError(f"{len(weights)} weights of a Gower distance for a shape of {shape}; give each feature one")
    if names is not None and not len(names) == len(set(names)) == count:
        raise VaelensError(
            f"{len(names)} features are named, {len(set(names))} names differ; give each of {count} its own"
        )
    for name, members in groups.items():
        if not members or not all(0 <= feature < count for feature in members):
            raise VaelensError(
                f"group {name!r} is {list(members)}; expected indices of features, from 0 to {count - 1}"
            )
        if len(set(members)) < len(members):
            raise VaelensError(f"group {name!r} is {list(members)}, with a feature twice; name each once")
        if names is not None and name in names and names.index(name) not in members:
            raise VaelensError(f"group {name!r} has the name of a feature that is not in it; give it another")
    classes = [feature for column in one_hot for feature in column]
    if len(classes) != len(set(classes)) or not all(one_hot) or not set(classes) <= set(range(count)):
        raise VaelensError(
            f"one_hot is {[list(column) for column in one_hot]}; expected the features of each categorical column, "
            f"from 0 to {count - 1}, each once"
        )


def named_groups(groups: Any) -> Mapping[str, Any]:
    """Returns groups of features by name, none for None.

    Raises:
        VaelensError: no mapping.
    """
    if groups is not None and not isinstance(groups, Mapping):
        raise VaelensError(
            f"groups are a {type(groups).__name__}; expected names to features, such as {{'petal': [2, 3]}}"
        )
    return groups or {}


def gower_weights(spans: Sequence[float], one_hot: Sequence[Sequence[int]]) -> tuple[float, ...]:
    """Returns how much a change of each feature by 1 counts in Gower's distance.

    Args:
        spans: the range of each feature, 0 or more; a number without one counts nothing.
        one_hot: the features of each categorical column, of which two change where the class does.
    """
    classes = {feature: len(column) for column in one_hot for feature in column}
    numbers = [feature for feature, span in enumerate(spans) if feature not in classes and span > 0]
    columns = max(1, len(numbers) + len(one_hot))
    weights = [0.0] * len(spans)
    for feature in numbers:
        weights[feature] = 1 / (columns * spans[feature])
    for feature, width in classes.items():
        weights[feature] = 1 / ((2 if width > 1 else 1) * columns)
    return tuple(weights)
