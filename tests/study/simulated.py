"""Tables of studies with known answers."""

import numpy as np
import pandas as pd

MODELS = ("vae", "beta-vae", "factor-vae", "beta-tc-vae", "dip-vae-ii", "vq-vae")
DATASETS = {"sprites": 5, "room": 6, "pendulum": 4, "garden": 5, "faces": 7}  # with how many factors vary
BETAS = {"vae": np.nan, "beta-vae": 4.0}


def tidy(runs):
    """A tidy table of records with `dataset`, `model`, `seed`, columns, and `measures`."""
    rows = []
    for run in runs:
        described = {name: value for name, value in run.items() if name != "measures"}
        for measure, value in run["measures"].items():
            rows.append({**described, "measure": measure, "latent": pd.NA, "factor": None, "value": value})
    table = pd.DataFrame(rows)
    table["latent"] = table["latent"].astype("Int64")
    return table


def architectures(measures, seeds=3, models=MODELS, datasets=DATASETS, seed=0):
    """A run of each model, dataset and seed; `measures(rng)` of (dataset, model) gives a function of the run."""
    rng = np.random.default_rng(seed)
    of_cell = {(d, m): measures(rng, d, m) for d in range(len(datasets)) for m in range(len(models))}
    return tidy(
        {
            "dataset": dataset,
            "model": model,
            "objective": model,
            "seed": s,
            "latent_dim": 64 if model == "vq-vae" else 10,
            "beta": BETAS.get(model, np.nan),
            "factors": factors,
            "measures": of_cell[d, m](),
        }
        for d, (dataset, factors) in enumerate(datasets.items())
        for m, model in enumerate(models)
        for s in range(seeds)
    )


def trade_off_table(kind, seed=0, **options):
    """CES against DCI: "true" (negative of itself), "false" (none), "confounded" (both follow reconstruction)."""

    def measures(rng, d, m):
        error, own = rng.normal(), rng.normal()
        shared = {"true": own, "false": rng.normal(), "confounded": error, "positive": -own}[kind]
        level = {"true": own, "false": own, "confounded": error, "positive": own}[kind]

        def run():
            noise = rng.normal(size=3)
            return {
                "ces": 4 + d + level + 0.15 * noise[0],
                "dci_disentanglement": 0.3 + 0.05 * d - 0.1 * shared + 0.015 * noise[1],
                "reconstruction_error": 0.02 + 0.004 * error + 0.0002 * noise[2],
                "active_latents": 8.0,
            }

        return run

    return architectures(measures, seed=seed, **options)


def sweep_table(kind, seed=0, latent_dims=(5, 10, 20), betas=(1.0, 2.0, 4.0, 8.0), seeds=3):
    """A sweep of beta: "true" (DCI falls the more the fewer latents), "false" (DCI rises alike), "flat"."""
    rng = np.random.default_rng(seed)
    rows = []
    for latent_dim in latent_dims:
        ratio = 5 / latent_dim
        slope = {"true": -0.05 * ratio, "false": 0.04, "flat": -0.03}[kind]
        for beta in betas:
            for s in range(seeds):
                x = np.log2(beta)
                measures = {
                    "dci_disentanglement": 0.4 + slope * x + 0.005 * rng.normal(),
                    "dci_informativeness": 0.8 - 0.02 * x + 0.005 * rng.normal(),
                    "active_latents": 5.0,
                    "reconstruction_error": 0.02 + 0.002 * x + 0.0001 * rng.normal(),
                }
                run = {"dataset": "sprites", "model": f"beta-{beta:g}-{latent_dim}", "objective": "beta-vae", "seed": s}
                run |= {"latent_dim": latent_dim, "beta": beta, "factors": 5, "measures": measures}
                rows.append(run)
    table = tidy(rows)
    runs = table.drop_duplicates(["dataset", "model", "seed"])
    fall = 1.0 if kind != "false" else 0.0
    nats = pd.concat(
        runs.assign(
            measure="information",
            latent=latent,
            value=3 - 0.3 * fall * np.log2(runs["beta"]) + 0.02 * rng.normal(size=len(runs)),
        )
        for latent in range(2)
    )
    return pd.concat([table, nats.astype({"latent": "Int64"})], ignore_index=True)


def best_table(kind, seed=0):
    """Which model is best: "true" (another on each dataset), "false" (the same on all), "none" (no difference)."""

    def measures(rng, d, m):
        ahead = {"true": m == d % len(MODELS), "false": m == 2, "none": False}[kind]
        return lambda: {"dci_disentanglement": 0.3 + 0.4 * ahead + 0.02 * rng.normal()}

    return architectures(measures, seed=seed)


def quantised_table(widths, seed=0):
    """Relative CES of vq-vae by width, as {width: (channel, position)}, beside a VAE's 0.5 and a swap's 0.18."""
    rng = np.random.default_rng(seed)
    rows = []
    for s in range(3):
        measures = {"ces_relative": 0.5 + 0.01 * rng.normal()}
        run = {"dataset": "sprites", "seed": s, "beta": np.nan, "factors": 5}
        rows.append(run | {"model": "vae", "objective": "vae", "latent_dim": 10, "measures": measures})
        for width, (channel, position) in widths.items():
            measures = {"ces_relative": channel, "ces_relative_one_position": position, "ces_relative_swap": 0.18}
            measures = {name: value * (1 + 0.02 * rng.normal()) for name, value in measures.items()}
            named = {"model": f"vq-{width}", "objective": "vq-vae", "latent_dim": width, "measures": measures}
            rows.append(run | named)
    return tidy(rows)
