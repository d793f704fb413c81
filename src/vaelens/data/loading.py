"""Datasets by name, with the options that each of them has, which may come as texts from a command line."""

import inspect
from collections.abc import Callable
from typing import Any

from vaelens.data.annotations import DatasetName, PathLike
from vaelens.data.catalogue import DATASETS
from vaelens.data.dataset import FactorDataset
from vaelens.errors import VaelensError, unknown


def load_dataset(name: DatasetName, root: PathLike | None = None, **options: Any) -> FactorDataset:
    """Loads a dataset by its name.

    Args:
        name: one of `DATASETS`.
        root: the folder of a dataset that reads files, or the parent of a folder with the dataset's name that holds
            them; by default the one that the environment variable VAELENS_DATA names, else `data` in the user's data
            folder of vaelens. The built-in datasets read none. What is rendered, decoded or converted is kept
            elsewhere, in the cache folder: the one that VAELENS_CACHE names, else the user's cache folder of vaelens.
        **options: the dataset's own options. Lists may be written as text: names and columns as "shape,size", kinds as
            "age:ordinal,angle:circular", sizes and boxes as "48,64".

    Returns:
        The dataset.

    Raises:
        VaelensError: there is no such dataset or option, or a root is given to a dataset that reads no files.

    Example:
        >>> load_dataset("sprites").factors.names
        ('shape', 'scale', 'orientation', 'position_x', 'position_y')
        >>> load_dataset("sprite")
        Traceback (most recent call last):
        vaelens.errors.VaelensError: unknown dataset 'sprite'; known: sprites, ...; did you mean 'sprites'?
    """
    if not isinstance(name, str) or name not in DATASETS:
        raise unknown("dataset", name, DATASETS)
    build = DATASETS[name].build
    accepted = inspect.signature(build).parameters
    if root is not None:
        if "root" not in accepted:
            raise VaelensError(f"{name} is built in and reads no files, got root={str(root)!r}; leave root out")
        options["root"] = root
    for option in options:
        if option not in accepted:
            raise unknown(f"option of {name}", option, [parameter for parameter in accepted if parameter != "root"])
    return build(**{option: TEXTS.get(option, _kept)(value) for option, value in options.items()})


def _kept(value: Any) -> Any:
    return value


def _names(value: Any) -> Any:
    """Reads names from a text, parted by commas, or from numbers that are names."""
    if isinstance(value, str):
        return [name.strip() for name in value.split(",")]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return [str(value)]
    if isinstance(value, list):
        return [str(name) if type(name) in (int, float) else name for name in value]
    return value


def _kinds(value: Any) -> Any:
    """Reads kinds from a text such as "age:ordinal,angle:circular"."""
    if not isinstance(value, str):
        return value
    parts = [part.replace("=", ":").rpartition(":") for part in value.split(",")]
    return {name.strip(): kind.strip() for name, colon, kind in parts} if all(colon for _, colon, _ in parts) else value


def _flag(value: Any) -> Any:
    """Reads a truth value from a text, and leaves any other as it is."""
    return (
        {"true": True, "yes": True, "false": False, "no": False}.get(value.lower(), value)
        if isinstance(value, str)
        else value
    )


def _sides(value: Any) -> Any:
    """Reads whole numbers from a text such as "0,0,100,100", and leaves any other as it is."""
    parts = value.split(",") if isinstance(value, str) else ()
    return (
        [int(part) for part in parts] if len(parts) > 1 and all(part.strip().isdecimal() for part in parts) else value
    )


TEXTS: dict[str, Callable[[Any], Any]] = {
    "names": _names,
    "columns": _names,
    "leave_out": _names,
    "kinds": _kinds,
    "size": _sides,
    "crop": _sides,
    "links": _flag,
    "channels_last": _flag,
    "series": _flag,
}
