"""
A table
=======

Columns of numbers and of classes side by side: each is decoded by its kind, a number as a Gaussian's mean, a class as
probabilities, and how far a latent moves a row is told in Gower's distance, in which each column counts the same.
"""

# %%
# The 178 wines that scikit-learn carries. The colour is made a column of classes, and the cultivar is kept as a label,
# which the model never sees.

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.datasets import load_wine

import vaelens as vl

wines = load_wine(as_frame=True)
columns = ["alcohol", "malic_acid", "flavanoids", "proline", "color_intensity"]
frame = wines.frame[columns].assign(cultivar=wines.target)
frame["colour"] = pd.cut(frame.pop("color_intensity"), [0, 3, 6, 99], labels=["light", "medium", "dark"]).astype(str)
ds = vl.TableDataset(frame, factors=["cultivar"])
print(ds, ds.observation.features, sep="\n")

# %%
# A model built of the observation knows the columns, and their kinds.

gower = ds.observation.with_gower(ds.images_at(range(len(ds))))
model = vl.build_model("vae", gower, latent_dim=3, seed=1)
vl.train(model, ds, steps=600, lr=2e-3, progress=False)
lens = vl.Lens(model)
ds.frame_of(lens.reconstruct(ds.images_at(range(4))))  # back in the table's own units and classes

# %%
# How far each latent moves a row, from 0 to at most about 1, with its interval, and how much of that is in one column.

effects = vl.latent_effects(lens, ds.images_at(range(len(ds))), over="groups", progress=False)
effects[["ces", "ces_low", "ces_high", "specificity_normalised"]].to_pandas().round(3)

# %%
# What each latent changes: numbers in standard deviations, classes by their probability.

changes = effects.effect_map.to_pandas().T
figure = Figure(figsize=(4.5, 3), layout="constrained")
axis = figure.subplots()
axis.imshow(changes, cmap="Blues", vmin=0, aspect="auto")
axis.set_yticks(range(len(changes)), changes.index)
axis.set_xticks(range(3), [f"latent {latent}" for latent in changes])
for (row, latent), change in np.ndenumerate(changes.to_numpy()):
    axis.text(latent, row, f"{change:.2f}", ha="center", va="center", color="white" if change > 0.7 else "black")

# %%
# An intervention on the input: every wine is given another one's flavanoids. What that moves, latent by latent, in
# standard deviations of the posterior.

swapped = {"another's flavanoids": vl.Manipulation("permute", features="flavanoids")}
vl.manipulation_effects(lens, ds, swapped, n=178, progress=False).latent_shift.to_pandas().round(2)
