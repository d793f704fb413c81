"""The choice of a source by what MODEL looks like."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vaelens.cli.sources.diffusers import diffusers
from vaelens.cli.sources.function import call
from vaelens.cli.sources.planted import planted
from vaelens.cli.sources.pythae import pythae
from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.lens import Lens

FOLDERS = (diffusers, planted, pythae)  # each gives the model of a folder that it knows, None of any other

_FUNCTION = re.compile(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)")
_HUB = "hf://"


def load_lens(model: str, device: str) -> "Lens":
    """Loads a model and puts a lens on it.

    Args:
        model: a folder; `package.module:function`; or `hf://owner/name` of a model that vaelens saved.
        device: "auto", "cpu", "cuda" or "mps". With "auto" a function's model stays where the function put it.

    Raises:
        VaelensError: if MODEL is none of these, or the folder or the function does not give a model.
    """
    import vaelens as vl
    from vaelens.models.devices import find_device
    from vaelens.models.model_folder import check_finite

    folder = user_path("MODEL", model)
    if folder.is_dir():
        module = next((model for model in (kind(folder) for kind in FOLDERS) if model is not None), None)
        if module is None:
            module = vl.VAE.from_pretrained(folder)
        else:
            check_finite(dict(module.named_parameters()), folder)
        return vl.Lens(module.to(find_device(device)))
    function = function_named(model)
    if function is not None:
        lens = call(*function)
        if device != "auto":
            lens.module.to(find_device(device))
        return lens
    if model.startswith(_HUB):
        return vl.Lens(vl.VAE.from_pretrained(model).to(find_device(device)))
    what = f"{model!r} is a file" if folder.exists() else f"there is no folder {model!r}"
    raise VaelensError(
        f"{what}; MODEL is a folder that vaelens, diffusers or Pythae saved, or package.module:function, a function "
        "that returns a vl.Lens"
    )


def function_named(model: str) -> tuple[str, str] | None:
    """Splits package.module:function into module and function, or returns None for anything else."""
    function = _FUNCTION.fullmatch(model)
    return None if function is None else (function[1], function[2])


def name_of_source(model: str) -> str:
    """Returns the name of a model's folder, of its function, or the last part of its name on the Hub."""
    function = function_named(model)
    return function[1] if function and not Path(model).is_dir() else Path(model).name
