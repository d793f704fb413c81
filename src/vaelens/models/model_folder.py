"""The folder of a saved model, of `config.json` and `model.safetensors`, on disk or on the Hugging Face Hub.

Read with errors that say what is missing. The network is reached for names that start with `hf://` alone, so that
a mistyped path never is; weights are safetensors, never a pickle.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub.constants import CONFIG_NAME, SAFETENSORS_SINGLE_FILE
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.models.json_file import read_json
from vaelens.models.tensor_file import read_tensors, write_tensors
from vaelens.observation_record import observation_from
from vaelens.paths import user_path

HUB_PREFIX = "hf://"

_PLANTED = frozenset({"kind", "depth", "convolutional", "seed"})  # keys of a planted model's config alone
_CONFIG = "config"  # the key in the weights' metadata

MODEL_CARD = """
---
{{ card_data }}
---

A variational autoencoder made with vaelens. Its objective, image shape and number of latents are in `config.json`,
its weights in `model.safetensors`.

```python
import vaelens as vl

model = vl.VAE.from_pretrained("this folder, or hf://owner/name")
```
"""


def find_folder(name: Any, **hub_options: Any) -> Path:
    """Finds the local folder of a saved model. One on the Hub is downloaded into the Hub's cache first.

    Args:
        name: a path, or `hf://owner/name`.
        **hub_options: those of `huggingface_hub.snapshot_download`.

    Raises:
        VaelensError: if there is no such folder, or the Hub does not give it.
    """
    if isinstance(name, str) and name.startswith(HUB_PREFIX):
        return _download(name.removeprefix(HUB_PREFIX), **hub_options)
    if not isinstance(name, str | Path):
        raise VaelensError(f"a model is loaded from a path or '{HUB_PREFIX}owner/name', not from {name!r}")
    folder = user_path("the model's folder", name)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise VaelensError(f"{str(name)!r} is a file; expected the folder that save_pretrained wrote")
    raise VaelensError(
        f"there is no folder {str(name)!r}; give the folder that save_pretrained wrote, or, for a model on the "
        f"Hugging Face Hub, '{HUB_PREFIX}owner/name'"
    )


def _download(repo_id: str, **hub_options: Any) -> Path:
    wanted = [CONFIG_NAME, SAFETENSORS_SINGLE_FILE]
    try:
        return Path(str(huggingface_hub.snapshot_download(repo_id, allow_patterns=wanted, **hub_options)))
    except Exception as error:  # the client's versions raise its own, requests', httpx's and the system's errors
        reason = str(error).strip().splitlines()
        raise VaelensError(
            f"the Hugging Face Hub did not give {repo_id!r} ({reason[0] if reason else type(error).__name__}); "
            "check the name, the network and, for a private model, the token"
        ) from error


def read_config(folder: Path, keys: Iterable[str], optional: Iterable[str] = ()) -> dict[str, Any]:
    """Reads the values of those keys in the folder's `config.json`, and of the optional ones that are there.

    Raises:
        VaelensError: if the file or one of the keys is missing, or the file is no JSON object.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise VaelensError(f"{str(folder)!r} has no {CONFIG_NAME}; give the folder that save_pretrained wrote")
    config = read_json(path)
    wanted = list(keys)
    if config.keys() >= _PLANTED and not _PLANTED.issuperset(wanted):
        raise VaelensError(f"{str(folder)!r} holds a planted model; open it with vl.PlantedVAE.from_pretrained")
    if missing := [key for key in wanted if key not in config]:
        raise VaelensError(f"{str(path)!r} lacks {', '.join(missing)}; it is not the config of a vaelens model")
    return {key: config[key] for key in [*wanted, *(key for key in optional if key in config)]}


def arguments_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the constructor's arguments in a config, with a recorded observation in place of its shape.

    Raises:
        VaelensError: if that is no record of an observation.
    """
    arguments = {name: value for name, value in config.items() if name != "observation"}
    if "observation" in config:
        try:
            arguments["image_shape"] = observation_from(config["observation"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise VaelensError(
                f"the config's observation is {config['observation']!r}; save the model again"
            ) from error
    return arguments


def read_weights(folder: Path) -> tuple[dict[str, Tensor], Any]:
    """Reads the tensors in the folder's `model.safetensors`, and the config that they were saved with, if it says so.

    Raises:
        VaelensError: if the file is missing or damaged.
    """
    path = folder / SAFETENSORS_SINGLE_FILE
    if not path.is_file():
        raise VaelensError(f"{str(folder)!r} has no {SAFETENSORS_SINGLE_FILE}; save the model again")
    weights, metadata = read_tensors(path, "save the model again")
    return weights, metadata.get(_CONFIG)


def write_weights(folder: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any]) -> None:
    """Writes `model.safetensors` into the folder, with the config that belongs to it.

    Raises:
        OSError: if it cannot be written.
        VaelensError: if there is nothing to write.
    """
    write_tensors(folder / SAFETENSORS_SINGLE_FILE, weights, {_CONFIG: config})


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], origin: Path) -> None:
    """Puts the weights into the module, whose tensors take their floating-point types, so that every bit is kept.

    Raises:
        VaelensError: if the names or shapes differ, or one is not finite; the module is then as before.
    """
    expected = module.state_dict()
    faults = [f"lacks {name}" for name in expected if name not in weights]
    faults += [f"has {name}, unknown to the model" for name in weights if name not in expected]
    faults += [
        f"has {name} as {_kind(weights[name])}, not {_kind(tensor)}"
        for name, tensor in expected.items()
        if name in weights and _kind(weights[name]) != _kind(tensor)
    ]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise VaelensError(
            f"the weights in {str(origin)!r} do not fit the config: the file {faults[0]}{more}; they were saved with "
            "another config, or other modules of your own"
        )
    check_finite({name: weights[name] for name, _ in module.named_parameters()}, origin)
    for name, tensor in module.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(weights[name].dtype)
    module.load_state_dict(weights)


def check_finite(weights: Mapping[str, Tensor], origin: Path) -> None:
    """Refuses weights that are not finite. (Buffers may hold infinity, as masks do.)

    Raises:
        VaelensError: naming the first.
    """
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise VaelensError(
                f"the weights in {str(origin)!r} hold NaN or infinity, in {name}; expected finite numbers: train the "
                "model anew, or go back to a checkpoint from before they were lost"
            )


def check_one_type(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Refuses floating-point weights of several types, which no layer of ours computes with.

    Raises:
        VaelensError: naming two of them.
    """
    names: dict[torch.dtype, str] = {}
    for name, tensor in weights.items():
        if tensor.is_floating_point():
            names.setdefault(tensor.dtype, name)
    if len(names) > 1:
        (first, first_name), (second, second_name) = list(names.items())[:2]
        raise VaelensError(
            f"the weights in {str(folder)!r} are of several types, {first_name} of {first} and {second_name} of "
            f"{second}; convert all to one, as model.float() does, and save the model again"
        )


def check_one_saving(config: Mapping[str, Any], saved_with: Any, folder: Path) -> None:
    """Refuses a config that is not the one that the weights were saved with, where they say which.

    Raises:
        VaelensError: if they differ.
    """
    if saved_with not in (None, config):
        raise VaelensError(
            f"config.json and model.safetensors in {str(folder)!r} are not of one saving, or one was edited; save the "
            "model again"
        )


def _kind(tensor: Tensor) -> str:
    return f"{'floats' if tensor.is_floating_point() else tensor.dtype} of shape {tuple(tensor.shape)}"
