"""
A VAE of your own, in plain PyTorch
===================================

A `torch.nn.Module` that you have trained is explained as it is: no subclass, no retraining. Say how it encodes, how it
decodes, and give a few images.
"""

# %%
# Here is some VAE as one finds it: two modules, and a method that nobody planned to look into. It is trained by a plain
# loop on small pictures of a shape, whose size, place and orientation vary.

import torch
from torch import nn
from torch.nn import functional as F

import vaelens as vl


class SmallVAE(nn.Module):
    def __init__(self, latents=4):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 4, stride=2, padding=1)
        self.conv2 = nn.Conv2d(24, 48, 4, stride=2, padding=1)
        self.to_code = nn.Linear(48 * 16, 2 * latents)
        self.from_code = nn.Linear(latents, 48 * 16)
        self.deconv1 = nn.ConvTranspose2d(48, 24, 4, stride=2, padding=1)
        self.deconv2 = nn.ConvTranspose2d(24, 1, 4, stride=2, padding=1)

    def encode(self, x):
        hidden = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.to_code(hidden.flatten(1)).chunk(2, dim=1)  # mean and log-variance

    def decode(self, z):
        hidden = F.relu(self.from_code(z)).view(-1, 48, 4, 4)
        return torch.sigmoid(self.deconv2(F.relu(self.deconv1(hidden))))


torch.manual_seed(0)
ds = vl.load_dataset("sprites", size=16)
images, _ = ds.sample(4096, seed=1)
module = SmallVAE()
optimiser = torch.optim.Adam(module.parameters(), lr=2e-3)
for step in range(300):
    x = images[torch.randint(len(images), (64,))]
    mean, logvar = module.encode(x)
    decoded = module.decode(mean + torch.randn_like(mean) * (logvar / 2).exp())
    kl = (mean.square() + logvar.exp() - 1 - logvar).sum() / 2
    loss = (F.binary_cross_entropy(decoded, x, reduction="sum") + kl) / len(x)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()

# %%
# The lens finds the sites: every layer with its nonlinearity, though none of the `F.relu` is a module.

lens = vl.Lens(module, encode=module.encode, decode=module.decode, example=images[:2])
lens

# %%
# Everything about it in one call. With data of its own a model takes `vl.ArrayDataset(images)`.

analysis = vl.analyse(lens, ds, n=128, only=["latent", "input", "pictures"], progress=False)
traversals = analysis.figure("traversals")

# %%
# Which latent carries what, by how far a change of each factor moves it:

associations = analysis.figure("associations")

# %%
# And one intervention by hand: the strongest latent is set to 2, and two channels of the decoder are switched off. The
# run says that both took place, and how much each changed.

strongest = int(analysis.table("latents").index[0])
run = lens.run(images[:6], [vl.Set("latent", strongest, 2.0), vl.Ablate("deconv1", [4, 7])])
run.hits
