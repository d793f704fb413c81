"""The table of how each label goes with each latent, and where a factor reader would tell more."""

from collections.abc import Callable

import numpy as np
import xarray as xr

from vaelens.analysis.image_pool import Indices
from vaelens.data import FactorDataset
from vaelens.effects.record import Array
from vaelens.effects.schema import SHARE, Schema, Variable
from vaelens.errors import VaelensError
from vaelens.metrics.association import MEASURES, association
from vaelens.metrics.code_knowledge import NEIGHBOURS, code_knowledge
from vaelens.progress import reporting

MUCH = 0.25  # by which all latents together must tell more of a label than the one that goes with it most

LABELS = Schema(
    Variable("association", ("factor", "latent"), "1", (-1.0, 1.0), "how label and latent go together, by `measure`"),
    Variable("association_chance", ("factor",), "1", SHARE, "its mean size where images are shuffled", False),
    Variable(
        "association_best", ("factor", "latent"), "1", SHARE, "whether no latent goes with it more, at 95 %", False
    ),
    Variable("predicted", ("factor",), "1", SHARE, "share of the label that the whole code predicts", False),
    Variable("reader_tells_more", ("factor",), "1", SHARE, "whether it is spread over latents or bent", False),
    Variable("labelled", ("factor",), "images", (0.0, np.inf), "images that have the label", False),
)


def label_table(
    codes: Array,
    ds: FactorDataset,
    indices: Indices,
    seed: int,
    progress: Callable[[float, float], None] | bool = False,
) -> xr.Dataset:
    """Measures how each label goes together with each latent.

    Args:
        codes: of the images, (n, d).
        ds: the dataset.
        indices: of the images in it, (n,).
        seed: of halves and splits.
        progress: as in `latent_effects`.

    Returns:
        `association` (factor, latent) with `_low` and `_high`, by the `measure` (factor): "spearman" for ordered
        labels, those that were cut into bins as they were before; "eta_squared" for classes; "circular_linear" for
        circular ones; NaN with the measure "none" for a label with one value, or on fewer than 8 images.
        `association_chance` (factor), the mean of its size where images are shuffled; `association_best`
        (factor, latent), the latents that may go with the label most. `predicted` (factor), the share of the label that
        all latents together tell (`code_knowledge`); `reader_tells_more` (factor), whether that is at least a quarter
        more than what the strongest latent tells alone (ρ², η² or R²): the label is then spread over latents, or no
        latent goes straight up or down with it, and a factor reader shows what single latents do to it; `labelled`
        (factor), images.
    """
    factors, values = list(ds.factors), ds.factor_values(indices)
    shape = (len(factors), codes.shape[1])
    table = {name: np.full(shape, np.nan) for name in ("association", "association_low", "association_high")}
    best, tells_more = np.zeros(shape, dtype=bool), np.zeros(len(factors), dtype=bool)
    chance, predicted = np.full((2, len(factors)), np.nan)
    measures, labelled = [], np.zeros(len(factors), dtype=np.int64)
    with reporting(progress, len(factors), "labels") as report:
        for k, factor in enumerate(factors):
            kind = factor.kind
            labels = np.where(values[:, k] >= 0, values[:, k], np.nan).astype(np.float64)
            if factor.name in ds.raw_values:
                kind, labels = "continuous", ds.raw_values[factor.name][indices]
            labelled[k] = int((~np.isnan(labels)).sum())
            report.advance(1)
            try:
                measured = association(codes, labels, kind, factor.size, seed)
                predicted[k] = code_knowledge(codes, labels, kind, factor.size, seed)
            except VaelensError:  # one value, or few images
                measures.append("none")
                continue
            measures.append(MEASURES[kind])
            ends = (measured.values, measured.low, measured.high)
            for name, latents in zip(table, ends, strict=True):
                table[name][k] = latents
            best[k], chance[k] = measured.best, measured.chance
            alone = measured.values**2 if measured.measure == "spearman" else measured.values
            tells_more[k] = predicted[k] >= alone.max() + MUCH
    by_both, by_factor = ("factor", "latent"), ("factor",)
    variables = {name: (by_both, latents) for name, latents in table.items()} | {
        "association_chance": (by_factor, chance),
        "association_best": (by_both, best),
        "predicted": (by_factor, predicted),
        "reader_tells_more": (by_factor, tells_more),
        "labelled": (by_factor, labelled),
    }
    coords = {"factor": [factor.name for factor in factors], "latent": np.arange(codes.shape[1])}
    made = LABELS.dataset(variables, coords | {"measure": ("factor", measures)})
    how = f"the {NEIGHBOURS} nearest codes among two thirds of the images"
    return made.assign_attrs(images=len(codes), seed=seed, predicted_by=how)
