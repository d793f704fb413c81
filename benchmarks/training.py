"""Training by `vl.train` against a bare loop over the same step, data drawing included."""

import numpy as np
import torch

import vaelens as vl
from benchmarks.contest import Contest

STEPS, BATCH = 60, 64


def contests() -> list[Contest]:
    """The 64×64 backbone on sprites, batches of 64."""
    ds = vl.load_dataset("sprites")

    def ours() -> None:
        vl.train(vl.build_model("vae", ds.image_shape), ds, steps=STEPS, batch_size=BATCH, progress=False, device="cpu")

    def bare() -> None:
        model = vl.build_model("vae", ds.image_shape).train()
        optimiser = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
        rng, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
        for _ in range(STEPS):
            images = ds.images_at(rng.integers(len(ds), size=BATCH))
            loss = model.loss_terms(images, noise)["loss"]
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    return [Contest(f"training, {STEPS} steps", "a bare PyTorch loop", ours, bare)]
