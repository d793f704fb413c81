"""The description of a model under a lens, which stands beside the numbers that are measured on it."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from vaelens.lens.adapters import library
from vaelens.lens.sites import Sites
from vaelens.lens.weights import weights_hash
from vaelens.markup import text
from vaelens.models import VAE


def name_of(module: nn.Module) -> str:
    """Returns the objective of a vaelens VAE, or the class of anything else."""
    return module.objective if isinstance(module, VAE) else type(module).__name__


def printed(module: nn.Module, sites: Sites, execution: Mapping[str, str], codes: int | None) -> str:
    """Describes in words the model under a lens, the table of its sites, and how sweeps run each part.

    Args:
        module: the model.
        sites: its sites.
        execution: how sweeps run each part.
        codes: how many codes its codebook has, None without one.
    """
    head = f"Lens on {name_of(module)}" + ("" if codes is None else f", quantised by {codes} codes")
    ways = [f"sweeps run the {part} by {way}" for part, way in execution.items()]
    bare = [part for part in execution if not sites.of(part)]
    but = {"encoder": ", but the one that gives the latent"}
    notes = [
        f"the {part} has no sites: no layer in it takes hooks and keeps the images in order{but.get(part, '')}"
        for part in bare
    ]
    return "\n".join([head, repr(sites), *ways, *notes])


def in_html(lens: Any) -> str:
    """Writes what `printed` says of a lens as HTML, as notebooks show it."""
    head, *rest = repr(lens).replace(repr(lens.sites), "").split("\n")
    notes = "".join(f"<p>{text(note)}</p>" for note in rest if note)
    return f"<p><strong>{text(head)}</strong></p>{lens.sites._repr_html_()}{notes}"


def describe(module: nn.Module, codes: int | None) -> dict[str, Any]:
    """Describes a model by its class or objective, library or hyperparameters, size and hash of the weights.

    All are of types that JSON holds. `latent` says "continuous" or "quantised", and `codes` how many there are of a
    quantised one.

    Args:
        module: the model.
        codes: how many codes its codebook has, None without one.
    """
    record: dict[str, Any] = {"model": name_of(module)}
    if isinstance(module, VAE):
        record["hyperparameters"] = dict(module.hyperparameters)
    elif (made_with := library(module)) is not None:
        record["library"] = made_with
    record |= {"latent": "continuous"} if codes is None else {"latent": "quantised", "codes": codes}
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return {**record, "parameters": parameters, "weights_sha256": weights_hash(module)}
