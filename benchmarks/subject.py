"""What the contests are about: a VAE of the library's backbone, trained a little, and images of sprites.

Trained, because of an untrained model's units many are zero on every image, and ours passes over those for nothing.
"""

import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import vaelens as vl

PARTS = ("encoder", "decoder")


@dataclass(frozen=True)
class Subject:
    """The model and its images.

    Attributes:
        pairs: pairs of images for patching and mediation.
        images: images for the latent sweep.
        side: of the images; smaller than 64 is for tests.
        steps: of training; 0 leaves the model as it is built.
        device: where all is computed.
        folder: a saved model to take instead of a new one.
    """

    pairs: int = 64
    images: int = 256
    side: int = 64
    steps: int = 300
    device: str = "cpu"
    folder: Path | None = None

    @cached_property
    def model(self) -> vl.VAE:
        if self.folder is not None:
            return vl.VAE.from_pretrained(self.folder).to(self.device)
        model = vl.build_model("vae", (1, self.side, self.side))
        if self.steps:
            data: Any = vl.load_dataset("sprites") if self.side == 64 else self.drawn(2048, seed=2)
            vl.train(model, data, steps=self.steps, progress=False, device=self.device)
        return model.eval().to(self.device)

    @cached_property
    def lens(self) -> vl.Lens:
        return vl.Lens(self.model)

    @cached_property
    def base(self) -> Tensor:
        return self.drawn(self.pairs, seed=0)

    @cached_property
    def source(self) -> Tensor:
        return self.drawn(self.pairs, seed=1)

    @cached_property
    def many(self) -> Tensor:
        return self.drawn(self.images, seed=3)

    def drawn(self, count: int, seed: int) -> Tensor:
        """Images of sprites, (count, 1, side, side); smaller ones by means over squares."""
        x, _ = vl.load_dataset("sprites").sample(count, seed=seed)
        return nn.functional.avg_pool2d(x, 64 // self.side).to(self.device)

    def sites(self, *parts: str) -> list[str]:
        """The sites that are swept: without the latent, and without the decoder's output, downstream of all."""
        return [name for name in self.lens.sites.of(*parts) if name != self.lens.sites.output]

    def __str__(self) -> str:
        trained = f"trained for {self.steps} steps on sprites" if self.steps else "untrained"
        return f"`vae` of {self.side}×{self.side}×1 images, {trained}; {self.pairs} pairs of images"


class Part(nn.Module):
    """The encoder or the decoder of a copy of a VAE, alone: images to codes, or codes to images.

    A copy, because what others attach to a model may stay there.
    """

    def __init__(self, model: vl.VAE, name: str):
        super().__init__()
        self.vae, self.name = copy.deepcopy(model), name

    def forward(self, inputs: Tensor) -> Tensor:
        return self.vae.encode(inputs)[0] if self.name == "encoder" else self.vae.decode(inputs)

    @property
    def points(self) -> list[str]:
        """The modules whose outputs are the sites' activations, as the lens defines them, by hand."""
        return [f"vae.{self.name}.{name}" for name in point_names(getattr(self.vae, self.name))]

    @torch.no_grad()
    def inputs(self, images: Tensor) -> Tensor:
        """What this part is given when the VAE is given images."""
        return images if self.name == "encoder" else self.vae.encode(images)[0]


def point_names(layers: nn.Module) -> list[str]:
    """The last module of each stage but the output: a ReLU, or the reshape that follows one."""
    children = list(layers.named_children())
    ends = [isinstance(module, nn.ReLU | nn.Unflatten) for _, module in children]
    after = [*(isinstance(module, nn.Unflatten) for _, module in children[1:]), False]
    return [name for (name, _), end, unflattened in zip(children, ends, after, strict=True) if end and not unflattened]
