"""
A codebook
==========

A VQ-VAE's latent is a grid of codes. Setting one of its numbers, as with a continuous latent, is more or less quantised
away; swapping a code for another one in use is the intervention that fits.
"""

# %%
# 32 codes of 8 dimensions on a grid of positions.

import vaelens as vl

ds = vl.load_dataset("sprites", size=16)
model = vl.build_model("vq-vae", image_shape=ds.image_shape, latent_dim=8, codes=32)
vl.train(model, ds, steps=200, lr=2e-3, progress=False)
lens = vl.Lens(model)
lens

# %%
# Which codes are taken where, and how far a swap at each position moves the image.

analysis = vl.analyse(lens, ds, n=96, only=["latent", "swap", "one_position", "codes", "pictures"], progress=False)
positions = analysis.figure("positions")

# %%
# The same picture with another code at one position, where swaps act most.

swaps = analysis.figure("swaps")

# %%
# Code by code: how often each is taken, how far the image moves when another takes its place at one position, and how
# far beyond the position's own cell that is seen. `vl.code_effects` has exemplars and maps besides; reports show them.

analysis.table("codes")[["share", "images", "effect_once", "effect_once_low", "effect_once_high", "reach"]].head(8)

# %%
# Relative CES: a swap of one code against one of its dimensions set at one position.

analysis.table("scores").loc[["ces_relative_swap", "ces_relative_one_position"], ["label", "value", "low", "high"]]
