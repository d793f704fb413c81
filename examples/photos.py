"""
Photos without labels
=====================

A folder of pictures is a dataset, and needs no labels: instead of factors, the image itself is changed (occluded,
blurred, shifted …), and each latent is watched.
"""

# %%
# Two photographs that scikit-learn carries, cut into 400 pieces, stand for your folder.

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

import vaelens as vl

folder = Path(tempfile.mkdtemp())
where = np.random.default_rng(0)
for photo, name in zip(load_sample_images().images, ("temple", "flower"), strict=True):
    for k in range(200):
        top, left = where.integers(photo.shape[0] - 96), where.integers(photo.shape[1] - 96)
        Image.fromarray(photo[top : top + 96, left : left + 96]).save(folder / f"{name}-{k:03}.jpg")

ds = vl.FolderDataset(folder, size=16)
print(ds)

# %%
# A small VAE of 400 small pictures, trained for seconds. (`vl.Lens` takes a model of yours as well.)

model = vl.build_model("beta-vae", image_shape=ds.image_shape, latent_dim=8, beta=0.3, likelihood="gaussian")
vl.train(model, ds, steps=200, lr=2e-3, progress=False)
analysis = vl.analyse(vl.Lens(model), ds, n=128, only=["latent", "input", "pictures"], progress=False)
reconstructions = analysis.figure("reconstructions")

# %%
# What each latent does, strongest first. Most of what it learnt in this time is brightness and colour, from left to
# right and from top to bottom.

traversals = analysis.figure("traversals")

# %%
# Which latents a manipulation of the pixels moves, in standard deviations of the posterior; below, two random images.

associations = analysis.figure("associations")
