"""The latent sweep against the plain loop, and what it reaches of the machine's fastest matrix product.

All that `vl.latent_effects` gives, maps, specificities and intervals included, and its effects alone.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

import vaelens as vl
from benchmarks.contest import Contest, Way, timed
from benchmarks.subject import Subject
from vaelens.effects.codes import codes_of
from vaelens.effects.modes import replacements
from vaelens.effects.sweep import effect_sizes

VALUES = 7  # from −3 to 3
SIZES = (1024, 2048, 3072, 4096)


def contests(subject: Subject) -> Iterator[Contest]:
    """All of it; the effects alone."""
    lens, images = subject.lens, subject.many

    def everything() -> Tensor:
        return torch.as_tensor(vl.latent_effects(lens, images).effect.values)

    def alone() -> Tensor:
        codes = codes_of(lens, images, "all", 0)
        totals = effect_sizes(lens, codes.batch, replacements("range", codes, None, 0), 0, lambda _: None)
        return torch.stack([torch.as_tensor(total.mean) for total in totals])

    loop = Way("loop over latents and values", lambda: looped(subject.model, images)[0])
    mapped = Way("loop that gives maps and the calibration too", lambda: looped(subject.model, images, maps=True)[0])
    whole = Way(
        "loop that gives removal cost, cycle error and reference distance besides",
        lambda: (looped(subject.model, images, maps=True)[0], besides(subject.model, images))[0],
    )
    yield Contest(f"latent effects with maps and intervals, {len(images)} images", everything, [loop, mapped, whole])
    peak, latents = Peak(subject.device), subject.model.latent_dim
    work = 2 * macs(subject.model) * len(images) * (latents * VALUES + 1)

    def note(seconds: Sequence[float]) -> str:
        ours, theirs = (work / spent / 1e9 for spent in seconds)
        return (
            f"Latent effects alone decode {work / 1e9:.0f} GFLOP: ours at {ours:.0f} GFLOP/s, "
            f"{ours / peak.best:.0%} of the fastest fp32 matrix product of the same rounds ({peak.best:.0f} GFLOP/s), "
            f"the loop at {theirs:.0f}, {theirs / peak.best:.0%}."
        )

    yield Contest(f"latent effects alone, {len(images)} images", alone, [loop], peak.measure, note)


@torch.no_grad()
def looped(model: vl.VAE, images: Tensor, maps: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """Mean ‖D(z) − D(z̃_iv)‖ by one forward of the decoder for each latent and value, (latents, values).

    With `maps` also E|Δ| of each pixel, (latents, C, H, W), and the effect of another image's value, (latents,).
    """
    codes = model.encode(images)[0]
    base = model.decode(codes)
    effects, pictures, calibrated = [], [], []

    def change(latent: int, value: float | Tensor) -> Tensor:
        changed = codes.clone()
        changed[:, latent] = value
        return model.decode(changed) - base

    for latent in range(codes.shape[1]):
        of_values, picture = [], torch.zeros_like(base[0])
        for value in torch.linspace(-3, 3, VALUES).tolist():
            difference = change(latent, value)
            of_values.append(mean_norm(difference))
            if maps:
                picture += difference.abs().mean(dim=0) / VALUES
        effects.append(torch.stack(of_values))
        pictures.append(picture)
        if maps:
            calibrated.append(mean_norm(change(latent, codes[:, latent].roll(1))))
    return torch.stack(effects), torch.stack(pictures), torch.as_tensor(calibrated)


@torch.no_grad()
def besides(model: vl.VAE, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cost of each latent's removal in nats, (latents,), |re-encoded − set|, (latents, values), and E‖D(z) − D(z′)‖.

    The first is of every second image where there are over 64, the second of as many as ours takes or so.
    """
    codes = model.encode(images)[0]
    mean = codes.mean(dim=0)
    half = slice(None, None, 1 if len(codes) <= 64 else 2)
    few, again = codes[half], codes[:: len(codes) // (8 + len(codes) // 16) or 1]
    costs, errors = [], []

    def loss(z: Tensor) -> Tensor:
        return functional.binary_cross_entropy(model.decode(z), images[half], reduction="sum") / len(few)

    def changed(of: Tensor, latent: int, value: float | Tensor) -> Tensor:
        z = of.clone()
        z[:, latent] = value
        return z

    kept = loss(few)
    for latent in range(codes.shape[1]):
        costs.append(loss(changed(few, latent, mean[latent])) - kept)
        for value in torch.linspace(-3, 3, VALUES).tolist():
            seen = model.encode(model.decode(changed(again, latent, value)))[0]
            errors.append((seen[:, latent] - value).abs().mean())
    distance = torch.pdist(model.decode(codes).flatten(1)).mean()
    return torch.stack(costs), torch.stack(errors).reshape(-1, VALUES), distance


def mean_norm(difference: Tensor) -> Tensor:
    """The mean over images of the norm over pixels."""
    return difference.flatten(1).norm(dim=1).mean()


@torch.no_grad()
def macs(model: vl.VAE) -> int:
    """Multiply-adds of one decode: the decoder's layers, by their formulas."""
    total, handles = 0, []

    def count(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        if isinstance(layer, nn.Linear):
            total += layer.in_features * output.numel()
        elif isinstance(layer, nn.Conv2d):  # every output sums a kernel over the inputs of its group
            total += output.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        elif isinstance(layer, nn.ConvTranspose2d):  # every input is spread by a kernel over the outputs of its group
            total += arguments[0].numel() * layer.out_channels // layer.groups * math.prod(layer.kernel_size)

    for layer in model.decoder.modules():
        handles.append(layer.register_forward_hook(count))
    model.decode(torch.zeros(1, *model.code_shape, device=next(model.parameters()).device))
    for handle in handles:
        handle.remove()
    return total


class Peak:
    """The fastest of some fp32 matrix products, in GFLOP/s, over all rounds."""

    def __init__(self, device: str):
        self.device, self.best = device, 0.0
        generator = torch.Generator().manual_seed(0)
        self._matrices = [torch.rand(2, size, size, generator=generator).to(device) for size in SIZES]

    def measure(self) -> None:
        for a, b in self._matrices:
            timed(lambda a=a, b=b: a @ b, self.device)
            spent = timed(lambda a=a, b=b: a @ b, self.device)
            self.best = max(self.best, 2 * len(a) ** 3 / spent / 1e9)
