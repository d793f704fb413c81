"""Sweeps over units and latents, against the plain way: one forward with one hook for each."""

import torch

import vaelens as vl
from benchmarks.contest import Contest

PAIRS = 64
VALUES = torch.linspace(-3, 3, 7)


def contests() -> list[Contest]:
    """Patching of all units of the encoder and of the decoder, and the latent sweep, on the 64×64 backbone."""
    ds = vl.load_dataset("sprites")
    model = vl.build_model("vae", ds.image_shape).eval()
    lens = vl.Lens(model)
    x, _ = ds.sample(2 * PAIRS, seed=0)
    base, source = x[:PAIRS], x[PAIRS:]
    sites = {part: [s for s in lens.sites.of(part) if s != lens.sites.output] for part in ("encoder", "decoder")}

    def patching(part: str) -> Contest:
        def ours() -> torch.Tensor:
            return torch.as_tensor(vl.patching_effects(lens, base, source, sites=sites[part]).effect.values)

        def hooks() -> torch.Tensor:
            return hooked_patching(model, part, base, source)

        return Contest(f"patching, all {part} units", "forward hooks", ours, hooks, lambda: difference(ours(), hooks()))

    def sweep() -> torch.Tensor:
        return torch.as_tensor(vl.latent_effects(lens, base).effect.values)

    def loop() -> torch.Tensor:
        return looped_sweep(model, base)

    return [
        patching("encoder"),
        patching("decoder"),
        Contest(
            "latent effects, with maps and intervals",
            "loop over latents and values",
            sweep,
            loop,
            lambda: difference(sweep(), loop()),
        ),
    ]


@torch.no_grad()
def hooked_patching(model: vl.VAE, part: str, base: torch.Tensor, source: torch.Tensor) -> torch.Tensor:
    """Mean ‖f_patched − f_base‖ of every unit, by one forward of the part for each unit."""
    module = getattr(model, part)
    # The stages as the lens defines them, but for the encoder's head and the decoder's output.
    points = [c for c in module if isinstance(c, torch.nn.ReLU | torch.nn.Unflatten)]
    points = [
        c for k, c in enumerate(points) if not (k + 1 < len(points) and isinstance(points[k + 1], torch.nn.Unflatten))
    ]

    def run(inputs: torch.Tensor) -> torch.Tensor:
        return model.encode(inputs)[0] if part == "encoder" else model.decode(inputs)

    inputs, others = (base, source) if part == "encoder" else (model.encode(base)[0], model.encode(source)[0])
    unpatched = run(inputs)
    effects = []
    for point in points:
        kept: list[torch.Tensor] = []
        handle = point.register_forward_hook(lambda module, arguments, output, kept=kept: kept.append(output))
        run(others)
        handle.remove()
        for unit in range(kept[0].shape[1]):

            def patch(module, arguments, output, unit=unit, given=kept[0]):
                output = output.clone()
                output[:, unit] = given[:, unit]
                return output

            handle = point.register_forward_hook(patch)
            effects.append((run(inputs) - unpatched).flatten(1).norm(dim=1).mean())
            handle.remove()
    return torch.stack(effects)


@torch.no_grad()
def looped_sweep(model: vl.VAE, images: torch.Tensor) -> torch.Tensor:
    """Mean ‖D(z) − D(z̃_iv)‖ by one forward of the decoder for each latent and value."""
    codes = model.encode(images)[0]
    base = model.decode(codes)
    rows = []
    for latent in range(codes.shape[1]):
        row = []
        for value in VALUES:
            changed = codes.clone()
            changed[:, latent] = value
            row.append((model.decode(changed) - base).flatten(1).norm(dim=1).mean())
        rows.append(torch.stack(row))
    return torch.stack(rows)


def difference(ours: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference, relative to the largest value."""
    return float((ours - other).abs().max() / other.abs().max())
