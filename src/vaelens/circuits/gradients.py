"""Gradients of what images have of a direction, with respect to every unit of every site, by one backward pass."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor

from vaelens.lens import LATENT, Lens
from vaelens.lens.cached_part import first_result


def gradients(lens: Lens, images: Tensor, direction: Tensor) -> Mapping[str, Tensor]:
    """Computes ∂<D(mu(x)), direction> / ∂a of each image at every site but the output, (n, units, *positions) by site.

    The model's own forward runs once, under hooks; its weights and their gradients are left as they are.

    Args:
        lens: the lens; its latent is not quantised.
        images: (n, C, H, W).
        direction: of each image, (n, C, H, W).
    """
    parts, sites = lens.engine.parts, lens.sites
    zeros: dict[str, Tensor] = {}  # added to each activation, so that the gradient with respect to them is asked for

    def plus_zero(site: str, activation: Tensor) -> Tensor:
        zeros[site] = torch.zeros_like(activation).requires_grad_()
        return activation + zeros[site]

    def edits(part: str) -> dict[str, Callable[[Tensor], Tensor]]:
        return {site: partial(plus_zero, site) for site in sites.of(part) if site != sites.output}

    with torch.enable_grad():
        encoded, _ = parts.encoder.run(images.to(parts.like), edits("encoder"), (), gradients=True)
        code = plus_zero(LATENT, first_result(encoded))
        decoded, _ = parts.decoder.run(code, edits("decoder"), (), gradients=True)
        outcome = (first_result(decoded) * direction.to(code)).sum()
        by_site = torch.autograd.grad(outcome, list(zeros.values()), materialize_grads=True)
    return dict(zip(zeros, by_site, strict=True))
