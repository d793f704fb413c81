"""Finding (iii), whether any architecture is best on all datasets, by every measure that has a better direction."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from vaelens.metrics.catalogue import METRICS
from vaelens.statistics import holm_sidak
from vaelens.study.findings.differences import Difference, differences
from vaelens.study.findings.finding import Finding, Test, Verdict
from vaelens.study.findings.rules import ALPHA, RULES
from vaelens.study.findings.runs import complete, counted

_RULE = RULES["no_best"]
DECIDING = "dci_disentanglement"


def no_best(runs: pd.DataFrame) -> Finding:
    """Judges whether an architecture is best everywhere. Every measure is a family of tests of its own.

    Args:
        runs: as `runs_of` returns them.
    """
    measures = [key for key, metric in METRICS.items() if metric.better and key in runs.columns]
    tests: list[Test] = []
    verdicts: dict[str, tuple[Verdict, str]] = {}
    for measure in measures:
        taken = complete(runs, [measure])
        pairs = list(differences(taken, measure))
        if not pairs:
            continue
        adjusted = holm_sidak([pair.p for pair in pairs]).tolist()
        verdicts[measure] = _verdict(pairs, adjusted, METRICS[measure].better == "higher", _present(taken))
        tests += [_test(pair, p, measure) for pair, p in zip(pairs, adjusted, strict=True)]
    if DECIDING not in verdicts:
        why = f"no dataset has two models with {METRICS[DECIDING].label} from two seeds each"
        return Finding(_RULE, "not examined", why, tuple(tests))
    verdict, said = verdicts[DECIDING]
    others = [
        f"{METRICS[measure].label}: {of_measure}"
        for measure, (of_measure, _) in verdicts.items()
        if measure != DECIDING and of_measure != "not examined"
    ]
    more = f" By other measures: {'; '.join(others)}." if others else ""
    return Finding(_RULE, verdict, f"{said}.{more}", tuple(tests))


def best_models(runs: pd.DataFrame, measure: str, higher: bool) -> pd.DataFrame:
    """Lists the model with the best mean on each dataset, those not told from it, and those not compared with it.

    Args:
        runs: as `runs_of` returns them.
        measure: the column.
        higher: whether more of it is better.

    Returns:
        Columns `dataset`, `best`, `mean`, `runs`, `not_told_from` (names, of those whose difference from the best has
        an adjusted p above 0.05, over all pairs on all datasets), `not_compared` (the other models run there, each with
        the reason why there is no such difference: no value, or a value of one seed alone).
    """
    taken = complete(runs, [measure])
    pairs = list(differences(taken, measure))
    adjusted = holm_sidak([pair.p for pair in pairs]).tolist() if pairs else []
    rows = []
    for dataset, of_dataset in taken.groupby("dataset", observed=True):
        means = of_dataset.groupby("model", observed=True)[measure].mean().sort_values(ascending=not higher)
        best = str(means.index[0])
        compared = {
            other: p
            for pair, p in zip(pairs, adjusted, strict=True)
            for one, other in ((pair.first, pair.second), (pair.second, pair.first))
            if pair.dataset == str(dataset) and one == best
        }
        near = [str(model) for model in means.index if compared.get(str(model), 0) > ALPHA]
        others = dict.fromkeys(map(str, runs[runs["dataset"] == dataset]["model"]))
        alone = [model for model in others if model != best and model not in compared]
        values = Counter(map(str, of_dataset["model"]))
        why = _not_compared(best, alone, values)
        rows.append((str(dataset), best, float(means.iloc[0]), len(of_dataset), ", ".join(near), why))
    return pd.DataFrame(rows, columns=["dataset", "best", "mean", "runs", "not_told_from", "not_compared"])


def _not_compared(best: str, others: Sequence[str], values: Mapping[str, int]) -> str:
    """Says which models the best can't be compared with, each with the reason.

    Args:
        best: the model with the best mean.
        others: those that have no difference from it.
        values: of how many seeds each model has a value; a model that is missing has none.
    """
    if others and values[best] < 2:
        return f"{', '.join(others)} ({best} has a value of one seed alone)"
    return ", ".join(f"{model} ({'one seed' if values.get(model) else 'no value'})" for model in others)


def _present(taken: pd.DataFrame) -> dict[str, set[str]]:
    """Finds the models with a value on each dataset where there are two or more, be it of one seed alone."""
    models = taken.groupby("dataset", observed=True)["model"].agg(lambda names: set(map(str, names)))
    return {str(dataset): names for dataset, names in models.items() if len(names) > 1}


def _verdict(
    pairs: Sequence[Difference], adjusted: Sequence[float], higher: bool, present: Mapping[str, set[str]]
) -> tuple[Verdict, str]:
    """Applies the rule to one measure. A model that is not compared with the others may be better than they."""
    datasets = sorted({pair.dataset for pair in pairs})
    models = sorted({name for pair in pairs for name in (pair.first, pair.second)})
    if len(datasets) < 2:
        return "not examined", f"{counted(len(datasets), 'dataset')} with two models from two seeds each"
    rivals = {
        dataset: {name for pair in pairs if pair.dataset == dataset for name in (pair.first, pair.second)}
        for dataset in datasets
    }
    everywhere = set.intersection(*rivals.values())
    if not everywhere:
        return "not examined", f"no model was run on all {len(datasets)} datasets"
    beaten: dict[str, set[str]] = {model: set() for model in models}  # datasets on which another is better
    ahead: dict[tuple[str, str], set[str]] = {}  # those that a model is better than, by dataset
    for pair, p in zip(pairs, adjusted, strict=True):
        if p <= ALPHA:
            first_is_better = (pair.value > 0) == higher
            better, worse = (pair.first, pair.second) if first_is_better else (pair.second, pair.first)
            beaten[worse].add(pair.dataset)
            ahead.setdefault((better, pair.dataset), set()).add(worse)
    unbeaten = [model for model in models if model in everywhere and not beaten[model]]
    best = [
        model
        for model in sorted(everywhere)
        if all(ahead.get((model, dataset), set()) >= others - {model} for dataset, others in present.items())
    ]
    if best:
        return "not supported", f"{best[0]} is better than every other model on all {len(datasets)} datasets"
    if not unbeaten:
        return (
            "supported",
            f"each of {len(everywhere)} models is worse than another on some of {len(datasets)} datasets",
        )
    can_be = f"{', '.join(unbeaten)} {'is' if len(unbeaten) == 1 else 'are each'} beaten on none"
    count = sum(p <= ALPHA for p in adjusted)
    alone = [f"{d}/{m}" for d, others in sorted(present.items()) for m in sorted(others - rivals.get(d, set()))]
    lacking = f"; one seed alone, so not compared: {', '.join(alone)}" if alone else ""
    told = f"{count} of {counted(len(pairs), 'difference')} told{lacking}"
    return "undecided", f"{can_be} of {len(datasets)} datasets; {told}"


def _test(pair: Difference, adjusted: float, measure: str) -> Test:
    return Test(
        about=f"{METRICS[measure].label}: {pair.first} less {pair.second}",
        statistic="difference",
        value=pair.value,
        low=pair.low,
        high=pair.high,
        p=pair.p,
        p_adjusted=adjusted,
        n=pair.n,
        effect_size=pair.hedges_g,
        decides=measure == DECIDING,
        where=pair.dataset,
        by="means over seeds, t; adjusted over all pairs on all datasets",
    )
