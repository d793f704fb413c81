"""The call in Python that computes what is on the screen, to the bit."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaelens.explorer.scene import Scene
from vaelens.explorer.upload import PACKED
from vaelens.explorer.view import Edit, View
from vaelens.lens import LATENT


@dataclass(frozen=True)
class Origin:
    """How lens and dataset come about.

    Attributes:
        lens: lines of Python after which `lens` is the lens.
        ds: lines after which `ds` is the dataset.
    """

    lens: Sequence[str] = ("# lens and ds are those that vl.explore was given",)
    ds: Sequence[str] = ()


def python_of(scene: Scene, view: View, origin: Origin) -> str:
    """Writes the call whose `image`, `difference`, `code` and `recoded` are those on the screen.

    Args:
        scene: the model and its images.
        view: what is chosen.
        origin: how lens and dataset come about.
    """
    edits = _circuit_edits(scene, view) if view.alone else _edits(scene, view)
    uses_source = bool(view.alone) or any(edit.how == "patch" for edit in view.edits)
    means = list(dict.fromkeys(edit.site for edit in view.edits if edit.how == "mean" and not view.alone))
    base_sites = list(scene.outside(view)) if view.alone else []
    source_sites = [] if view.alone else [edit.site for edit in view.edits if edit.how == "patch"]
    lines = ["import numpy as np"] if scene.lens.takes_context else []
    lines.append("import vaelens as vl")
    if any(key.startswith(PACKED) for key in _keys(view, uses_source)):
        lines.append("from vaelens.explorer import unpacked_picture")
    lines += ["", *origin.lens, *origin.ds, ""]
    lines += _image_lines(scene, "base", view.base)
    if uses_source:
        lines += _image_lines(scene, "source", view.source)
    lines.append(f"before = lens.run({_arguments(scene, 'base')}{_capture(base_sites)})")
    if source_sites:
        lines.append(f"other = lens.run({_arguments(scene, 'source')}{_capture(source_sites)})")
    if means:
        lines += _mean_lines(scene, means)
    goes_in = "source" if view.alone else "base"
    if edits:
        lines += ["edits = [", *(f"    {edit}," for edit in edits), "]"]
        lines.append(f"run = lens.run({_arguments(scene, goes_in, 'edits')})")
    else:
        lines.append("run = before")
    kind = scene.lens.observation
    encodable = "lens.observed(image)" if scene.converts else "image"
    encodable += "" if kind.low is None else f".clamp({kind.low!r}, {kind.high!r})"
    context = f", context={goes_in}_context" if scene.lens.takes_context else ""
    return "\n".join(
        [
            *lines,
            "",
            "image = run.reconstruction",
            "difference = image - before.reconstruction",
            "code = run.code",
            f"recoded = lens.encode({encodable}{context})  # the code of the image that came out",
            "",
        ]
    )


def _keys(view: View, uses_source: bool) -> list[str]:
    return [view.base, view.source] if uses_source else [view.base]


def _image_lines(scene: Scene, name: str, key: str) -> list[str]:
    if key.startswith(PACKED):
        return [f"{name} = unpacked_picture({key!r})"]
    lines = [f"{name} = ds.images_at([{key}])"]
    if scene.lens.takes_context:
        lines.append(f"{name}_context = ds.context_at(np.array([{key}]))")
    return lines


def _mean_lines(scene: Scene, sites: Sequence[str]) -> list[str]:
    indices = scene.indices.tolist()
    context = f", context=ds.context_at(np.array({indices}))" if scene.lens.takes_context else ""
    lines = [f"shown = lens.run(ds.images_at({indices}){context}{_capture(sites)})"]
    return [*lines, "means = {site: a.mean(dim=0, keepdim=True) for site, a in shown.activations.items()}"]


def _arguments(scene: Scene, name: str, more: str = "") -> str:
    context = f"context={name}_context" if scene.lens.takes_context else ""
    return ", ".join(filter(None, [name, more, context]))


def _capture(sites: Sequence[str]) -> str:
    return f", capture={list(dict.fromkeys(sites))!r}" if sites else ""


def _circuit_edits(scene: Scene, view: View) -> list[str]:
    return [f"vl.Patch({site!r}, {units!r}, before)" for site, units in scene.outside(view).items()]


def _edits(scene: Scene, view: View) -> list[str]:
    move = "Add" if scene.spatial else "Set"
    latents = [f"vl.{move}({LATENT!r}, {latent}, {value!r})" for latent, value in sorted(view.latents.items())]
    return [*latents, *map(_edit, view.edits)]


def _edit(edit: Edit) -> str:
    units = list(edit.units)
    if edit.how == "zero":
        return f"vl.Ablate({edit.site!r}, {units!r}, 'zero')"
    if edit.how == "scale":
        return f"vl.Scale({edit.site!r}, {units!r}, {edit.factor!r})"
    source = "other" if edit.how == "patch" else f"means[{edit.site!r}]"
    return f"vl.Patch({edit.site!r}, {units!r}, {source})"
