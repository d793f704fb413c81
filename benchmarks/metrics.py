"""The disentanglement metrics against plain ones, the fast DCI against the reference: `python -m benchmarks.metrics`.

The plain ones are written here from the definitions with NumPy and scikit-learn, one factor and latent after the other.
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score, roc_auc_score
from sklearn.svm import LinearSVC

import vaelens as vl
from benchmarks.page import write
from vaelens.metrics.disentanglement.estimates import MANY, estimate_score
from vaelens.metrics.disentanglement.scorers import ScoredArrays, scorers

PAGE = Path(__file__).parents[1] / "docs" / "metrics.md"
DSPRITES = (3, 6, 40, 32, 32)
SMALL = (3, 4, 8, 6)
SCORES = ("disentanglement", "completeness", "informativeness")
Codes = np.ndarray


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--images", type=int, default=1500, help="codes of each set (default 1500)")
    parser.add_argument("--full", action="store_true", help="the fast DCI also on 10,000 x 10 codes, which takes long")
    parser.add_argument("--write-docs", action="store_true", help="put what is printed into docs/metrics.md as well")
    parser.add_argument("--intervals", action="store_true", help="how often intervals hold, which takes longer still")
    asked = parser.parse_args(arguments)
    lines = [*scores_table(asked.images), "", *estimators_table(asked.images)]
    if asked.full:
        lines += ["", *full_size()]
    if asked.intervals:
        lines += ["", *intervals_table()]
    output = "\n".join(lines)
    print(output)
    if asked.write_docs:
        write(output, PAGE)


# Code sets


def code_sets(images: int, sizes: tuple[int, ...] = SMALL, seed: int = 0) -> tuple[np.ndarray, dict[str, Codes]]:
    """Factors, drawn uniformly, and thirteen kinds of codes of them, each with two latents more than factors."""
    rng = np.random.default_rng(seed)
    factors = np.stack([rng.integers(size, size=images) for size in sizes], axis=1)
    z = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    spare = rng.normal(size=(images, 2))
    wide = np.hstack([z, spare])
    noise = rng.normal(size=wide.shape)
    turn = np.linalg.qr(rng.normal(size=(wide.shape[1], wide.shape[1])))[0]
    half = np.eye(wide.shape[1])
    half[:2, :2] = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    sets = {f"aligned, noise {level}": wide + level * noise for level in (0.05, 0.2, 0.5, 1.0)}
    sets |= {f"rotated, noise {level}": (wide + level * noise) @ turn for level in (0.05, 0.3)}
    sets |= {
        "two factors rotated by 45°": (wide + 0.2 * noise) @ half,
        "two factors twice": np.hstack([z, z[:, :2]]) + 0.2 * noise,
        "two dead latents": np.hstack([z + 0.2 * noise[:, : len(sizes)], np.zeros_like(spare)]),
        "sines": np.hstack([np.sin(2 * z), spare]) + 0.1 * noise,
        "cubes": np.hstack([z**3, spare]) + 0.2 * noise,
        "products": np.hstack([z[:, :1] * z[:, 1:2], z[:, 1:], spare]) + 0.2 * noise,
        "noise alone": noise,
    }
    return factors, sets


# Plain metrics


def plain_mig(codes: Codes, factors: np.ndarray) -> float:
    gaps = []
    for v in factors.T:
        information = sorted(mutual_info_score(_binned(z), v) for z in codes.T)
        gaps.append((information[-1] - information[-2]) / mutual_info_score(v, v))
    return float(np.mean(gaps))


def plain_modularity(codes: Codes, factors: np.ndarray) -> float:
    scores = []
    for z in codes.T:
        squared = np.array([mutual_info_score(_binned(z), v) for v in factors.T]) ** 2
        best = squared.max()
        scores.append(1 - (squared.sum() - best) / (best * (len(squared) - 1)) if best > 0 else 0.0)
    return float(np.mean(scores))


def plain_irs(codes: Codes, factors: np.ndarray) -> float:
    largest = np.abs(codes - codes.mean(axis=0)).max(axis=0)
    robust = np.zeros((codes.shape[1], factors.shape[1]))
    for j, z in enumerate(codes.T):
        for k, v in enumerate(factors.T):
            held = [z[v == value] for value in np.unique(v)]
            robust[j, k] = 1 - np.mean([np.quantile(np.abs(h - h.mean()), 0.99) for h in held]) / largest[j]
    return float(np.average(robust.max(axis=1), weights=largest))


def plain_sap(train: Codes, factors: np.ndarray, test: Codes, test_factors: np.ndarray) -> float:
    gaps = []
    for v, w in zip(factors.T, test_factors.T, strict=True):
        accuracy = []
        for z, y in zip(train.T, test.T, strict=True):
            model = LinearSVC(C=0.01, class_weight="balanced").fit(z[:, None], v)
            accuracy.append(np.mean(model.predict(y[:, None]) == w))
        second, best = sorted(accuracy)[-2:]
        gaps.append(best - second)
    return float(np.mean(gaps))


def plain_explicitness(train: Codes, factors: np.ndarray, test: Codes, test_factors: np.ndarray) -> float:
    scores = []
    for v, w in zip(factors.T, test_factors.T, strict=True):
        model = LogisticRegression(max_iter=1000).fit(train, v)
        chances = model.predict_proba(test)
        areas = [roc_auc_score(w == value, chances[:, k]) for k, value in enumerate(model.classes_)]
        scores.append(np.mean(areas))
    return float(np.mean(scores))


def plain_total_correlation(codes: Codes) -> float:
    covariance = np.cov(codes.T)
    return float((np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]) / 2)


def plain_dci(train: Codes, factors: np.ndarray, test: Codes, test_factors: np.ndarray) -> float:
    columns = []
    for v in factors.T:
        columns.append(GradientBoostingClassifier(random_state=0).fit(train, v).feature_importances_)
    importance = np.stack(columns, axis=1)
    p = (importance + 1e-11) / (importance + 1e-11).sum(axis=1, keepdims=True)
    per_latent = 1 + (p * np.log(p)).sum(axis=1) / np.log(p.shape[1])
    return float(np.average(per_latent, weights=importance.sum(axis=1)))


def _binned(z: np.ndarray) -> np.ndarray:
    return np.digitize(z, np.linspace(z.min(), z.max(), 21)[:-1])


# Tables


def scores_table(images: int) -> list[str]:
    """Time and score of each metric, and of the plain one beside it, on one code set."""
    factors, sets = code_sets(images)
    codes = sets["aligned, noise 0.5"]
    cut = 2 * images // 3
    split = codes[:cut], factors[:cut], codes[cut:], factors[cut:]
    contests: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "DCI disentanglement": (lambda: vl.dci(*split).disentanglement, lambda: plain_dci(*split)),
        "MIG": (lambda: vl.mig(codes, factors), lambda: plain_mig(codes, factors)),
        "SAP": (lambda: vl.sap(*split), lambda: plain_sap(*split)),
        "modularity": (lambda: vl.modularity(codes, factors), lambda: plain_modularity(codes, factors)),
        "explicitness": (lambda: vl.explicitness(*split), lambda: plain_explicitness(*split)),
        "IRS": (lambda: vl.irs(codes, factors), lambda: plain_irs(codes, factors)),
        "Gaussian total correlation": (
            lambda: vl.gaussian_total_correlation(codes),
            lambda: plain_total_correlation(codes),
        ),
    }
    lines = [
        f"Our metrics beside plain ones, {images:,} × {codes.shape[1]} codes, factors of {_listed(SMALL)} values:",
        "",
        "| metric | ours | plain | our time | plain | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for name, (ours, plain) in contests.items():
        (score, spent), (plain_score, longer) = _timed(ours), _timed(plain)
        lines.append(
            f"| {name} | {score:.4f} | {plain_score:.4f} | {spent:.3g} s | {longer:.3g} s | {longer / spent:.2g} |"
        )
    return lines


def estimators_table(images: int, sizes: tuple[int, ...] = SMALL) -> list[str]:
    """The three scores by both estimators on every code set, and how far they are apart."""
    factors, sets = code_sets(images, sizes)
    lines = [
        f"DCI by `gradient-boosting`, the reference, and by `random-forest`, {images:,} codes of each set, factors of "
        f"{_listed(sizes)} values:",
        "",
        "| codes | D | D, fast | C | C, fast | I | I, fast | times as fast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    differences = []
    for name, codes in sets.items():
        (reference, longer), (fast, spent) = (
            _timed(lambda codes=codes, estimator=estimator: vl.dci(codes, factors, estimator=estimator))
            for estimator in ("gradient-boosting", "random-forest")
        )
        pairs = [(getattr(reference, score), getattr(fast, score)) for score in SCORES]
        differences.append([of_fast - of_reference for of_reference, of_fast in pairs])
        cells = " | ".join(f"{value:.3f}" for pair in pairs for value in pair)
        lines.append(f"| {name} | {cells} | {longer / spent:.0f} |")
    apart = np.array(differences)
    largest, mean = (" | ".join(f"{value:.3f}" for value in values) for values in (abs(apart).max(0), apart.mean(0)))
    return [
        *lines,
        "",
        "| fast less reference | D | C | I |",
        "|---|---|---|---|",
        f"| largest, either way | {largest} |",
        f"| mean | {mean} |",
    ]


def full_size(images: int = 10_000) -> list[str]:
    """How much faster it is at the size that papers use."""
    rng = np.random.default_rng(0)
    factors = np.stack([rng.integers(size, size=images) for size in DSPRITES], axis=1)
    z = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    codes = np.hstack([z, rng.normal(size=z.shape)]) + 0.2 * rng.normal(size=(images, 10))
    (fast, spent), (reference, longer) = (
        _timed(lambda name=name: vl.dci(codes, factors, estimator=name))
        for name in ("random-forest", "gradient-boosting")
    )
    scores = ", ".join(f"{name} {getattr(reference, name):.3f} and {getattr(fast, name):.3f}" for name in SCORES)
    return [
        f"On {images:,} × 10 codes with dSprites' factor sizes the reference takes {longer:.0f} s and the fast one "
        f"{spent:.1f} s, {longer / spent:.0f} times less: {scores}."
    ]


# Intervals


def population(kind: str, images: int, rng: np.random.Generator) -> tuple[Codes, np.ndarray]:
    """Codes of factors of dSprites' sizes: one latent each and five of noise, or sines and products, turned."""
    factors = np.stack([rng.integers(size, size=images) for size in DSPRITES], axis=1)
    sizes = np.array(DSPRITES)
    z = (factors - (sizes - 1) / 2) / np.sqrt((sizes**2 - 1) / 12)
    noise = rng.normal(size=(images, 10))
    if kind == "aligned":
        return np.hstack([z + 0.3 * noise[:, :5], noise[:, 5:]]), factors
    mixed = np.hstack([np.sin(1.2 * z), z[:, :3] * z[:, 2:], np.zeros((images, 2))])
    turn = np.linalg.qr(np.random.default_rng(7).normal(size=(10, 10)))[0]
    return mixed @ turn + 0.5 * noise, factors


def intervals_table(codes: int = 10_000, tests: int = 5_000, repetitions: dict[str, int] | None = None) -> list[str]:
    """How often the interval of each score of so many codes holds the score of 60,000 codes, tested on 30,000."""
    repetitions = {"sap": 20, "explicitness": 20, "dci_disentanglement": 4} if repetitions is None else repetitions
    lines = [
        f"Scores of {codes:,} codes, tested on {tests:,} others, beside that of 60,000 codes: the mean value, the mean "
        "half-width of its interval, how often that holds the score of 60,000, and of how many sets of codes:",
        "",
        "| codes | score | estimator | of 60,000 | value | ± | holds | sets |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind in ("aligned", "entangled"):
        for name, scorer in scorers(codes).items():
            if scorer.no_interval:
                continue
            rng, scorer = np.random.default_rng(0), replace(scorer, shuffles=0, drifting=())
            truth = scorer.score(_drawn(kind, MANY, MANY // 2, rng), 0)
            sets = repetitions.get(name, 100)
            estimates = [estimate_score(scorer, _drawn(kind, codes, tests, rng), seed) for seed in range(sets)]
            for key, expected, ours in zip(scorer.keys, truth, zip(*estimates, strict=True), strict=True):
                value, half = np.mean([(e.value, (e.high - e.low) / 2) for e in ours], axis=0)
                held = np.mean([e.low <= expected <= e.high for e in ours])
                cells = f"{expected:.4f} | {value:.4f} | {half:.4f} | {100 * held:.0f} % | {sets}"
                lines.append(f"| {kind} | {key.replace('_', ' ')} | {scorer.estimator} | {cells} |")
    return lines


def _drawn(kind: str, images: int, tests: int, rng: np.random.Generator) -> ScoredArrays:
    return ScoredArrays(*population(kind, images, rng), *population(kind, tests, rng))


def _timed(score: Callable[[], object]) -> tuple:
    start = time.perf_counter()
    value = score()
    return value, time.perf_counter() - start


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values[:-1])) + f" and {values[-1]}"


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of scikit-learn, about classifiers that stop early
        main(sys.argv[1:])
