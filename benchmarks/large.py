"""What a lens on a large model takes: the autoencoder of Stable Diffusion 1.5, with random weights.

    python -m benchmarks.large [--side 512] [--images 2] [--device cpu] [--execution auto]

Prints, as each is done, its seconds and the most memory that was held while it ran, the model and all else included: on
a GPU of the device, elsewhere the process's resident memory, as Linux counts it. Needs diffusers.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

import vaelens as vl
from benchmarks.machine import processor
from benchmarks.peaks import most_held

WIDTH = 128  # channels of the first block
VALUES = (-2.0, 2.0)

Step = Callable[[vl.Lens, Tensor], Any]


def autoencoder(width: int = WIDTH) -> Any:
    """Its configuration, as the published weights have it; the first block may be narrower."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(width, 2 * width, 4 * width, 4 * width),
        layers_per_block=2,
        act_fn="silu",
        latent_channels=4,
        norm_num_groups=32,
        sample_size=512,
        scaling_factor=0.18215,
    )


def middle(lens: vl.Lens) -> str:
    """A site in the middle of the decoder."""
    sites = lens.sites.of("decoder")
    return sites[len(sites) // 2]


STEPS: Mapping[str, Step] = {
    "sites found, all images encoded": lambda lens, x: lens.encode(x),
    "a channel ablated": lambda lens, x: lens.run(x[:1], vl.Ablate(middle(lens), 0), capture="decoder.0"),
    f"`latent_effects`, {len(VALUES)} values": lambda lens, x: vl.latent_effects(
        lens, x, values=VALUES, progress=False
    ),
    "`patching_effects` of the latent": lambda lens, x: vl.patching_effects(
        lens, x[:1], x[1:2], sites="latent", progress=False
    ),
    "`mediation_effects` by the latent": lambda lens, x: vl.mediation_effects(
        lens, x[:1], x[1:2], "latent", units="all", progress=False
    ),
    "`input_effects`, one manipulation of one image": lambda lens, x: vl.input_effects(
        lens, vl.ArrayDataset(x), manipulations="noise", n=1, progress=False
    ),
}


def rows(lens: vl.Lens, images: Tensor, device: str) -> Iterator[str]:
    """A line of the table for each step, as it is done."""
    for label, step in STEPS.items():
        most_held(device, anew=True)
        began = perf_counter()
        step(lens, images)
        yield f"| {label} | {perf_counter() - began:.0f} s | {most_held(device) / 2**30:.1f} GB |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.large", description=__doc__)
    parser.add_argument("--side", type=int, default=512, help="of the images (default 512)")
    parser.add_argument("--images", type=int, default=2, help="how many, 2 or more (default 2)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--execution", default="auto", help="how the lens runs the model (default auto)")
    given = parser.parse_args()
    model = autoencoder().to(given.device)
    images = torch.rand(given.images, 3, given.side, given.side)
    weights = sum(weight.numel() for weight in model.parameters())
    print(
        f"{processor(given.device)}, PyTorch {torch.__version__}; AutoencoderKL, {weights / 1e6:.0f} million weights,"
    )
    print(f"{given.images} images of {given.side}×{given.side}×3\n")
    print("| what | time | most memory |\n|---|---|---|")
    for row in rows(vl.Lens(model, execution=given.execution), images, given.device):
        print(row, flush=True)


if __name__ == "__main__":
    main()
