"""The parts of scvi-tools' models of RNA counts, which are SCVI, LinearSCVI, SCANVI and the RNA part of TOTALVI.

A lens on one takes counts (n, genes) and a context, the batch of each cell, and decodes to log-normalised expression,
log(1 + 10,000 · px_scale): scvi's mean share of each gene, which no library size changes.
"""

from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.lineage import lineage
from vaelens.lens.adapters.totalvi import PROTEINS, totalvi_parts
from vaelens.models.counts import NORMALISED, NORMALISED_TO, as_counts, check_not_negative, log_normalised
from vaelens.observation import Observation

PACKAGE, DISTRIBUTION = "scvi", "scvi-tools"
_KNOWN = {"SCVI", "LinearSCVI", "SCANVI", "TOTALVI"}


def scvi_module(model: Any) -> nn.Module | None:
    """Returns the module inside a model of scvi-tools, which is none itself, or None for anything else."""
    module = getattr(model, "module", None)
    return module if isinstance(module, nn.Module) and lineage(model, PACKAGE) else None


def scvi(model: Any) -> Adapter | None:
    """Returns the adapter of a model of scvi-tools, or None for any other model.

    Raises:
        VaelensError: a model of scvi-tools of another kind, or one whose data were minified.
    """
    module: Any = scvi_module(model)
    if module is None:
        return None
    name = lineage(model, PACKAGE)[0]
    if not _KNOWN & {*lineage(model, PACKAGE)}:
        raise VaelensError(
            f"{name} is not one of scvi-tools' models that the lens knows, {', '.join(sorted(_KNOWN))}; give the lens "
            "its module, with encode= and decode="
        )
    if getattr(module, "minified_data_type", None) is not None:
        raise VaelensError(
            f"the data of this {name} were minified, so there are no counts; load the model with all data"
        )

    def given(context: Any) -> tuple[Any, Any, Any]:
        """Splits a context into batch (n, 1), continuous covariates or None, and categorical ones, (n, 1) each."""
        categorical = context.get("cat_covs")
        split = () if categorical is None else torch.split(categorical, 1, dim=1)
        return context["batch"].reshape(-1, 1), context.get("cont_covs"), split

    def encode(counts: Any, context: Any) -> Any:
        batch, continuous, categorical = given(context)
        x = torch.log1p(counts) if module.log_variational else counts
        if not module.encode_covariates:
            continuous, categorical = None, ()
        if continuous is not None:
            x = torch.cat([x, continuous], dim=-1)
        encoder, inputs = module.z_encoder, [batch, *categorical]
        if module.batch_representation == "embedding" and module.encode_covariates:
            x, inputs = torch.cat([x, module.compute_embedding("batch", batch)], dim=-1), [*categorical]
        hidden = encoder.encoder(x, *inputs)
        variance = encoder.var_activation(encoder.var_encoder(hidden)) + encoder.var_eps
        return encoder.mean_encoder(hidden), torch.log(variance)

    def decode(codes: Any, context: Any) -> Any:
        batch, continuous, categorical = given(context)
        z = module.z_encoder.z_transformation(codes)
        if continuous is not None:
            z = torch.cat([z, continuous], dim=-1)
        inputs = [batch, *categorical]
        if module.batch_representation == "embedding":
            z, inputs = torch.cat([z, module.compute_embedding("batch", batch)], dim=-1), [*categorical]
        if hasattr(module.decoder, "px_scale_decoder"):
            share = module.decoder.px_scale_decoder(module.decoder.px_decoder(z, *inputs))
        else:  # the linear decoder; shares do not depend on the library
            share = module.decoder("gene", z, codes[:, :1] * 0, *inputs)[0]
        return torch.log1p(NORMALISED_TO * share)

    if "TOTALVI" in lineage(model, PACKAGE):
        encode, decode = totalvi_parts(module, given)
    genes = [str(gene) for gene in model.adata_manager.get_state_registry("X")["column_names"]]
    observation = Observation.vector(genes, unit=NORMALISED, noun="cells")
    return Adapter(
        encode,
        decode,
        None,
        torch.ones(1, len(genes)),
        observation=observation,
        context=_context(model),
        target=log_normalised,
        observed=as_counts,
        check=check_not_negative,
    )


def _context(model: Any) -> dict[str, Tensor]:
    """Builds the context of one cell as an example, in the form that the model takes."""
    registry = model.adata_manager.data_registry
    context = {"batch": torch.zeros(1, dtype=torch.int64)}
    for name, key in (("cat_covs", "extra_categorical_covs"), ("cont_covs", "extra_continuous_covs")):
        if key in registry:
            width = model.adata_manager.get_from_registry(key).shape[1]
            kind = torch.int64 if name == "cat_covs" else torch.float32
            context[name] = torch.zeros(1, width, dtype=kind)
    if "proteins" in registry:
        context[PROTEINS] = torch.ones(1, model.adata_manager.get_from_registry("proteins").shape[1])
    return context
