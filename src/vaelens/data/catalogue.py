"""The datasets that can be loaded by name. A new one is one line here."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from vaelens.data.dataset import FactorDataset
from vaelens.data.digits import Digits
from vaelens.data.sprites import Sprites
from vaelens.errors import VaelensError, unknown


@dataclass(frozen=True)
class Entry:
    """A dataset of the catalogue.

    Attributes:
        build: Makes the dataset; its parameters are the dataset's options, `root` among them if it reads files.
        summary: The dataset in one line.
    """

    build: Callable[..., FactorDataset]
    summary: str


DATASETS: dict[str, Entry] = {
    "sprites": Entry(Sprites, "2-D shapes at all scales, orientations and positions, drawn as dSprites draws them"),
    "digits": Entry(Digits, "real handwritten digits with their label, from scikit-learn"),
}


def load_dataset(name: object, root: object = None, **options: object) -> FactorDataset:
    """A dataset by its name.

    Args:
        name: One of `DATASETS`.
        root: The folder of a dataset that reads files; the built-in ones read none.
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
        vaelens.errors.VaelensError: unknown dataset 'sprite'; known: sprites, digits; did you mean 'sprites'?
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
            raise unknown(f"option of {name}", option, [known for known in accepted if known != "root"])
    return build(**options)
