"""The semantic graph, which says what factors of the image change when the latents of one factor are exchanged.

Costs the encoding of two images for each pair and factor, and the decoding and reading of one for each image and
factor; what is kept is codes and what is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.circuits.graph_distance import edge_auroc, permuted_aurocs, structural_hamming_distance
from vaelens.data import FactorDataset
from vaelens.effects.factor_predictions import FactorPredictions, ReadsFactors, factor_predictions
from vaelens.effects.one_sweep import one_sweep
from vaelens.errors import VaelensError
from vaelens.lens import Lens, other_images
from vaelens.metrics.readers import factor_reader
from vaelens.progress import check_progress, reporting
from vaelens.statistics import BootstrapMean

LEAST_EFFECT = 0.1  # of a factor on a latent that is aligned with it, in the latent's standard deviations
_NOTHING = 1e-3  # in total variation, below which nothing is read to change
LEAST_WEIGHT = 0.1  # of an edge of the graph, in total variation


@dataclass(frozen=True, eq=False)
class SemanticGraph:
    """Which factors of the image change when the latents aligned with one factor are exchanged.

    Attributes:
        graph: over factors; the `weight` of k → l is how far what is read of l changes, the mean total-variation
            distance in [0, 1], with `low` and `high`, a 95 % interval over images. Edges are those whose interval
            lies above 0.1; `weights` has all.
        weights: a table of all weights, a row for each factor exchanged, a column for each factor read.
        aligned: of each factor the latents that follow it more than any other factor.
        distance: the structural Hamming distance from the dataset's causal graph: pairs of factors whose edges differ.
        auroc: the area under the ROC curve of the weights as scores of its edges; NaN where it has none.
        auroc_chance: the mean of that area over permutations of the factors.
        p: the share of these permutations whose area is at least as large; never below the share that leave the graph
            as it is, which of few factors is large: a sixth for `pendulum`.
        interchange: a row for each factor: `followed`, how often the reader sees the factor take the value of the image
            that its latents come from, of the images where that is another; `stayed`, how often it sees all others
            keep theirs; and how many `images` these are. NaN of a factor that no latent is aligned with: nothing of it
            can be exchanged, so its row of `weights` is 0 and it has no edge to others.
    """

    graph: nx.DiGraph
    weights: pd.DataFrame
    aligned: Mapping[str, tuple[int, ...]]
    distance: int
    auroc: float
    auroc_chance: float
    p: float
    interchange: pd.DataFrame


@one_sweep
def semantic_graph(
    lens: Lens,
    ds: FactorDataset,
    reader: ReadsFactors | None = None,
    n: int = 256,
    seed: Seed = 0,
    progress: Progress = True,
) -> SemanticGraph:
    """Exchanges the latents aligned with each factor and reads which factors of the image change.

    A latent is aligned with the factor that moves it most, over pairs that differ in that factor alone, if by more than
    0.1 of the latent's standard deviation. do(factor k): an image's latents aligned with k take the values of another
    image; the weight of k → l is the mean total-variation distance between what is read of l from the changed and from
    the unchanged reconstruction. What k does to itself is on the diagonal of `weights`, and no edge.

    A weight is the total effect: a cause of a cause has an edge too. Decided here, as is the bound of 0.1.

    Args:
        lens: the lens.
        ds: the dataset; its `factors.graph` is what is compared with.
        reader: predicts factors from images; by default `vl.factor_reader(ds)`, which is trained once (some minutes).
        n: the number of images, and of pairs for each factor.
        seed: of images, pairs, partners and resamples.
        progress: whether to show a bar on standard error, or a function of (factors done, factors in all).

    Returns:
        A `SemanticGraph`.

    Raises:
        VaelensError: fewer than two factors that are read and vary, a model of whose images nothing is read, a reader
            that reads none or images of another shape, images that the lens does not take, a number or seed out of
            range.
    """
    count, checked_seed = whole_number("n", n, low=2), check_seed(seed)
    check_progress(progress)
    images, _ = ds.sample(min(count, len(ds)), checked_seed)
    code = lens.encode(images)
    predictions = factor_predictions(factor_reader(ds) if reader is None else reader, lens)
    assert predictions is not None, "there is a reader"
    sizes = dict(zip(ds.factors.names, ds.factors.sizes, strict=True))
    names = [name for name in predictions.factors if sizes.get(name, 0) > 1]
    if len(names) < 2:
        raise VaelensError(
            f"a graph needs two factors of {ds.name} that vary and are read well enough; the reader reads "
            f"{', '.join(predictions.factors)}"
        )
    with reporting(progress, 2 * len(names), "semantic graph") as report:
        effects = []
        for name in names:
            effects.append(_effects_on_latents(lens, ds, name, count, checked_seed, code))
            report.advance(1)
        aligned = _aligned(names, np.stack(effects))
        partners = torch.as_tensor(other_images(len(code), checked_seed))
        unchanged = _Read.of(lens.decode(code), predictions)
        sums, rows = [], []
        for name in names:
            changed = code.clone()
            changed[:, list(aligned[name])] = code[partners][:, list(aligned[name])]
            read = _Read.of(lens.decode(changed), predictions)
            total = BootstrapMean((len(predictions.factors),), seed=checked_seed)
            total.update(predictions.distances(read.probabilities, unchanged.probabilities))
            sums.append(total)
            followed = _followed(read, unchanged, partners, predictions.factors.index(name))
            nothing = {} if aligned[name] else dict.fromkeys(("followed", "stayed"), float("nan"))
            rows.append({"factor": name, **followed, **nothing})
            report.advance(1)
    columns = [predictions.factors.index(name) for name in names]
    weights = np.stack([total.mean[columns] for total in sums])
    if weights.max() < _NOTHING:
        raise VaelensError(
            f"no exchange of latents changes what is read of the images that come out (at most {weights.max():.1g} in "
            f"total variation): they do not show the factors of {ds.name}, as those of a collapsed model; train another"
        )
    low, high = (np.stack([total.interval()[end][columns] for total in sums]) for end in range(2))
    return _record(ds, names, weights, low, high, aligned, pd.DataFrame(rows).set_index("factor"), checked_seed)


@dataclass(frozen=True, eq=False)
class _Read:
    """What is predicted of images, all factors' probabilities side by side and each factor's likeliest value."""

    probabilities: Tensor
    values: Tensor

    @classmethod
    def of(cls, images: Tensor, predictions: FactorPredictions) -> "_Read":
        probabilities = predictions.probabilities(images)
        return cls(probabilities, predictions.likeliest(probabilities))


def _effects_on_latents(lens: Lens, ds: FactorDataset, factor: str, n: int, seed: int, code: Tensor) -> np.ndarray:
    """Measures how far each latent moves over pairs that differ in a factor, in its standard deviations, (d,)."""
    pairs = ds.pairs(factor, n, seed)
    before, after = (_by_position(lens.encode(x)) for x in (pairs.x, pairs.x2))
    spread = _by_position(code).var(dim=0, unbiased=False).mean(dim=1).sqrt()
    change = (after - before).square().mean(dim=2).sqrt().mean(dim=0)
    return torch.where(spread > 0, change / spread, 0).cpu().numpy()


def _by_position(code: Tensor) -> Tensor:
    return code.double().reshape(*code.shape[:2], -1)


def _aligned(names: list[str], effects: np.ndarray) -> dict[str, tuple[int, ...]]:
    """Assigns each latent to the factor that moves it most, if that moves it enough."""
    best = np.where(effects.max(axis=0) > LEAST_EFFECT, effects.argmax(axis=0), -1)
    return {name: tuple(np.flatnonzero(best == k).tolist()) for k, name in enumerate(names)}


def _followed(read: _Read, unchanged: _Read, partners: Tensor, factor: int) -> dict[str, float]:
    """Measures how often a factor takes the other image's value, and all others keep theirs, where the two differ."""
    wanted = unchanged.values[partners][:, factor]
    differs = wanted != unchanged.values[:, factor]
    unexchanged = [k for k in range(read.values.shape[1]) if k != factor]
    same = (read.values[:, unexchanged] == unchanged.values[:, unexchanged]).all(dim=1)
    followed = (read.values[:, factor] == wanted)[differs].double().mean()
    return {"followed": float(followed), "stayed": float(same[differs].double().mean()), "images": int(differs.sum())}


def _record(
    ds: FactorDataset,
    names: list[str],
    weights: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    aligned: Mapping[str, tuple[int, ...]],
    interchange: pd.DataFrame,
    seed: int,
) -> SemanticGraph:
    true = np.array([[ds.factors.graph.has_edge(k, other) for other in names] for k in names])
    present = (low > LEAST_WEIGHT) & ~np.eye(len(names), dtype=bool)
    graph = nx.DiGraph()
    graph.add_nodes_from(names)
    for k, other in np.argwhere(present).tolist():
        graph.add_edge(names[k], names[other], weight=weights[k, other], low=low[k, other], high=high[k, other])
    auroc, chance = edge_auroc(weights, true), float("nan")
    share = float("nan")
    if np.isfinite(auroc):
        permuted = permuted_aurocs(weights, true, seed)
        chance, share = float(permuted.mean()), float((permuted >= auroc - 1e-9).mean())
    return SemanticGraph(
        graph=graph,
        weights=pd.DataFrame(weights, index=pd.Index(names, name="exchanged"), columns=pd.Index(names, name="read")),
        aligned=aligned,
        distance=structural_hamming_distance(present, true),
        auroc=auroc,
        auroc_chance=chance,
        p=share,
        interchange=interchange,
    )
