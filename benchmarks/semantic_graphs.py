"""Semantic graphs of trained models against the true causal graph: `python -m benchmarks.semantic_graphs`.

Models of 32 × 32 images of the two datasets whose factors cause one another, some minutes of one core for each dataset.
Where a model keeps too little of the factors, no graph is read off it, and the table says so. Factors without a latent
of their own are left out of the last two columns.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import vaelens as vl

DATASETS = ("pendulum", "garden")
MODELS: Mapping[str, Mapping[str, Any]] = {
    "β-VAE, β = 0.1": {"beta": 0.1},
    "VAE, β = 1": {"beta": 1.0},
    "β-VAE, β = 4": {"beta": 4.0},
}
SIDE, LATENTS = 32, 10
COLUMNS = (
    "dataset, model",
    "edges found, true",
    "structural Hamming distance",
    "edge AUROC",
    "of permuted factors",
    "p",
    "the factor follows",
    "the others stay",
)
HEADER = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


def rows(datasets: Sequence[str], steps: int, images: int) -> Iterator[str]:
    """The table, a line for each dataset and model as soon as it is known."""
    yield HEADER
    for name in datasets:
        ds = vl.load_dataset(name, size=SIDE)
        reader = vl.factor_reader(ds)
        for label, options in MODELS.items():
            model = vl.build_model("beta-vae", ds.image_shape, latent_dim=LATENTS, **options)
            vl.train(model, ds, steps=steps, batch_size=32, lr=1e-3, seed=0, progress=False)
            try:
                found = vl.semantic_graph(vl.Lens(model), ds, reader, n=images, progress=False)
            except vl.VaelensError as error:
                yield f"| {name}, {label} | {error}{' |' * (len(COLUMNS) - 1)}"
                continue
            true = ds.factors.graph
            shares = (found.interchange[column] for column in ("followed", "stayed"))
            cells = [
                f"{name}, {label}",
                f"{found.graph.number_of_edges()}, {0 if true is None else true.number_of_edges()}",
                f"{found.distance}",
                f"{found.auroc:.2f}",
                f"{found.auroc_chance:.2f}",
                f"{found.p:.2f}",
                *(", ".join(f"{name} {share:.0%}" for name, share in column.dropna().items()) for column in shares),
            ]
            yield f"| {' | '.join(cells)} |"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.semantic_graphs", description=__doc__)
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=DATASETS)
    parser.add_argument("--steps", type=int, default=3000, help="of training (default 3000)")
    parser.add_argument("--images", type=int, default=256, help="and pairs for each factor (default 256)")
    options = parser.parse_args(arguments)
    for line in rows(options.datasets, options.steps, options.images):
        print(line, flush=True)


if __name__ == "__main__":
    main()
