"""The forward of a run, in which chunks of images go through encoder, latent and decoder, with interventions."""

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens.batch import Batch
from vaelens.lens.bound_intervention import BoundIntervention, edits_for
from vaelens.lens.execution import ActivationEdit
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.run import Activations, Run
from vaelens.lens.sites import LATENT, Sites


@torch.no_grad()
def forward(
    parts: ModelParts,
    sites: Sites,
    images: Batch,
    rows: int,
    interventions: Sequence[BoundIntervention],
    capture: Collection[str],
    sample: bool,
    seed: int,
) -> Run:
    """Sends checked images through a model, `rows` at a time, and returns the run.

    Args:
        parts: the model.
        sites: its sites.
        images: the observations and their context.
        rows: images of a chunk.
        interventions: bound to their sites.
        capture: names of the sites whose activations to keep.
        sample: use a code drawn from q(z|x) instead of its mean.
        seed: draws the posterior noise, for all images at once, and whatever the model draws, chunk by chunk.

    Raises:
        VaelensError: a sample asked of an encoder without variance, an intervention that never took place.
    """
    noise = _noise(len(images), sites, seed) if sample else None
    codes, outputs, activations = [], [], {name: [] for name in capture}
    for start in range(0, len(images), rows):
        chunk = slice(start, min(start + rows, len(images)))
        edits = edits_for(chunk, interventions)
        encoded = parts.encode(images[chunk], *_inside(sites.of("encoder"), edits, capture), seed=seed + start)
        code = encoded.mean
        if noise is not None:
            if encoded.deviation is None:
                raise VaelensError("this encoder gives no variance, so codes can't be sampled; use sample=False")
            code = code + encoded.deviation(noise[chunk].to(code))
        if LATENT in edits:
            code = edits[LATENT](code)
        decoded = parts.decode(
            images[chunk].with_values(code), *_inside(sites.of("decoder"), edits, capture), seed=seed + start
        )
        codes.append(code)
        outputs.append(decoded.images)
        chunk_activations = {LATENT: code, **encoded.activations, **decoded.activations}
        for name in capture:
            activations[name].append(chunk_activations[name])
    return Run(
        code=torch.cat(codes),
        reconstruction=torch.cat(outputs),
        activations=Activations({name: torch.cat(chunks) for name, chunks in activations.items()}, sites),
        hits=tuple(bound.report() for bound in interventions),
    )


def _inside(
    names: Collection[str], edits: Mapping[str, ActivationEdit], capture: Collection[str]
) -> tuple[dict[str, ActivationEdit], list[str]]:
    return {name: edit for name, edit in edits.items() if name in names}, [c for c in capture if c in names]


def _noise(images: int, sites: Sites, seed: int) -> Tensor:
    return torch.randn(images, *sites[LATENT].shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float32)
