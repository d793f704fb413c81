"""Planted models: folders that `vl.PlantedVAE.save_pretrained` wrote."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vaelens.planted import PlantedVAE

_KEYS = {"kind", "depth", "convolutional", "seed"}


def planted(folder: Path) -> "PlantedVAE | None":
    """Loads a planted model; None of a folder that holds something else.

    Raises:
        VaelensError: a file of it is missing or damaged.
    """
    from vaelens.models.json_file import read_json
    from vaelens.planted import PlantedVAE

    config = folder / "config.json"
    if not config.is_file() or not read_json(config).keys() >= _KEYS:
        return None
    return PlantedVAE.from_pretrained(folder)
