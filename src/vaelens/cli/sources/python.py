"""The lines of Python that load what a command loaded."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaelens.cli.sources.choice import function_named

if TYPE_CHECKING:
    from vaelens.lens import Lens


def lens_lines(model: str, device: str, lens: "Lens") -> list[str]:
    """Writes what makes the lens of a source, as `load_lens` did.

    Args:
        model: the source.
        device: that was asked for.
        lens: what it gave.
    """
    function = function_named(model)
    if function is not None and not Path(model).is_dir():
        module, name = function
        lines = [f"from {module} import {name}", "", f"lens = {name}()"]
        return lines if device == "auto" else [*lines, f"lens.module.to({str(lens.device)!r})"]
    kind = type(lens.module).__name__
    where = "" if lens.device.type == "cpu" else f".to({str(lens.device)!r})"
    source = str(Path(model).expanduser().resolve()) if Path(model).expanduser().is_dir() else model
    if kind in ("VAE", "PlantedVAE") and type(lens.module).__module__.startswith("vaelens."):
        return [f"lens = vl.Lens(vl.{kind}.from_pretrained({source!r}){where})"]
    return ["from vaelens.cli.sources import load_lens", "", f"lens = load_lens({source!r}, {lens.device.type!r})"]


def dataset_lines(name: str, root: Path | None, options: dict[str, Any]) -> list[str]:
    """Writes what loads a dataset."""
    arguments = [repr(name)]
    arguments += [] if root is None else [f"root={str(root.resolve())!r}"]
    arguments += [f"{option}={value!r}" for option, value in options.items()]
    return [f"ds = vl.load_dataset({', '.join(arguments)})"]
