"""
Cells in scVI
=============

Which genes does each latent of an scVI model change, with the batch and the library size of every cell held fixed? Here
on synthetic cells whose gene programs are known, so that the answer can be seen to be right.
"""

# %%
# An AnnData as any other: counts, a batch, and for later which program drives each gene.

import logging
import warnings

import anndata
import numpy as np
import pandas as pd
import scvi
import torch
from matplotlib.figure import Figure

import vaelens as vl

known = vl.load_dataset("cells", length=1500, counts=True)
rows = np.arange(len(known))
genes = pd.DataFrame({f"program_{k}": known.program == k for k in range(4)}, index=known.observation.features)
cells = pd.DataFrame({"batch": known.context_at(rows)["batch"].astype(str)}, index=rows.astype(str))
adata = anndata.AnnData(known.image_batch(rows), obs=cells, var=genes)

# %%
# The model is trained by scvi-tools, and not touched.

scvi.settings.verbosity = 30
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
torch.manual_seed(0)
scvi.model.SCVI.setup_anndata(adata, batch_key="batch")
model = scvi.model.SCVI(adata, n_latent=6, n_hidden=64)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Lightning's, of workers and of accelerators
    model.train(max_epochs=40, accelerator="cpu", enable_progress_bar=False, logger=False)

# %%
# A lens on the model, and the cells with their batch. Effects are in log-normalised expression, which no library size
# moves.

lens = vl.Lens(model)
ds = vl.AnnDataset(adata, context={"batch": "_scvi_batch"}, groups=list(genes), unit="counts")
x, context = ds.images_at(range(300)), ds.context_at(range(300))
effects = vl.latent_effects(lens, x, context=context, mode="posterior", progress=False)
effects[["ces", "ces_low", "ces_high", "specificity_normalised", "active"]].to_pandas().round(3)

# %%
# Rows are genes in the order of their programs. A latent that has learned one program would be dark in one block alone:
# these mix programs, as latents of a model that is asked for nothing else do.

changes = effects.effect_map.to_pandas().T
figure = Figure(figsize=(5, 4.5), layout="constrained")
axis = figure.subplots()
picture = axis.imshow(changes, cmap="Blues", vmin=0, aspect="auto")
axis.set_yticks(np.arange(5) * 10 + 4.5, [*genes, "no program"])
axis.hlines(np.arange(1, 5) * 10 - 0.5, -0.5, 5.5, color="grey", linewidth=0.5)
axis.set_xticks(range(6))
axis.set_xlabel("latent")
figure.colorbar(picture, label="E|Δ| in log-normalised expression")

# %%
# The ten genes that the strongest latent changes most, each with its interval over cells.

strongest = int(np.argmax(effects.ces.values))
of_strongest = effects[["effect_map", "effect_map_low", "effect_map_high"]].sel(latent=strongest)
of_strongest.to_dataframe().drop(columns="latent").nlargest(10, "effect_map").round(3)

# %%
# Back into the AnnData, where scanpy and a saved .h5ad file have them.

vl.annotate(adata, effects)
print(adata.varm["vaelens_effect"].shape, list(adata.uns["vaelens"])[:6])
