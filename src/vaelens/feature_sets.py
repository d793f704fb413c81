"""The features on an observation's first axis: their names, named groups of them, and columns that are one-hot."""

from collections.abc import Mapping, Sequence

from vaelens.errors import VaelensError


def check_features(
    count: int,
    names: Sequence[str] | None,
    groups: Mapping[str, Sequence[int]],
    one_hot: Sequence[Sequence[int]],
) -> None:
    """Refuses names, groups or one-hot columns that do not fit so many features.

    Raises:
        VaelensError: names of another number, or twice; a group or column that is empty, or of features that are not
            there; a feature in two columns.
    """
    if names is not None and not len(names) == len(set(names)) == count:
        raise VaelensError(
            f"{len(names)} features are named, {len(set(names))} names differ; give each of {count} its own"
        )
    for name, members in groups.items():
        if not members or not all(0 <= feature < count for feature in members):
            raise VaelensError(
                f"group {name!r} is {list(members)}; expected indices of features, from 0 to {count - 1}"
            )
    classes = [feature for column in one_hot for feature in column]
    if len(classes) != len(set(classes)) or not all(one_hot) or not set(classes) <= set(range(count)):
        raise VaelensError(
            f"one_hot is {[list(column) for column in one_hot]}; expected the features of each categorical column, "
            f"from 0 to {count - 1}, each once"
        )
