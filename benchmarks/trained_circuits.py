"""Circuits of trained models, as the table in docs/circuits.md: `python -m benchmarks.trained_circuits`.

Small models of 32 × 32 images, one factor each, so that all of it takes some minutes of one core.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
from scipy.stats import spearmanr

import vaelens as vl
from vaelens.circuits import Circuit
from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.discovery import checked_pairs
from vaelens.circuits.scorers import SCORERS
from vaelens.data import FactorDataset

MODELS = ("vae", "beta-tc-vae", "vq-vae")
FACTORS = {"sprites": "scale", "room": "wall_hue"}
SIDE, LATENTS = 32, 10
COLUMNS = (
    "dataset, model, factor",
    "units",
    "carried",
    "on other pairs",
    "best of 100 random",
    "edges",
    "without",
    "CPR (random order)",
    "CMD (random order)",
    "attribution, integrated",
)
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def trained(dataset: str, model: str, steps: int) -> tuple[vl.Lens, FactorDataset]:
    """A model trained on a dataset, as a lens, with the dataset."""
    ds = vl.load_dataset(dataset, size=SIDE)
    options = {} if model == "vq-vae" else {"latent_dim": LATENTS}
    vae = vl.build_model(model, ds.image_shape, **options)
    vl.train(vae, ds, steps=steps, batch_size=64, lr=1e-3, seed=0, progress=False)
    return vl.Lens(vae), ds


def correlations(lens: vl.Lens, ds: FactorDataset, circuit: Circuit, pairs: int) -> str:
    """Spearman's rank correlation of the fast scorers' scores with exact ones."""
    if lens.quantised:
        return "no gradient passes the codebook"
    runs = CircuitRuns(lens, *checked_pairs(lens, ds, circuit.factor, pairs, 0))
    fast = [SCORERS[name](runs, 0) for name in ("attribution", "attribution-ig")]
    return ", ".join(f"{spearmanr(np.abs(scores), np.abs(circuit.scores)).statistic:.3f}" for scores in fast)


def rows(models: Sequence[str], steps: int, pairs: int) -> Iterator[str]:
    """The table, a line for each dataset and model as soon as it is known."""
    yield HEADER
    for dataset, factor in FACTORS.items():
        for model in models:
            lens, ds = trained(dataset, model, steps)
            circuit = vl.discover_circuit(lens, ds, factor, n=pairs, progress=False)
            held = circuit.curve.sel(hold="source")
            cells = [
                f"{dataset}, {model}, {factor}",
                f"{len(circuit)} of {circuit.scores.size}",
                f"{circuit.faithfulness:.3f} ({circuit.faithfulness.low:.3f} to {circuit.faithfulness.high:.3f})",
                f"{circuit.held_out:.3f}",
                f"{circuit.random_faithfulness.max():.3f}",
                f"{circuit.edge_faithfulness:.2f}",
                f"{circuit.completeness:.3f}",
                f"{circuit.cpr:.2f} ({float(held['cpr_chance']):.2f})",
                f"{circuit.cmd:.2f} ({float(held['cmd_chance']):.2f})",
                correlations(lens, ds, circuit, pairs),
            ]
            yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.trained_circuits", description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help=f"(default {' '.join(MODELS)})")
    parser.add_argument("--steps", type=int, default=1000, help="of training (default 1000)")
    parser.add_argument("--pairs", type=int, default=32, help="pairs of images (default 32)")
    options = parser.parse_args(arguments)
    for line in rows(options.models, options.steps, options.pairs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
