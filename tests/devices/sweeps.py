"""Every sweep on a model that lies elsewhere, against the same on the CPU.

    python tests/devices/sweeps.py

Prints as JSON, for each sweep, the largest relative difference, and how often the host waited while it ran: on a device
with double precision, and then on one without.
"""

import json
import warnings

import numpy as np
import torch
from elsewhere import ELSEWHERE, ElsewhereTensor, reachable, waits

import vaelens as vl
from vaelens import float64
from vaelens.lens import trust

X, Y = torch.rand(2, 4, 1, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = np.stack(np.unravel_index(np.arange(48) % 12, (3, 4)), axis=1)
DATASET = vl.ArrayDataset(X.repeat(12, 1, 1, 1), LABELS, ["one", "two"])
ADDED = [vl.Add("encoder.0", [0, 1], 0.5), vl.Ablate("encoder.1", 0, "mean"), vl.Ablate("encoder.1", 1, "resample")]
SITES = ["encoder.1", "latent", "decoder.0", "decoder.1"]
AXES = vl.Direction("latent", [[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
CHANNELS = vl.Direction("decoder.1", np.eye(64)[:3] + 0.1)
SWEEPS = {
    "latent": lambda lens, **how: vl.latent_effects(lens, X, **how),
    "latent, shift": lambda lens, **how: vl.latent_effects(lens, X, mode="shift", **how),
    "latent, posterior": lambda lens, **how: vl.latent_effects(lens, X, mode="posterior", **how),
    "latent, prior": lambda lens, **how: vl.latent_effects(lens, X, mode="prior", **how),
    "latent, over latents": lambda lens, **how: vl.latent_effects(lens, X, over="latents", **how),
    "latent, with a tolerance": lambda lens, **how: vl.latent_effects(lens, X, tolerance=100.0, **how),
    "latent, along directions": lambda lens, **how: vl.latent_effects(lens, X, units=AXES, **how),
    "responses": lambda lens, **how: vl.decoder_responses(lens, X, **how),
    "patching": lambda lens, **how: vl.patching_effects(lens, X, Y, SITES, **how),
    "patching of boxes": lambda lens, **how: vl.patching_effects(lens, X, Y, ["decoder.1"], unit=(2, 2), **how),
    "patching of directions": lambda lens, **how: vl.patching_effects(lens, X, Y, units=CHANNELS, **how),
    "mean ablation": lambda lens, **how: vl.patching_effects(lens, X, sites=SITES, method="mean", **how),
    "resample ablation": lambda lens, **how: vl.patching_effects(lens, X, sites=SITES, method="resample", **how),
    "path": lambda lens, **how: vl.path_effects(lens, X, Y, "encoder.0", "encoder.1", **how),
    "mediation": lambda lens, **how: vl.mediation_effects(lens, X, Y, "encoder.1", **how),
    "mediation of interventions": lambda lens, **how: vl.mediation_effects(lens, X, ADDED, "latent", **how),
    "input": lambda lens, **how: vl.input_effects(lens, DATASET, n=8, **how)[["output_effect", "latent_effect"]],
}
SWAPS = {
    "swap": lambda lens, **how: vl.latent_effects(lens, X, mode="swap", **how),
    "codes": lambda lens, **how: vl.code_effects(lens, X, **how),
}


def model(name):
    """The same weights each time."""
    torch.manual_seed(0)
    made = vl.build_model(name, image_shape=(1, 32, 32), latent_dim=3, **({"codes": 16} if name == "vq-vae" else {}))
    with torch.no_grad():
        for weights in made.parameters():  # larger ones: else a change is lost on the way to the image
            weights.mul_(2.5 if weights.ndim > 1 else 1.0)
    if name == "vq-vae":  # some codes as the encoder gives them, so that several are in use
        codes = vl.Lens(made).encode(X).movedim(1, -1).reshape(-1, 3)
        with torch.no_grad():
            made.quantiser.codebook.copy_(codes[:: len(codes) // 16][:16])
    return made


def difference(found, expected):
    """The largest over all variables, each relative to its largest value."""
    apart = 0.0
    for name, values in expected.data_vars.items():
        if values.dtype.kind == "f":
            there, here = found[name].values, values.values
            assert (np.isnan(there) == np.isnan(here)).all(), name
            scale = np.nanmax(np.abs(here), initial=1e-12) if np.isfinite(here).any() else 1.0
            apart = max(apart, float(np.nanmax(np.abs(there - here), initial=0.0) / scale))
    return apart


def main():
    trust._SECONDS = float("inf")  # seconds until the steps are compared with the model again, which waits
    measured = [compared("vae", "vq-vae")]
    ElsewhereTensor.without_doubles = True
    float64.WITHOUT.add("elsewhere")
    # On vq-vae every sweep runs: enough for a device that differs from the first in its types alone.
    print(json.dumps([*measured, compared("vq-vae")]))


def compared(*names):
    """By sweep, the largest relative difference, and how often the host waited."""
    found = {}
    for name in names:
        here = vl.Lens(model(name), execution="torch.fx")
        with reachable():
            there = vl.Lens(model(name).to(ELSEWHERE), execution="torch.fx")
            there.reconstruct(X)
        for sweep, run in (SWEEPS | (SWAPS if here.quantised else {})).items():
            expected = run(here, progress=False)
            within = []
            with reachable():
                made = run(there, progress=lambda done, total, within=within: within.append(waits.total()))
            found[f"{name}: {sweep}"] = difference(made, expected), within[-1] - within[0]
    return found


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
