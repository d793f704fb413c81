"""
A figure and a table for a paper
================================

`analysis.figure(name)` is a matplotlib figure: change it like any other, and save it as PDF, SVG or PNG. No window, no
browser, nothing shown by itself. `analysis.table(name)` is a DataFrame with the numbers.
"""

# %%
# Any analysis will do, also one that was saved: `vl.Analysis.load(folder)`. This one is of a model whose weights
# were set by hand, which needs no training.

import tempfile
from pathlib import Path

import vaelens as vl

planted = vl.planted_model("rotated", convolutional=True, seed=1)
parts = ["latent", "modes", "input", "patching"]
analysis = vl.analyse(planted.lens, planted.dataset, n=128, only=parts, progress=False)

# %%
# A column of a page of two is 3.25 inches wide; a page's text is 6.5.

figure = analysis.figure("modes", width=5.0)
axis = figure.axes[0]
axis.set_title("How strong each latent is depends on how it is set", size=9)
distance = float(analysis.effects["latent"].attrs["reference_distance"])
axis.axhline(distance, color="black", linestyle=":", linewidth=1)
axis.annotate("distance of two reconstructions", (-0.5, distance), va="bottom", size=7)
axis.set_ylim(0, 1.15 * distance)
folder = Path(tempfile.mkdtemp())
for ending in ("pdf", "svg", "png"):
    figure.savefig(folder / f"modes.{ending}")

# %%
# A unit's recovered fraction, by site:

recovered = analysis.figure("recovered")

# %%
# The numbers behind it, with their intervals, as CSV and LaTeX.

scores = analysis.table("scores")[["label", "value", "low", "high"]].dropna()
scores.to_csv(folder / "scores.csv")
print(scores.to_latex(escape=True, index=False, float_format="%.3g"))
