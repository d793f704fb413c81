"""The model in a folder that diffusers saved, of config.json with its class and of weights as safetensors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vaelens.cli.sources.bounded import no_larger_than, size_of
from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError
from vaelens.models.json_file import read_json

if TYPE_CHECKING:
    from torch import nn

_AUTOENCODER = re.compile(r"(Asymmetric)?Autoencoder\w+|VQModel")  # of a class; what else it can do, the lens tells
_WEIGHTS = "diffusion_pytorch_model"
_WHOLE = re.compile(rf"{_WEIGHTS}(?:\.(\w+))?\.safetensors")
_INDEX = re.compile(rf"{_WEIGHTS}\.safetensors\.index(?:\.(\w+))?\.json")  # of weights in several files


def diffusers(folder: Path) -> "nn.Module | None":
    """Loads the model in a folder of diffusers, and returns None for another folder.

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
    if not isinstance(name, str) or not _AUTOENCODER.fullmatch(name):
        raise VaelensError(
            f"{str(folder)!r} holds a {name} of diffusers; of those, VQModel and Autoencoder… such as AutoencoderKL "
            "can be analysed so, any other by package.module:function, a function that returns vl.Lens(model, "
            "encode=..., decode=...)"
        )
    from vaelens.models.tensor_file import check_size  # on demand, as it imports PyTorch

    variant, files = _variant(folder, name), sorted(folder.glob("*.safetensors"))
    for path in files:
        check_size(path)
    try:
        import diffusers
    except ImportError as error:
        raise VaelensError(
            f"{str(folder)!r} was saved by diffusers, which is not installed: pip install "
            "'.[interop]' in the clone of vaelens"
        ) from error
    kind = getattr(diffusers, name, None)
    if kind is None:
        raise VaelensError(
            f"{str(folder)!r} holds a {name}, which diffusers {diffusers.__version__} does not have; install the "
            "version that saved it"
        )
    try:
        with _quiet(), no_larger_than(size_of(files), folder):
            model, loaded = kind.from_pretrained(
                folder,
                variant=variant,
                use_safetensors=True,
                local_files_only=True,
                low_cpu_mem_usage=False,  # the other way needs one more package
                output_loading_info=True,
            )
    except VaelensError:
        raise
    except Exception as error:  # of safetensors, of diffusers, of PyTorch
        raise VaelensError(f"diffusers cannot load {str(folder)!r} ({reason(error)}); save the model again") from error
    # diffusers draws at random what is missing, and says so only in its log
    faults = [f"lacks {key}" for key in sorted(loaded["missing_keys"])]
    faults += [f"has {key}, unknown to the model" for key in sorted(loaded["unexpected_keys"])]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise VaelensError(f"the weights in {str(folder)!r} do not fit its config: the file {faults[0]}{more}")
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps diffusers from logging, inside a `with`, what an error here says in one sentence."""
    from diffusers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(50)  # above every error
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _variant(folder: Path, name: str) -> str | None:
    """Finds the variant that the weights in the folder are saved as, None for those without a name."""
    variants = set()
    for path in folder.iterdir():
        whole, index = _WHOLE.fullmatch(path.name), _INDEX.fullmatch(path.name)
        if index:
            _check_shards(path)
        if kind := whole or index:
            variants.add(kind[1])
    if None in variants:
        return None
    if len(variants) == 1:
        return variants.pop()
    if variants:
        raise VaelensError(
            f"{str(folder)!r} holds several variants of the weights, {' and '.join(sorted(variants))}; leave one of "
            "them in the folder"
        )
    if (folder / f"{_WEIGHTS}.bin").is_file():
        raise VaelensError(
            f"the weights in {str(folder)!r} are a pickle ({_WEIGHTS}.bin), which can run code when it is opened; if "
            f"you trust it, write safetensors once: diffusers.{name}.from_pretrained({str(folder)!r})"
            f".save_pretrained({str(folder)!r})"
        )
    raise VaelensError(f"{str(folder)!r} has no {_WEIGHTS}.safetensors; give the folder that save_pretrained wrote")


def _check_shards(index: Path) -> None:
    names = read_json(index).get("weight_map")
    if not isinstance(names, dict):
        raise VaelensError(f"{str(index)!r} has no weight_map; save the model again")
    for name in names.values():
        if not isinstance(name, str) or Path(name).name != name or not (index.parent / name).is_file():
            raise VaelensError(f"{str(index)!r} names {name!r}, which is no file in its folder; save the model again")
