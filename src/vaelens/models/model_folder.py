"""A saved model's folder, here or on the Hugging Face Hub: `config.json` and `model.safetensors`.

Read with errors that say what is missing. The network is reached for names that start with `hf://` alone, so that
a mistyped path never is; weights are safetensors, never a pickle.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import safetensors
import safetensors.torch
import torch
from huggingface_hub.constants import CONFIG_NAME, SAFETENSORS_SINGLE_FILE
from torch import Tensor

from vaelens.errors import VaelensError

HUB_PREFIX = "hf://"

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
    """The local folder of a saved model; one on the Hub is downloaded into the Hub's cache first.

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
    folder = Path(name).expanduser()
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


def read_config(folder: Path, keys: Iterable[str]) -> dict[str, Any]:
    """The values of those keys in the folder's `config.json`.

    Raises:
        VaelensError: if the file or one of the keys is missing, or the file is no JSON object.
    """
    path = folder / CONFIG_NAME
    if not path.is_file():
        raise VaelensError(f"{str(folder)!r} has no {CONFIG_NAME}; give the folder that save_pretrained wrote")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VaelensError(f"{str(path)!r} cannot be read as JSON ({error}); save the model again") from error
    if not isinstance(config, dict):
        raise VaelensError(f"{str(path)!r} holds no JSON object; save the model again")
    if missing := [key for key in keys if key not in config]:
        raise VaelensError(f"{str(path)!r} lacks {', '.join(missing)}; it is not the config of a vaelens model")
    return {key: config[key] for key in keys}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors in the folder's `model.safetensors`.

    Raises:
        VaelensError: if the file is missing or damaged.
    """
    path = folder / SAFETENSORS_SINGLE_FILE
    if not path.is_file():
        raise VaelensError(f"{str(folder)!r} has no {SAFETENSORS_SINGLE_FILE}; save the model again")
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise VaelensError(f"{str(path)!r} is damaged ({error}); save the model again") from error


def write_weights(folder: Path, weights: Mapping[str, Tensor]) -> None:
    """Writes `model.safetensors` into the folder."""
    safetensors.torch.save_file(apart(weights), folder / SAFETENSORS_SINGLE_FILE, metadata={"format": "pt"})


def apart(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, contiguous and no two in the same memory, as safetensors asks for.

    What encoder and decoder share is thus written once for each.
    """
    separate: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        contiguous = tensor.contiguous()
        memory = contiguous.untyped_storage().data_ptr()
        separate[name] = contiguous.clone() if memory in seen else contiguous
        seen.add(memory)
    return separate


def load_weights(module: torch.nn.Module, weights: dict[str, Tensor], origin: Path) -> None:
    """Puts the weights into the module, whose tensors take their floating-point types, so that every bit is kept.

    Raises:
        VaelensError: if the names or shapes differ; the module is then as before.
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
    for name, tensor in module.state_dict(keep_vars=True).items():
        tensor.data = tensor.data.to(weights[name].dtype)
    module.load_state_dict(weights)


def _kind(tensor: Tensor) -> str:
    return f"{'floats' if tensor.is_floating_point() else tensor.dtype} of shape {tuple(tensor.shape)}"
