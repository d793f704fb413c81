"""How often the intervals cover what they are of: `python -m benchmarks.coverage [--repetitions N] [--images N …]`.

Effects with known means are drawn anew in each repetition; a table gives, for each distribution and number of images,
the share of repetitions in which the 95 % interval covers: of a mean streamed (`BootstrapMean`) and BCa, of the ratio
of two means over the same images, and of the confidence sequence at every 10 images from the first on. A second table
gives how often the set of those that may be the best (`best_set`) holds all that are, a third how often two measures
are found to correlate over the runs of a study.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.page import write
from vaelens.statistics import (
    BootstrapMean,
    ConfidenceSequence,
    bca_interval,
    best_set,
    cell_mean_correlation,
    ratio_interval,
    repeated_measures_correlation,
)

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
Array = NDArray[np.float64]

LEVEL, LOOK = 0.95, 10
IMAGES, REPETITIONS = (100, 200, 500), 1000
BEST_OF = 200  # images that best sets are of
BOUND = 64.0  # the distance of a black from a white image of 64 × 64 pixels
_TOGETHER = 100  # repetitions side by side, as the cells of one array


@dataclass(frozen=True)
class Effects:
    """A distribution of effects between 0 and `BOUND`, and its mean."""

    draw: Callable[[np.random.Generator, tuple[int, ...]], Array]
    mean: float


EFFECTS = {
    "normal, 3 ± 1": Effects(lambda rng, size: rng.normal(3, 1, size).clip(0, BOUND), 3.000382),
    "uniform, 0 to 6": Effects(lambda rng, size: rng.uniform(0, 6, size), 3.0),
    "gamma, shape 2": Effects(lambda rng, size: rng.gamma(2, 1.5, size), 3.0),
    "lognormal, σ 0.5": Effects(lambda rng, size: 3 * rng.lognormal(-0.125, 0.5, size), 3.0),
    "0 or 6, 30 % 6": Effects(lambda rng, size: 6.0 * (rng.random(size) < 0.3), 1.8),
    "exponential": Effects(lambda rng, size: rng.exponential(3.0, size).clip(0, BOUND), 3.0),
    "lognormal, σ 1": Effects(lambda rng, size: 3 * rng.lognormal(-0.5, 1.0, size).clip(0, BOUND / 3), 2.996167),
}


@dataclass(frozen=True)
class Candidates:
    """Effects of several candidates on the same images, with their means in standard deviations of one image."""

    means: tuple[float, ...]
    correlation: float
    draw: Callable[[np.random.Generator, tuple[int, ...]], Array] = lambda rng, size: rng.normal(size=size)

    def effects(self, rng: np.random.Generator, images: int) -> Array:
        """(images, candidates), of unit variance and with the correlation between any two."""
        shared, own = self.draw(rng, (images, 1)), self.draw(rng, (images, len(self.means)))
        return np.asarray(self.means) + np.sqrt(self.correlation) * shared + np.sqrt(1 - self.correlation) * own


def _skewed(rng: np.random.Generator, size: tuple[int, ...]) -> Array:
    return rng.gamma(2, 1 / np.sqrt(2), size) - np.sqrt(2)


NEAR = (0.15, 0.1, 0.1, 0.05, 0.05, 0.0, 0.0, 0.0, 0.0, 0.0)
CANDIDATES = {
    "two, tied": Candidates((0.0, 0.0), 0.65),
    "ten, all tied": Candidates((0.0,) * 10, 0.65),
    "ten, all tied, independent": Candidates((0.0,) * 10, 0.0),
    "ten, all tied, skewed": Candidates((0.0,) * 10, 0.65, _skewed),
    "ten, two tied far ahead": Candidates((1.0, 1.0) + (0.0,) * 8, 0.65),
    "eight, three tied just ahead": Candidates((0.2, 0.2, 0.2, 0.15, 0.1, 0.0, 0.0, 0.0), 0.95),
    "ten, one just ahead": Candidates(NEAR, 0.65),
    "ten, one just ahead, skewed": Candidates(NEAR, 0.95, _skewed),
}


def best_sets(candidates: Candidates, images: int, repetitions: int, seed: int) -> tuple[float, float, float]:
    """How often the set holds all that are best, how often the first of them, and how large it is on average."""
    rng = np.random.default_rng((seed, images, list(CANDIDATES.values()).index(candidates)))
    best = np.asarray(candidates.means) == max(candidates.means)
    outcomes = []
    for repetition in range(repetitions):
        mean = BootstrapMean((len(best),), seed=seed + repetition)
        mean.update(candidates.effects(rng, images))
        chosen = best_set(mean.mean, mean.replicates, LEVEL, images=images)
        outcomes.append((chosen[best].all(), chosen[best][0], chosen.sum()))
    every_best, first_best, size = np.mean(outcomes, axis=0)
    return float(every_best), float(first_best), float(size)


def best_table(images: int, repetitions: int, seed: int) -> str:
    lines = [
        "| candidates | images | all best in the set | a given best in it | candidates in it |",
        "|---|---|---|---|---|",
    ]
    for name, candidates in CANDIDATES.items():
        every_best, first_best, size = best_sets(candidates, images, repetitions, seed)
        lines.append(f"| {name} | {images} | {100 * every_best:.1f} % | {100 * first_best:.1f} % | {size:.1f} |")
    return "\n".join(lines)


@dataclass(frozen=True)
class Study:
    """Two measures of runs of 6 architectures on 5 datasets with 3 seeds.

    Attributes:
        alike: the share of the variance between cells (dataset × architecture) that is the same on all datasets.
        correlation: of the two measures' cells.
        through: how much of both measures comes of a covariate.
    """

    alike: float
    correlation: float = 0.0
    through: float = 0.0

    def runs(self, rng: np.random.Generator) -> pd.DataFrame:
        mixing = np.linalg.cholesky(np.array([[1, self.correlation], [self.correlation, 1]]))
        cells = np.sqrt(self.alike) * rng.normal(size=(1, 6, 2)) + np.sqrt(1 - self.alike) * rng.normal(size=(5, 6, 2))
        covariate = rng.normal(size=(5, 6))
        cells = np.sqrt(ICC) * cells @ mixing.T + self.through * covariate[:, :, None]
        values = rng.normal(size=(5, 1, 1, 2)) + cells[:, :, None] + np.sqrt(1 - ICC) * rng.normal(size=(5, 6, 3, 2))
        dataset, architecture, seed = (index.ravel() for index in np.indices((5, 6, 3)))
        table = pd.DataFrame({"dataset": dataset, "architecture": architecture, "seed": seed})
        error = np.repeat(covariate.ravel(), 3)
        return table.assign(ces=values[..., 0].ravel(), dci=values[..., 1].ravel(), error=error)


ICC = 0.8  # intraclass correlation: the share of a run's variance that is its cell's
STUDIES = {
    "none": Study(alike=0.0),
    "none, architectures alike on all datasets": Study(alike=0.8),
    "none, both fall with the error": Study(alike=0.0, through=1.5),
    "−0.7": Study(alike=0.0, correlation=-0.7),
    "−0.7, architectures alike on all datasets": Study(alike=0.5, correlation=-0.7),
}


def significant(study: Study, repetitions: int, seed: int) -> tuple[float, float, float]:
    """How often p is below 0.05: by cell means, by cell means with the covariate out, and with runs as independent."""
    rng = np.random.default_rng((seed, list(STUDIES.values()).index(study)))
    outcomes = []
    for _ in range(repetitions):
        runs = study.runs(rng)
        results = (
            cell_mean_correlation(runs, "ces", "dci"),
            cell_mean_correlation(runs, "ces", "dci", covariates=["error"]),
            repeated_measures_correlation(runs, "ces", "dci"),
        )
        outcomes.append([result.p < 0.05 for result in results])
    plain, partial, naive = np.mean(outcomes, axis=0)
    return float(plain), float(partial), float(naive)


def correlation_table(repetitions: int, seed: int) -> str:
    lines = ["| true correlation | cell means | error partialled out | runs as independent |", "|---|---|---|---|"]
    for name, study in STUDIES.items():
        shares_significant = (f"{100 * share:.1f} %" for share in significant(study, repetitions, seed))
        lines.append(f"| {name} | {' | '.join(shares_significant)} |")
    return "\n".join(lines)


def covered(interval: tuple[Array, Array], truth: float) -> Array:
    """Whether each repetition's interval covers."""
    return (interval[0] <= truth) & (truth <= interval[1])


def shares(effects: Effects, images: int, repetitions: int, seed: int) -> list[float]:
    """The share of repetitions covered: by the mean's interval, BCa, the ratio's, and the sequence at all looks."""
    rng, repetitions_covered = np.random.default_rng((seed, images, list(EFFECTS.values()).index(effects))), []
    for start in range(0, repetitions, _TOGETHER):
        cells = min(_TOGETHER, repetitions - start)
        values = effects.draw(rng, (images, cells))
        # The reference distance of a relative effect: it moves with the image's own effect, and has a mean of 5.
        denominators = 5 + 0.5 * (values - effects.mean) + rng.normal(size=values.shape)
        mean, reference = (BootstrapMean((cells,), seed=seed + start) for _ in range(2))
        sequence, missed = ConfidenceSequence((cells,), (0.0, BOUND), LEVEL), np.zeros(cells, bool)
        mean.update(values)
        reference.update(denominators)
        for end in range(LOOK, images + 1, LOOK):
            sequence.update(values[end - LOOK : end])
            missed |= ~covered(sequence.interval(), effects.mean)
        repetitions_covered.append(
            [
                covered(mean.interval(LEVEL), effects.mean),
                covered(bca_interval(values, level=LEVEL, seed=seed + start), effects.mean),
                covered(ratio_interval(mean, reference, LEVEL), effects.mean / 5),
                ~missed,
            ]
        )
    return [float(share) for share in np.concatenate(repetitions_covered, axis=1).mean(axis=1)]


def table(images: Sequence[int], repetitions: int, seed: int) -> str:
    lines = [
        "| effects | images | mean | mean, BCa | ratio | sequence, all looks |",
        "|---|---|---|---|---|---|",
    ]
    for name, effects in EFFECTS.items():
        for n in images:
            cells = " | ".join(f"{100 * share:.1f} %" for share in shares(effects, n, repetitions, seed))
            lines.append(f"| {name} | {n} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("--repetitions", type=int, default=REPETITIONS, help=f"of each row (default {REPETITIONS})")
    parser.add_argument("--images", type=int, nargs="+", default=IMAGES, help="how many in a repetition")
    parser.add_argument("--seed", type=int, default=0, help="draws effects and resamples (default 0)")
    parser.add_argument("--write-docs", action="store_true", help=f"put what is printed into {PAGE.name} as well")
    arguments = parser.parse_args()
    noise = 196 * np.sqrt(0.95 * 0.05 / arguments.repetitions)
    output = (
        f"Shares of {arguments.repetitions:,} repetitions; 95 % intervals, known here to ±{noise:.1f} points\n\n"
        f"{table(arguments.images, arguments.repetitions, arguments.seed)}\n\n"
        "Sets of candidates that may be the best, at 95 % for all that tie at once\n\n"
        f"{best_table(BEST_OF, arguments.repetitions, arguments.seed)}\n\n"
        "Studies of 5 datasets, 6 architectures and 3 seeds in which two measures correlate with p < 0.05\n\n"
        f"{correlation_table(arguments.repetitions, arguments.seed)}"
    )
    print(output)
    if arguments.write_docs:
        write(output, PAGE)


if __name__ == "__main__":
    main()
