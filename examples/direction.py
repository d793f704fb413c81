"""
Directions
==========

What a VAE has learned need not lie along its axes. A direction of any site's activations stands wherever units do: set
it, patch it, let it mediate. Beside it stands how much of it the next layer cannot see.
"""

# %%
# A VAE of small pictures of a shape.

import torch
from matplotlib.figure import Figure

import vaelens as vl

ds = vl.load_dataset("sprites", size=16)
model = vl.build_model("vae", image_shape=ds.image_shape, latent_dim=6, seed=0)
vl.train(model, ds, steps=300, lr=2e-3, progress=False)
lens = vl.Lens(model)
x, _ = ds.sample(64)

# %%
# From the leftmost to the rightmost place, by the means of the codes at either; and the principal components of all
# codes. `vl.Direction.from_probe` takes the weights of a linear probe of scikit-learn.

right = vl.Direction.between(lens, ds, "position_x", (0, 31), n=4096)
components = vl.Direction.principal(lens, x, k=3)
right, right.vectors.numpy().round(2)

# %%
# How far a step along each moves the image, beside the same of the latents.

along = vl.latent_effects(lens, x, units=right, progress=False)
of_components = vl.latent_effects(lens, x, units=components, progress=False)
of_latents = vl.latent_effects(lens, x, progress=False)
print("to the right", along.ces.values.round(2))
print("components  ", of_components.ces.values.round(2))
print("latents     ", of_latents.ces.values.round(2))

# %%
# Several steps along the direction: the shape goes to the right.

steps = torch.linspace(-3, 3, 7)
shifted = torch.cat([lens.run(x[:1], vl.Set("latent", right, float(step))).reconstruction for step in steps])
figure = Figure(figsize=(7, 1.3), layout="constrained")
for axis, image, step in zip(figure.subplots(1, len(steps)), shifted, steps, strict=True):
    axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
    axis.set_title(f"{float(step):+.0f}", fontsize=8)
    axis.axis("off")

# %%
# A direction of a wide layer: the encoder's last has 256 neurons, and the next layer reads 12 numbers of them. A
# direction that is taken from the data lies in what is read for a part only; the rest of a patch along it is in vain.

pairs = ds.pairs("position_x", 64)
hidden = vl.Direction.between(lens, ds, "position_x", (0, 31), site="encoder.2", n=4096)
patched = vl.patching_effects(lens, pairs.x, pairs.x2, units=hidden, progress=False)
patched[["recovered", "recovered_low", "recovered_high", "unseen_share", "unseen_change"]].to_dataframe().T

# %%
# Directions that work together are a subspace, patched as one: does the image's place pass through three components?

subspace = vl.Direction(components.site, components.vectors, together=True)
mediated = vl.mediation_effects(lens, pairs.x, pairs.x2, "latent", units=subspace, progress=False)
mediated[["indirect", "indirect_low", "indirect_high", "direct"]].to_dataframe().T
