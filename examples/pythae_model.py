"""
A model of Pythae
=================

Models of `Pythae <https://github.com/clementchadebec/benchmark_VAE>`_ are known: the lens takes them as they are, and
the command line takes the folders that they are saved in (`vaelens analyse FOLDER --dataset NAME`).
"""

# %%
# A beta-VAE of Pythae, trained by a few lines of our own instead of its pipeline, which writes a folder.

import torch
from pythae.models import BetaVAE, BetaVAEConfig
from pythae.models.base.base_utils import ModelOutput

import vaelens as vl

torch.manual_seed(0)
ds = vl.load_dataset("sprites", size=16)
images, _ = ds.sample(4096, seed=1)
model = BetaVAE(BetaVAEConfig(input_dim=(1, 16, 16), latent_dim=4, reconstruction_loss="bce", beta=1.0))
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
for step in range(250):
    batch = images[torch.randint(len(images), (64,))]
    loss = model(ModelOutput(data=batch)).loss
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# Nothing else has to be said: code, variance and decoder are found.

lens = vl.Lens(model)
lens

# %%
# How far each latent moves the image (CES), how much it tells of the image, and what it would cost to remove it:

analysis = vl.analyse(lens, ds, n=128, only=["latent", "mediation"], progress=False)
strengths = analysis.figure("strengths")

# %%
# Through which latent does a change of the image pass? The whole effect of a factor, split into what passes through one
# latent (indirect), what passes by it (direct), and what takes both (interaction):

mediation = analysis.figure("mediation")
