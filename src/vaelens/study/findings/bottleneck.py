"""Finding (ii): whether a larger beta costs disentanglement where there are many factors for each latent."""

from dataclasses import dataclass

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


@dataclass(frozen=True, eq=False)
class _Slopes:
    """Slopes of a measure on log2 beta: a row for each line and seed, with the `ratio` of factors to latents."""

    rows: pd.DataFrame  # dataset, trained, latent_dim, seed, ratio, slope
    runs: int


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
    tests, deciding = [], {}
    for name, label in MEASURES.items():
        of_measure = slopes[name]
        if of_measure.rows["seed"].nunique() < 2:
            continue
        overall = _mean_slope(of_measure, f"{label} for each doubling of beta", decides=name == INFORMATION)
        tests.append(overall)
        deciding[name] = overall
        most = of_measure.rows[of_measure.rows["ratio"] == of_measure.rows["ratio"].max()]
        where = f"ratio of factors to latents {_ratio(most)}"
        at_most = _mean_slope(_Slopes(most, of_measure.runs), f"{label} for each doubling of beta", name == DCI, where)
        steeper = _interaction(of_measure, label, decides=name == DCI)
        tests += [at_most, *([steeper] if steeper is not None else [])]
        if name == DCI:
            deciding |= {"at most": at_most, "steeper": steeper}
    if DCI not in deciding:
        why = "no dataset with two factors or more was swept from two seeds or more, so DCI has no slope"
        return Finding(_RULE, "not examined", why, tuple(tests))
    if deciding["steeper"] is None:
        why = f"the ratio of factors to latents is {_ratio(slopes[DCI].rows)} throughout, or varies over fewer than "
        why += f"{_DATASETS} datasets alone; sweep latent_dim too"
        said = f"DCI changes by {_said(deciding[DCI])} for each doubling of beta"
        return Finding(_RULE, "not examined", f"{why}. {said}.", tuple(tests))
    steeper, at_most, information = deciding["steeper"], deciding["at most"], deciding.get(INFORMATION)
    said = (
        f"DCI changes by {_said(at_most)} for each doubling of beta at a {at_most.where}, and by {_said(steeper)} more "
        "for each doubling of that ratio"
    )
    if information is not None:
        said += f"; information for each factor by {_said(information)} nats"
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


def _slopes(swept: pd.DataFrame, measure: str) -> _Slopes:
    """Fits a line over log2 beta for each group of models alike and each seed."""
    taken, rows = complete(swept, [measure]), []
    for (*alike, seed), group in taken.groupby([*_GROUP, "seed"], observed=True):
        x, y = np.log2(group["beta"].to_numpy(float)), group[measure].to_numpy(float)
        if np.ptp(x) > 0:
            slope = ((x - x.mean()) * beyond_rounding(y - y.mean(), y)).sum() / ((x - x.mean()) ** 2).sum()
            rows.append((*alike, seed, float(group["ratio"].iloc[0]), float(slope)))
    return _Slopes(pd.DataFrame(rows, columns=[*_GROUP, "seed", "ratio", "slope"]), len(taken))


def _mean_slope(slopes: _Slopes, about: str, decides: bool, where: str = "") -> Test:
    """Averages over datasets and numbers of latents, each the mean of its seeds; what varies are trainings."""
    means, variances, counts = _by_group(slopes.rows)
    spread = variances / counts  # of each mean, pooled variance
    error = float(np.sqrt(spread.sum())) / len(means)
    freedom = float(counts.sum() - len(counts))
    by = f"slopes of {counted(len(slopes.rows), 'training sweep')}, by t on {freedom:g} degrees of freedom"
    return _t_test(about, "slope", float(means.mean()), error, freedom, slopes.runs, decides, where, by)


def _by_group(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean over seeds of each group, the variance of one seed (the same for all groups), and the seeds."""
    grouped = rows.groupby(_GROUP, observed=True)["slope"]
    means, counts = grouped.mean().to_numpy(), grouped.count().to_numpy()
    within = float(((rows["slope"] - grouped.transform("mean")) ** 2).sum())
    freedom = max(int(counts.sum() - len(counts)), 0)
    return means, np.full(len(means), within / freedom if freedom else np.nan), counts


def _interaction(slopes: _Slopes, label: str, decides: bool) -> Test | None:
    """Regresses slopes on log2 of the ratio: within datasets where latent_dim varies there, else over datasets."""
    about = f"{label} for each doubling of beta and of factors per latent"
    rows = slopes.rows
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
    return _t_test(about, "interaction", float(x @ y / (x @ x)), error, freedom, slopes.runs, decides, "", f"{by} d.f.")


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


def _ratio(rows: pd.DataFrame) -> str:
    return " to ".join(f"{end:.2g}" for end in sorted({rows["ratio"].min(), rows["ratio"].max()}))
