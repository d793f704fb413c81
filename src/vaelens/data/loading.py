"""Datasets by name, with the options that each of them has."""

import inspect
from typing import Any

from vaelens.data.annotations import DatasetName, PathLike
from vaelens.data.catalogue import DATASETS
from vaelens.data.dataset import FactorDataset
from vaelens.errors import VaelensError, unknown


def load_dataset(name: DatasetName, root: PathLike | None = None, **options: Any) -> FactorDataset:
    """Loads a dataset by its name.

    Args:
        name: One of `DATASETS`.
        root: The folder of a dataset that reads files, or of a folder with the dataset's name that holds them; by
            default the one that the environment variable VAELENS_DATA names, else `data` in the user's data folder
            of vaelens. The built-in datasets read none. What is rendered, decoded or converted is kept elsewhere, in
            the cache folder: the one that VAELENS_CACHE names, else the user's cache folder of vaelens.
        **options: The dataset's own options.

    Returns:
        The dataset.

    Raises:
        VaelensError: If there is no such dataset or option, or a root is given to a dataset that reads no files.

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
    return build(**options)
