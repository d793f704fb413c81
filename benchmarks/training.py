"""Training by `vl.train` against a bare loop over the same step, data drawing included.

The bare loop has the same memory layout and the same fused optimisers; what is compared is all that `train` adds:
Lightning, the ledger, the checks of the images, the progress of both start-ups.
"""

import numpy as np
import torch

import vaelens as vl
from benchmarks.contest import Contest, Way
from benchmarks.subject import Subject
from vaelens.models.step import TrainingStep

STEPS, BATCH = 100, 64
MODELS = ("vae", "beta-tc-vae", "factor-vae", "vq-vae")


def contests(subject: Subject) -> list[Contest]:
    """The 64×64 backbone on sprites, batches of 64; of the subject only the device is taken."""
    ds = vl.load_dataset("sprites")

    def contest(name: str) -> Contest:
        def ours() -> None:
            model = vl.build_model(name, ds.image_shape)
            vl.train(model, ds, steps=STEPS, batch_size=BATCH, progress=False, device=subject.device)

        def bare() -> None:
            model = vl.build_model(name, ds.image_shape).train().to(subject.device)
            model.to(memory_format=torch.channels_last)
            step = TrainingStep(model, len(ds), seed=0).to(subject.device)
            trained = [model] if step.discriminator is None else [model, step.discriminator]
            optimisers = [torch.optim.Adam(module.parameters(), lr=1e-3, fused=True) for module in trained]
            rng, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
            for number in range(STEPS):
                images = ds.images_at(rng.integers(len(ds), size=BATCH)).to(subject.device)
                losses = step(images, number, noise)
                for optimiser, loss in zip(optimisers, losses.minimised, strict=True):
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()

        return Contest(f"training {name}, {STEPS} steps", ours, [Way("a bare PyTorch loop", bare)])

    return [contest(name) for name in MODELS]
