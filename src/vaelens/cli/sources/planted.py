"""Planted models in folders that `vl.PlantedVAE.save_pretrained` wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaelens.planted import PlantedVAE

_KEYS = {"kind", "depth", "convolutional", "seed"}


def planted(folder: Path) -> "PlantedVAE | None":
    """Loads the planted model in a folder, and returns None for another folder.

    Raises:
        VaelensError: a file of it is missing or damaged.
    """
    from vaelens.models.json_file import read_json
    from vaelens.planted import PlantedVAE

    config = folder / "config.json"
    if not config.is_file() or not read_json(config).keys() >= _KEYS:
        return None
    return PlantedVAE.from_pretrained(folder)
