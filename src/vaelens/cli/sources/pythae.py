"""The model in a folder that Pythae saved, of model_config.json with the configuration's class and of model.pt.

The model is built anew from its configuration and takes the tensors of `model.pt`; nothing is unpickled but those.
"""

import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaelens.cli.sources.bounded import no_larger_than, size_of
from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError
from vaelens.models.json_file import read_json

if TYPE_CHECKING:
    from torch import nn

_INSTEAD = "build it in a function of your own that returns vl.Lens(model), and give that as package.module:function"


def pythae(folder: Path) -> "nn.Module | None":
    """Loads the model in a folder of Pythae, and returns None for another folder.

    Raises:
        VaelensError: networks that are pickled, weights that are missing or damaged or do not fit, an unknown class,
            or Pythae not installed.
    """
    path = folder / "model_config.json"
    if not path.is_file():
        return None
    config = read_json(path)
    pickled = sorted(path.name for path in folder.glob("*.pkl"))
    if pickled:
        raise VaelensError(
            f"{str(folder)!r} holds {' and '.join(pickled)}, pickled code that is not run here; {_INSTEAD}"
        )
    if any(key.startswith("uses_default_") and value is False for key, value in config.items()):
        raise VaelensError(f"the model in {str(folder)!r} has networks that are not in the folder; {_INSTEAD}")
    path = folder / "model.pt"
    if not path.is_file():
        raise VaelensError(f"{str(folder)!r} has no model.pt; give the folder that Pythae's save wrote")
    _check_archive(path)
    _check_numbers(config, path)
    weights = _read(path)
    model = _built(folder, config, path)
    try:
        model.load_state_dict(weights)
    except Exception as error:  # a RuntimeError of weights that do not fit; others of what are no weights
        raise VaelensError(f"the weights in {str(folder)!r} do not fit its configuration ({reason(error)})") from error
    return model


def _check_archive(path: Path) -> None:
    """Refuses what would unpack to more than the file holds, since torch.save packs nothing."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries, size = archive.infolist(), size_of([path])
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
                raise VaelensError(
                    f"{str(path)!r} would unpack {size:,} bytes to {unpacked:,}, which no file of torch.save does; "
                    "save the model again"
                )
            pickles = [archive.read(entry) for entry in entries if entry.filename.endswith("/data.pkl")]
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise VaelensError(
            f"{str(path)!r} is damaged, or no archive of torch.save ({reason(error)}); save the model again"
        ) from error
    if any(b"bytearray" in content for content in pickles):  # which PyTorch would make of any size
        raise VaelensError(f"{str(path)!r} holds more than tensors; nothing else is unpickled: {_INSTEAD}")


def _check_numbers(config: dict[str, Any], weights: Path) -> None:
    """Refuses counts, of layers or of units, that no weights of that size can have."""
    size = size_of([weights])
    for name, value in config.items():
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and number > size:
                raise VaelensError(
                    f"the configuration in {str(weights.parent)!r} has {name} {number}, more than its weights have "
                    f"bytes, {size:,}; they do not belong together: save the model again"
                )


def _built(folder: Path, config: dict[str, Any], weights: Path) -> "nn.Module":
    import torch

    try:
        from pythae import models
    except ImportError as error:
        raise VaelensError(
            f"{str(folder)!r} was saved by Pythae, which is not installed: pip install "
            "'.[interop]' in the clone of vaelens"
        ) from error
    name = str(config.get("name"))
    kind = name.removesuffix("Config").removesuffix("_")
    if name == kind or not {name, kind} <= {*models.__all__}:
        raise VaelensError(
            f"{str(folder)!r} holds the configuration of a {name}, which is no model of Pythae; {_INSTEAD}"
        )
    arguments = {key: value for key, value in config.items() if key != "name"}
    try:
        with (
            no_larger_than(size_of([weights]), folder),
            torch.random.fork_rng(devices=[]),
        ):  # what is drawn now is written over
            return getattr(models, kind)(getattr(models, name)(**arguments))
    except VaelensError:
        raise
    except Exception as error:  # of pydantic, of Pythae, of PyTorch
        raise VaelensError(
            f"Pythae cannot build the {kind} in {str(folder)!r} ({reason(error)}); save the model again"
        ) from error


def _read(path: Path) -> dict[str, Any]:
    """Reads the tensors of `model.pt`, by name."""
    import torch

    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise VaelensError(
            f"{str(path)!r} holds more than tensors, or is damaged; nothing else is unpickled: {_INSTEAD}"
        ) from error
    except Exception as error:  # of bytes that are damaged or crafted, PyTorch raises almost anything
        raise VaelensError(f"{str(path)!r} is damaged ({reason(error)}); save the model again") from error
    weights = saved.get("model_state_dict") if isinstance(saved, dict) else None
    if not isinstance(weights, dict):
        raise VaelensError(f"{str(path)!r} has no model_state_dict; give the folder that Pythae's save wrote")
    return weights
