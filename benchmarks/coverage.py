"""How often the intervals cover what they are of: `python -m benchmarks.coverage [--repetitions N] [--images N …]`.

Effects with known means are drawn anew in each repetition; a table gives, for each distribution and number of images,
the share of repetitions in which the 95 % interval covers: of a mean streamed (`BootstrapMean`) and BCa, of the ratio
of two means over the same images, and of the confidence sequence at every 10 images from the first on.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.page import write
from vaelens.statistics import BootstrapMean, ConfidenceSequence, bca_interval, ratio_interval

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
Array = NDArray[np.float64]

LEVEL, LOOK = 0.95, 10
IMAGES, REPETITIONS = (100, 200, 500), 1000
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


def covered(interval: tuple[Array, Array], truth: float) -> Array:
    """Whether each repetition's interval covers."""
    return (interval[0] <= truth) & (truth <= interval[1])


def shares(effects: Effects, images: int, repetitions: int, seed: int) -> list[float]:
    """The share of repetitions covered: by the mean's interval, BCa, the ratio's, and the sequence at all looks."""
    rng, found = np.random.default_rng((seed, images, list(EFFECTS.values()).index(effects))), []
    for start in range(0, repetitions, _TOGETHER):
        cells = min(_TOGETHER, repetitions - start)
        values = effects.draw(rng, (images, cells))
        # The reference distance of a relative effect: it moves with the image's own effect, and has a mean of 5.
        others = 5 + 0.5 * (values - effects.mean) + rng.normal(size=values.shape)
        mean, reference = (BootstrapMean((cells,), seed=seed + start) for _ in range(2))
        sequence, missed = ConfidenceSequence((cells,), (0.0, BOUND), LEVEL), np.zeros(cells, bool)
        mean.update(values)
        reference.update(others)
        for end in range(LOOK, images + 1, LOOK):
            sequence.update(values[end - LOOK : end])
            missed |= ~covered(sequence.interval(), effects.mean)
        found.append(
            [
                covered(mean.interval(LEVEL), effects.mean),
                covered(bca_interval(values, level=LEVEL, seed=seed + start), effects.mean),
                covered(ratio_interval(mean, reference, LEVEL), effects.mean / 5),
                ~missed,
            ]
        )
    return [float(share) for share in np.concatenate(found, axis=1).mean(axis=1)]


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
        f"{table(arguments.images, arguments.repetitions, arguments.seed)}"
    )
    print(output)
    if arguments.write_docs:
        write(output, PAGE)


if __name__ == "__main__":
    main()
