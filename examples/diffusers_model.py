"""
An autoencoder of diffusers
===========================

`AutoencoderKL`, its relatives and `VQModel` are known to the lens. This one is tiny, and trained for seconds; that of
Stable Diffusion is loaded by `AutoencoderKL.from_pretrained` and looked at with the same lines. Images are in [0, 1]
here, whatever the model wants; the latent is that of the model, not multiplied by its `scaling_factor`.
"""

# %%
# A latent with positions: 2 channels on a grid of 4 × 4.

import torch
from diffusers import AutoencoderKL
from matplotlib.figure import Figure

import vaelens as vl

torch.manual_seed(0)
ds = vl.load_dataset("sprites", size=16)
images, _ = ds.sample(2048, seed=1)
model = AutoencoderKL(
    in_channels=1,
    out_channels=1,
    latent_channels=2,
    block_out_channels=(8, 8, 16),
    norm_num_groups=4,
    down_block_types=("DownEncoderBlock2D",) * 3,
    up_block_types=("UpDecoderBlock2D",) * 3,
    sample_size=16,
)
optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
for step in range(80):
    batch = images[torch.randint(len(images), (32,))] * 2 - 1
    posterior = model.encode(batch).latent_dist
    loss = (model.decode(posterior.sample()).sample - batch).square().sum() / 32 + 0.01 * posterior.kl().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# Its blocks are sites by their own names, beside the layers in them.

lens = vl.Lens(model)
print("\n".join(name for name in lens.sites if "block" in name or name == "latent"))

# %%
# Patching: each channel of some blocks is given its values from another image; what fraction of that image's
# reconstruction does it bring along?

base, source = images[:24], images[24:48]
patched = vl.patching_effects(lens, base, source, sites=["latent", "decoder.mid_block", "decoder.up_blocks.*"])
largest = patched.recovered.groupby("site").max().to_series().sort_values()

figure = Figure(figsize=(6, 2.2), layout="constrained")
axis = figure.add_subplot(xlabel="largest fraction that one channel recovers")
axis.barh(largest.index, largest)
largest

# %%
# The latent can be ablated at some of its positions alone: a box of positions stands beside the units.

run = lens.run(base, vl.Ablate("latent", [0, 1], positions=((0, 2), (0, 4))))
run.hits
