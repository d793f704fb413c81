"""The choice of an adapter, by the parts that a user names or else by the first family that knows the model."""

from importlib.metadata import version
from typing import Any

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.diffusers import diffusers
from vaelens.lens.adapters.lineage import lineage
from vaelens.lens.adapters.own import own
from vaelens.lens.adapters.pythae import pythae
from vaelens.lens.adapters.quantisers import quantisation_of
from vaelens.lens.adapters.scvi import DISTRIBUTION, PACKAGE, scvi, scvi_module
from vaelens.lens.adapters.tvae import TVAE, tvae_module
from vaelens.lens.adapters.tvae_table import ctgan

FAMILIES = {
    "vaelens": own,
    "pythae": pythae,
    "diffusers": diffusers,
    "scvi": scvi,
    "ctgan": ctgan,
}  # by the package that a model comes from


def adapted(model: Any, encode: Any, decode: Any, codebook: Any = None, quantise: Any = None) -> Adapter:
    """Returns the adapter of the parts that a user names, or of a model that is known.

    Raises:
        VaelensError: a model of unknown kind without `encode` and `decode`; one of two that belong together; parts
            named of a model that brings its own.
    """
    if (encode is None) != (decode is None):
        raise VaelensError("encode and decode belong together: give both, or neither for a model that the lens knows")
    if codebook is None and quantise is not None:
        raise VaelensError("quantise chooses codes of a codebook, and none was given; give codebook= as well")
    if encode is not None:
        return Adapter(encode, decode, None if codebook is None else quantisation_of(codebook, quantise))
    for family in FAMILIES.values():
        adapter = family(model)
        if adapter is None:
            continue
        if codebook is not None:
            raise VaelensError(
                f"a {type(model).__name__} brings its own codebook, where it has one; leave codebook= out, or give "
                "encode= and decode= too"
            )
        return adapter
    raise VaelensError(
        f"{type(model).__name__} is not a model that the lens knows: a vaelens VAE, a Pythae model, an autoencoder of "
        "diffusers with encode and decode, an SCVI, a TVAE; say where its encoder and decoder are: "
        "Lens(model, encode=f, decode=g) with f(x) -> code or (mean, log-variance), g(z) -> mean of x"
    )


def unwrapped(model: Any) -> Any:
    """Returns the model inside a wrapper that spreads it over devices, or the model itself."""
    while isinstance(model, nn.DataParallel | DistributedDataParallel):
        model = model.module
    return model


def module_of(model: Any) -> nn.Module:
    """Returns the module that a model is, or that a model of scvi-tools or ctgan has inside.

    Raises:
        VaelensError: neither.
    """
    module = model if isinstance(model, nn.Module) else scvi_module(model) or tvae_module(model)
    if module is None:
        raise VaelensError(f"a Lens looks at a torch.nn.Module; got a {type(model).__name__}")
    return module


def library(model: nn.Module) -> str | None:
    """Returns the name and version of the library, other than vaelens, that a model's class comes from, or None."""
    for package in FAMILIES:
        if package != "vaelens" and lineage(model.encoder if isinstance(model, TVAE) else model, package):
            return f"{package} {version(DISTRIBUTION if package == PACKAGE else package)}"
    return None
