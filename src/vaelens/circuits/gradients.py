"""Gradients of images' products with a direction, with respect to every unit of every site, by one backward pass."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens import LATENT, Lens, Region
from vaelens.lens.cached_part import first_result


@dataclass(frozen=True, eq=False)
class Held:
    """Units of a site that are held at values.

    Attributes:
        region: the units.
        values: of the whole site, (n, units, *positions).
    """

    region: Region
    values: Tensor


@dataclass(frozen=True, eq=False)
class SiteGradient:
    """A site's activation, and the gradient with respect to it, (n, units, *positions) each."""

    activation: Tensor
    gradient: Tensor


def gradients(
    lens: Lens, images: Tensor, direction: Tensor, held: Mapping[str, Held] | None = None, first_row: int = 0
) -> Mapping[str, SiteGradient]:
    """Computes ∂<Y, direction> / ∂a of each image at every site but the output, Y the image that comes out.

    The model's own forward runs once, under hooks; its weights and their gradients are left as they are.

    Args:
        lens: the lens; its latent is not quantised.
        images: (n, C, H, W).
        direction: of each image, (n, C, H, W).
        held: by site what is held; nothing by default.
        first_row: where in the order of all images these begin: what a part draws depends on it.

    Raises:
        VaelensError: no gradient passes the encoder, or the decoder.
    """
    parts, sites = lens.engine.parts, lens.sites
    zeros: dict[str, Tensor] = {}  # added to each activation, so that the gradient with respect to them is asked for
    activations: dict[str, Tensor] = {}

    def watched(site: str, activation: Tensor) -> Tensor:
        if held is not None and site in held:
            activation = activation.clone()
            held[site].region.copy(held[site].values.to(activation), activation)
        zeros[site] = torch.zeros_like(activation).requires_grad_()
        activations[site] = activation.detach()
        return activation + zeros[site]

    def edits(part: str) -> dict[str, Callable[[Tensor], Tensor]]:
        return {site: partial(watched, site) for site in sites.of(part) if site != sites.output}

    # What a nonlinearity in place has kept for the backward pass is written over where its site is watched.
    with torch.enable_grad(), torch.autograd.graph.allow_mutation_on_saved_tensors():
        encoded, _ = parts.encoder.run(images.to(parts.like), edits("encoder"), (), first_row, gradients=True)
        of_encoder = parts.codes_in(encoded, images.to(parts.like))
        if zeros and not of_encoder.requires_grad:
            raise _stopped("encode")
        code = parts.in_latents(watched(LATENT, of_encoder))
        decoded, _ = parts.decoder.run(code, edits("decoder"), (), first_row, gradients=True)
        outcome = (first_result(decoded) * direction.to(code)).sum()
        if not outcome.requires_grad:
            raise _stopped("decode")
        try:
            found = torch.autograd.grad(outcome, list(zeros.values()), allow_unused=True)
        except RuntimeError as error:
            if "use_reentrant" not in str(error):
                raise
            raise _stopped("a part") from error
    by_site = dict(zip(zeros, found, strict=True))
    if by_site[LATENT] is None:
        raise _stopped("decode")
    # What nothing passes to the outcome, such as the way to a log-variance, has a gradient of 0.
    return {
        site: SiteGradient(activations[site], zeros[site].detach() if gradient is None else gradient)
        for site, gradient in by_site.items()
    }


def _stopped(part: str) -> VaelensError:
    return VaelensError(
        f"attribution follows gradients, and none pass {part} of this model: it runs without them (torch.no_grad, "
        "detach, NumPy), draws by sample() in place of rsample(), or has reentrant checkpoints; use scorer='exact'"
    )
