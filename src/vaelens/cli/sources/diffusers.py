"""A folder that diffusers saved: config.json with the model's class, and its weights as safetensors."""

from pathlib import Path
from typing import TYPE_CHECKING

from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError
from vaelens.models.json_file import read_json

if TYPE_CHECKING:
    from torch import nn

_CLASSES = ("AutoencoderKL", "VQModel")
_WEIGHTS = "diffusion_pytorch_model"


def diffusers(folder: Path) -> "nn.Module | None":
    """The model in a folder of diffusers, None for another folder.

    Raises:
        VaelensError: a whole pipeline, another class, weights that are pickled or missing or do not fit, or diffusers
            not installed.
    """
    if (folder / "model_index.json").is_file():
        parts = [name for name in ("vae", "vqvae", "movq") if (folder / name).is_dir()]
        raise VaelensError(
            f"{str(folder)!r} is a whole pipeline of diffusers; give the folder of its autoencoder"
            + (f", {str(folder / parts[0])!r}" if parts else "")
        )
    config = folder / "config.json"
    name = read_json(config).get("_class_name") if config.is_file() else None
    if name is None:
        return None
    if name not in _CLASSES:
        raise VaelensError(
            f"{str(folder)!r} holds a {name} of diffusers; of those, {' and '.join(_CLASSES)} can be analysed so, any "
            "other by package.module:function, a function that returns vl.Lens(model, encode=..., decode=...)"
        )
    _check_weights(folder, name)
    try:
        import diffusers
    except ImportError as error:
        raise VaelensError(
            f"{str(folder)!r} was saved by diffusers, which is not installed: pip install 'vaelens[interop]'"
        ) from error
    try:
        model, found = getattr(diffusers, name).from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            low_cpu_mem_usage=False,  # the other way needs one more package
            output_loading_info=True,
        )
    except Exception as error:  # of safetensors, of diffusers, of PyTorch
        raise VaelensError(f"diffusers cannot load {str(folder)!r} ({reason(error)}); save the model again") from error
    # diffusers draws at random what is missing, and says so only in its log
    faults = [f"lacks {key}" for key in sorted(found["missing_keys"])]
    faults += [f"has {key}, unknown to the model" for key in sorted(found["unexpected_keys"])]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise VaelensError(f"the weights in {str(folder)!r} do not fit its config: the file {faults[0]}{more}")
    return model


def _check_weights(folder: Path, name: str) -> None:
    if any((folder / f"{_WEIGHTS}.safetensors{end}").is_file() for end in ("", ".index.json")):
        return
    if (folder / f"{_WEIGHTS}.bin").is_file():
        raise VaelensError(
            f"the weights in {str(folder)!r} are a pickle ({_WEIGHTS}.bin), which can run code when it is opened; if "
            f"you trust it, write safetensors once: diffusers.{name}.from_pretrained({str(folder)!r})"
            f".save_pretrained({str(folder)!r})"
        )
    raise VaelensError(f"{str(folder)!r} has no {_WEIGHTS}.safetensors; give the folder that save_pretrained wrote")
