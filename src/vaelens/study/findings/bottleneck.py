"""Finding (ii), whether a larger beta costs disentanglement where there are many factors for each latent."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from vaelens.study.findings.finding import Finding, Test, Verdict
from vaelens.study.findings.rules import ALPHA, RULES, STEEPER
from vaelens.study.findings.runs import TRAINED, beyond_rounding, complete, counted, shown

_RULE = RULES["bottleneck"]
_SWEPT = {"vae": 1.0, "beta-vae": None}  # the objectives that are R + beta · KL, with the beta of those that have none
DCI, INFORMATION = "dci_disentanglement", "information"
MEASURES = {
    DCI: "DCI disentanglement",
    INFORMATION: "information in the latents (nats for each factor)",
    "active_latents": "active latents",
    "factor_predicted": "share of a factor that the code predicts",
    "dci_informativeness": "DCI informativeness",
    "reconstruction_error": "reconstruction error",
}
_DATASETS = 4  # from which on datasets alone can tell ratios apart
_ALIKE = ["dataset", "trained"]  # what models have in common whose numbers of latents are compared
_GROUP = [*_ALIKE, "latent_dim"]  # what models have in common that form a line over beta


def bottleneck(runs: pd.DataFrame, latents: pd.DataFrame) -> Finding:
    """Judges the bottleneck from slopes on log2 beta, one for each dataset, number of latents and seed.

    Only models that are alike in everything but beta form a line: those of another likelihood, or trained or analysed
    otherwise, form lines of their own.

    Args:
        runs: as `runs_of` returns them.
        latents: rows of the table of single latents, for their `information`.
    """
    weighted = _weighted(runs, latents)
    swept = _of_two_betas(weighted)
    missing = _missing(swept)
    if missing:
        return Finding(_RULE, "not examined", missing)
    slopes = {name: _slopes(swept, name) for name in MEASURES}
    tests, deciding, apart = [], {}, {}
    for name, label in MEASURES.items():
        of_measure = slopes[name]
        if of_measure["seed"].nunique() < 2:
            continue
        about = f"{label} for each doubling of beta"
        overall = _mean_slope(of_measure, about, decides=name == INFORMATION)
        deciding[name] = overall
        most = of_measure[of_measure["ratio"] == of_measure["ratio"].max()]
        at_most = _mean_slope(most, about, name == DCI, f"ratio of factors to latents {_ratio(most)}")
        steeper = _interaction(of_measure, label, decides=name == DCI)
        apart[name] = [_mean_slope(rows, about, False, where) for where, rows in _apart(of_measure)]
        tests += [overall, at_most, *([steeper] if steeper is not None else []), *apart[name]]
        if name == DCI:
            deciding |= {"at most": at_most, "steeper": steeper}
    if DCI not in deciding:
        why = "no dataset with two factors or more was swept from two seeds or more, so DCI has no slope"
        return Finding(_RULE, "not examined", why, tuple(tests))
    if deciding["steeper"] is None:
        why = f"the ratio of factors to latents is {_ratio(slopes[DCI])} throughout, or varies over fewer than "
        why += f"{_DATASETS} datasets alone; sweep latent_dim too"
        said = f"DCI changes by {_said(deciding[DCI])} for each doubling of beta"
        return Finding(_RULE, "not examined", f"{why}. {said}.", tuple(tests))
    steeper, at_most, information = deciding["steeper"], deciding["at most"], deciding.get(INFORMATION)
    said = (
        f"With each doubling of beta DCI changes by {_said(at_most)} where the ratio of factors to latents is largest "
        f"({slopes[DCI]['ratio'].max():.2g}); with each doubling of that ratio this slope changes by {_said(steeper)}"
    )
    if information is not None:
        said += f". The information in the latents changes with each doubling of beta by {_said(information)} nats for "
        said += f"each factor{_range(apart[INFORMATION])}"
    said = f"{said}.{_lines_apart(weighted, swept)}"
    return Finding(_RULE, _verdict(steeper, at_most, information), said, tuple(tests))


def swept_runs(runs: pd.DataFrame, latents: pd.DataFrame) -> pd.DataFrame:
    """Takes the runs of R + beta · KL that are on a line over beta.

    Returns:
        Their rows, with their `beta`, their `ratio` of factors to latents, and `trained`: in what they differ from
        others on the same dataset besides beta and the number of latents, empty where in nothing.
    """
    return _of_two_betas(_weighted(runs, latents))


def _weighted(runs: pd.DataFrame, latents: pd.DataFrame) -> pd.DataFrame:
    """Takes the runs of R + beta · KL."""
    swept = runs[runs["objective"].isin(list(_SWEPT))].copy()
    swept["beta"] = [
        _SWEPT[name] if _SWEPT[name] is not None else beta
        for name, beta in zip(swept["objective"], swept["beta"], strict=True)
    ]
    swept = swept[(swept["beta"] > 0) & (swept["factors"] > 0) & (swept["latent_dim"] > 0)]
    swept["ratio"] = swept["factors"] / swept["latent_dim"]
    if len(latents):
        run = ["dataset", "model", "seed"]
        nats = latents[latents["measure"] == "information"].groupby(run, observed=True)["value"].sum()
        swept[INFORMATION] = nats.reindex(pd.MultiIndex.from_frame(swept[run])).to_numpy(float) / swept["factors"]
    swept["trained"] = _trained(swept)
    return swept


def _trained(runs: pd.DataFrame) -> list[str]:
    """Tells of each run in what it was trained or analysed otherwise than others on its dataset."""
    told = dict.fromkeys(runs.index, "")
    for _, of_dataset in runs.groupby("dataset", observed=True):
        for name in TRAINED:
            if of_dataset[name].nunique(dropna=False) > 1:
                for run, value in of_dataset[name].items():
                    shown = f"{value:g}" if isinstance(value, int | float | np.number) else value
                    told[run] += f", {name.replace('_', ' ')} {shown}"
    return list(told.values())


def _of_two_betas(weighted: pd.DataFrame) -> pd.DataFrame:
    return weighted[weighted.groupby([*_GROUP, "seed"], observed=True)["beta"].transform("nunique") >= 2]


def _lines_apart(weighted: pd.DataFrame, swept: pd.DataFrame) -> str:
    """Says which models have lines of their own, and which have none, since they are not trained alike."""
    said = ""
    if swept.groupby("dataset", observed=True)["trained"].nunique().max() > 1:
        said += f" Models that were not trained alike have lines of their own ({_told(swept['trained'])})."
    alone = weighted.drop(swept.index)
    alone = alone[alone["trained"] != ""]
    if len(alone):
        models = sorted({f"{dataset}/{model}" for dataset, model in zip(alone["dataset"], alone["model"], strict=True)})
        said += f" Left out, since no other beta was trained alike: {', '.join(models)}."
    return said


def _told(trained: pd.Series) -> str:
    return "; ".join(sorted({told.removeprefix(", ") for told in trained}))


def _missing(swept: pd.DataFrame) -> str:
    if not len(swept):
        return (
            "no dataset and seed has vae or beta-vae at two values of beta, otherwise trained alike (with factors and "
            "latent_dim in the table)"
        )
    if swept["seed"].nunique() < 2:
        return "beta was swept from one seed; what another training would give is not known"
    return ""


def _slopes(swept: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Fits a line over log2 beta for each group of models alike and each seed, with its `slope`, `ratio` and `runs`."""
    taken, rows = complete(swept, [measure]), []
    for (*alike, seed), group in taken.groupby([*_GROUP, "seed"], observed=True):
        x, y = np.log2(group["beta"].to_numpy(float)), group[measure].to_numpy(float)
        if np.ptp(x) > 0:
            slope = ((x - x.mean()) * beyond_rounding(y - y.mean(), y)).sum() / ((x - x.mean()) ** 2).sum()
            rows.append((*alike, seed, float(group["ratio"].iloc[0]), float(slope), len(group)))
    return pd.DataFrame(rows, columns=[*_GROUP, "seed", "ratio", "slope", "runs"])


def _apart(slopes: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Takes the slopes of each group of models alike by themselves, where there are several."""
    groups = list(slopes.groupby(_GROUP, observed=True))
    varied = slopes.groupby(_ALIKE, observed=True)["latent_dim"].nunique().max() > 1
    for (dataset, trained, latent_dim), rows in groups if len(groups) > 1 else []:
        yield f"{dataset}{trained}{f', {latent_dim:g} latents' if varied else ''}", rows


def _mean_slope(slopes: pd.DataFrame, about: str, decides: bool, where: str = "") -> Test:
    """Averages over datasets and numbers of latents, each the mean of its seeds. What varies are trainings."""
    means, variances, counts = _by_group(slopes)
    spread = variances / counts  # of each mean, pooled variance
    error = float(np.sqrt(spread.sum())) / len(means)
    freedom = float(counts.sum() - len(counts))
    by = f"slopes of {counted(len(slopes), 'training sweep')}, by t on {freedom:g} degrees of freedom"
    by += f"; trainings vary, the {len(means)} datasets and numbers of latents do not" if len(means) > 1 else ""
    runs = int(slopes["runs"].sum())
    return _t_test(about, "slope", float(means.mean()), error, freedom, runs, decides, where, by)


def _by_group(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Computes the mean over seeds of each group, the variance of one seed (the same for all groups), and the seeds."""
    grouped = rows.groupby(_GROUP, observed=True)["slope"]
    means, counts = grouped.mean().to_numpy(), grouped.count().to_numpy()
    within = float(((rows["slope"] - grouped.transform("mean")) ** 2).sum())
    freedom = max(int(counts.sum() - len(counts)), 0)
    return means, np.full(len(means), within / freedom if freedom else np.nan), counts


def _interaction(slopes: pd.DataFrame, label: str, decides: bool) -> Test | None:
    """Regresses slopes on log2 of the ratio, within datasets where latent_dim varies there, else over datasets."""
    about = f"{label} for each doubling of beta and of factors per latent"
    rows = slopes
    varied = rows.groupby(_ALIKE, observed=True)["latent_dim"].transform("nunique") > 1
    if varied.any():
        rows = rows[varied]
        ratios = pd.Series(np.log2(rows["ratio"].to_numpy(float)), rows.index)
        alike = [rows[name] for name in _ALIKE]
        x = (ratios - ratios.groupby(alike, observed=True).transform("mean")).to_numpy()
        y = (rows["slope"] - rows.groupby(alike, observed=True)["slope"].transform("mean")).to_numpy()
        _, variances, counts = _by_group(rows)
        freedom, variance = float(counts.sum() - len(counts)), float(variances[0])
        by = f"within {counted(rows['dataset'].nunique(), 'dataset')}, latent_dim varied; trainings by t on {freedom:g}"
    else:
        means = rows.groupby("dataset", observed=True)[["ratio", "slope"]].mean()
        if len(means) < _DATASETS or means["ratio"].nunique() < 2:
            return None
        x = np.log2(means["ratio"].to_numpy(float))
        x, y = x - x.mean(), (means["slope"] - means["slope"].mean()).to_numpy()
        freedom = float(len(means) - 2)
        fitted = x * (x @ y) / (x @ x)
        variance = float(((y - fitted) ** 2).sum() / freedom)
        by = f"over {len(means)} datasets, which differ otherwise too; datasets by t on {freedom:g}"
    if not x @ x > 0:
        return None
    y = beyond_rounding(y, rows["slope"])
    error = float(beyond_rounding(np.sqrt(variance / (x @ x)), rows["slope"]))
    return _t_test(
        about, "interaction", float(x @ y / (x @ x)), error, freedom, int(rows["runs"].sum()), decides, "", f"{by} d.f."
    )


def _t_test(
    about: str, statistic: str, value: float, error: float, freedom: float, n: int, decides: bool, where: str, by: str
) -> Test:
    if not freedom > 0 or not np.isfinite(error):
        return Test(about, statistic, value, n=n, decides=decides, where=where, by="one seed: no interval")
    reach = float(stdtrit(freedom, 0.975)) * error
    p = float(2 * stdtr(freedom, -abs(value) / error)) if error > 0 else (1.0 if value == 0 else 0.0)
    return Test(about, statistic, value, value - reach, value + reach, p, n=n, decides=decides, where=where, by=by)


def _verdict(steeper: Test, at_most: Test, information: Test | None) -> Verdict:
    """Applies the rule."""
    needed = [test for test in (steeper, at_most, information) if test is not None]
    if steeper.low > -STEEPER or at_most.low > -STEEPER or (information is not None and information.low > 0):
        return "not supported"
    if information is not None and all(test.value < 0 and test.p <= ALPHA for test in needed):
        return "supported"
    return "undecided"


def _said(test: Test) -> str:
    return f"{shown(test.value)} [{shown(test.low)}, {shown(test.high)}]"


def _range(tests: Sequence[Test]) -> str:
    """Says between which datasets a mean of slopes lies, nothing where there is one."""
    if not tests:
        return ""
    least, *_, most = sorted(tests, key=lambda test: test.value)
    ends = f"{shown(least.value)} ({least.where}) to {shown(most.value)} ({most.where})"
    return f", the mean of {len(tests)} slopes from {ends}"


def _ratio(rows: pd.DataFrame) -> str:
    return " to ".join(f"{end:.2g}" for end in sorted({rows["ratio"].min(), rows["ratio"].max()}))
