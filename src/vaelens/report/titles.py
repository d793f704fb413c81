"""What a page is called, and which numbers its figures and tables have."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import xarray as xr

_FIGURES = {  # the parts that each is made from, in the order in which they stand
    "pairs": ("pictures",),
    "traversals": ("pictures",),
    "strengths": ("latent",),
    "modes": ("modes",),
    "maps": ("latent",),
    "positions": ("swap",),
    "position_maps": ("swap",),
    "swaps": ("swap", "pictures"),
    "codes": ("codes",),
    "associations": ("input",),
    "labels": ("labels",),
    "recovered": ("patching",),
    "mediations": ("mediation",),
    "circuits": ("circuits",),
    "circuit_curves": ("circuits",),
}
_TABLES = {
    "latents": ("latent",),
    "by_mode": ("swap",),
    "changes": ("input",),
    "labels": ("labels",),
    "units": ("patching",),
    "circuits": ("circuits",),
    "scores": (),
}


def title(provenance: Mapping[str, Any]) -> str:
    """Writes the names of the model and the data.

    Example:
        >>> title({"model": {"model": "beta-vae", "hyperparameters": {"beta": 4.0}}, "dataset": {"name": "sprites"}})
        'beta-vae (beta = 4) on sprites'
        >>> title({"model": {"model": "AutoencoderKL"}, "dataset": {"name": "folder", "options": {"folder": "a/b"}}})
        'AutoencoderKL on folder b'
    """
    model, hyperparameters = provenance["model"]["model"], provenance["model"].get("hyperparameters") or {}
    settings = ", ".join(
        f"{name} = {value:g}" if isinstance(value, int | float) else f"{name} = {value}"
        for name, value in hyperparameters.items()
    )
    return f"{model}{f' ({settings})' if settings else ''} on {source(provenance['dataset'])}"


def source(dataset: Mapping[str, Any]) -> str:
    """Writes the name of the dataset, and of the folder or file of the user's own data."""
    options = dataset.get("options") or {}
    place = next((str(options[name]) for name in ("folder", "file") if options.get(name)), "")
    return f"{dataset['name']} {PurePath(place).name}".rstrip()


def numbered(effects: Mapping[str, xr.Dataset]) -> dict[str, dict[str, int]]:
    """Enumerates the figures and the tables that the parts of an analysis make, from 1.

    Example:
        >>> numbered({"latent": xr.Dataset(), "patching": xr.Dataset()})
        {'figure': {'strengths': 1, 'maps': 2, 'recovered': 3}, 'table': {'latents': 1, 'units': 2, 'scores': 3}}
    """
    return {
        kind: {
            name: number
            for number, name in enumerate((name for name, parts in kinds.items() if set(parts) <= effects.keys()), 1)
        }
        for kind, kinds in (("figure", _FIGURES), ("table", _TABLES))
    }
