"""The scaling with which a diffusion model sees the codes that an autoencoder of diffusers encodes to."""

from typing import Any

import torch

_BY_ITSELF = "_normalize_latents"  # of a model whose encode scales what it returns


def scaling(model: Any) -> str:
    """Says what a diffusion model sees of a model's codes, from its config. Empty where it sees the codes themselves.

        (z − shift) · scaling_factor,   (z − latents_mean) · scaling_factor / latents_std

    Args:
        model: an autoencoder of diffusers.
    """
    if hasattr(model, _BY_ITSELF):
        return "normalised by the model, as a diffusion model sees it"
    seen = "z"
    mean, std = (_by_channel(model, name) for name in ("latents_mean", "latents_std"))
    if mean is not None and std is not None and (mean.any() or (std != 1).any()):
        seen = "(z − latents_mean) / latents_std by channel"
    elif shift := model.config.get("shift_factor"):
        seen = f"(z − {shift:g})"
    factor = model.config.get("scaling_factor")
    if factor not in (None, 1):
        seen = f"{factor:g} · {seen}"
    return "" if seen == "z" else f"the model's own, unscaled; a diffusion model sees {seen}"


def _by_channel(model: Any, name: str) -> torch.Tensor | None:
    """Reads a number for each channel of the latent, from the config or a buffer. None where neither has it."""
    values = model.config.get(name)
    if values is None:
        buffer = model._buffers.get(name)  # as an attribute it would be looked up in the config too, with a warning
        return None if buffer is None or buffer.is_meta else buffer.detach()
    return torch.as_tensor(values)
