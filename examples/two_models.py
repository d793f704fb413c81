"""
Two models compared
===================

Models on the same data are compared image by image where they were analysed on the same images: what makes an image
easy or hard for both cancels, and small differences are seen.
"""

# %%
# A VAE, and one whose KL weighs four times as much.

from matplotlib.figure import Figure

import vaelens as vl

ds = vl.load_dataset("sprites", size=16)
analyses = {}
for name, beta in (("beta = 1", 1.0), ("beta = 4", 4.0)):
    model = vl.build_model("beta-vae", image_shape=ds.image_shape, latent_dim=4, beta=beta)
    vl.train(model, ds, steps=200, lr=2e-3, progress=False)
    analyses[name] = vl.analyse(vl.Lens(model), ds, n=96, only=["reconstruction", "latent"], progress=False)

comparison = vl.compare(list(analyses.values()), names=list(analyses))
print(comparison)

# %%
# Each difference with its interval, and whether it was taken image by image. `comparison.report("comparison.html")`
# writes all of it as a page.

comparison.differences

# %%
# The information that each latent carries, strongest first.

figure = Figure(figsize=(6, 2.4), layout="constrained")
axis = figure.add_subplot(xlabel="latent, strongest first", ylabel="information (nats)")
for place, (name, analysis) in enumerate(analyses.items()):
    information = analysis.table("latents")["information"].sort_values(ascending=False)
    axis.bar([k + 0.4 * place for k in range(len(information))], information, width=0.38, label=name)
axis.set_xticks([])
axis.legend(frameon=False)
