"""Finding (iv), how large the CES of continuous interventions on a VQ-VAE's latents is, by embedding width."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from vaelens.study.findings.finding import Finding, Test, Verdict
from vaelens.study.findings.rules import NEAR_ZERO, RULES
from vaelens.study.findings.runs import complete, counted, shown

_RULE = RULES["quantised"]
_QUANTISED = "vq-vae"
_CHANNEL, _POSITION, _SWAP = "ces_relative", "ces_relative_one_position", "ces_relative_swap"
_UNITS = {
    _CHANNEL: "a channel at all positions",
    _POSITION: "a channel at one position",
    _SWAP: "the code at one position swapped",
}


def quantised(runs: pd.DataFrame, channel: str = _CHANNEL) -> Finding:
    """Judges whether the CES of continuous interventions on VQ-VAE's latents is near zero.

    A mean is over datasets, each the mean of its seeds; its interval is of other trainings (t).

    Args:
        runs: as `runs_of` returns them.
        channel: the measure of a channel at all positions, such as `ces_relative_shift` for another mode.
    """
    of_codes = runs[runs["objective"] == _QUANTISED]
    taken = complete(of_codes, [channel])
    if not len(of_codes):
        return Finding(_RULE, "not examined", f"no run is of {_QUANTISED}")
    if not len(taken):
        return Finding(_RULE, "not examined", f"no {_QUANTISED} run has {channel}")
    others = complete(runs[runs["objective"] != _QUANTISED], [channel])
    others = others[others["dataset"].isin(taken["dataset"])]
    tests, deciding, said, unknown = [], [], [], []
    for width in sorted(of_codes["latent_dim"].fillna(0).unique().tolist()):
        of_width = of_codes[of_codes["latent_dim"].fillna(0) == width]
        where = f"embeddings of {width:g} dimensions" if width else "embeddings"
        spoken = []
        for measure, unit in ((channel, _UNITS[_CHANNEL]), *((name, _UNITS[name]) for name in (_POSITION, _SWAP))):
            test = _mean(complete(of_width, [measure]), measure, f"relative CES, {unit}", where, measure != _SWAP)
            if measure != _SWAP and (test is None or not np.isfinite(test.high)):
                unknown.append(f"{unit} for {where}")
            if test is None:
                continue
            tests.append(test)
            spoken.append(f"{unit} {shown(test.value)} [{shown(test.low)}, {shown(test.high)}]")
            if test.decides:
                deciding.append(test)
        said.append(f"{where}: {', '.join(spoken) or 'nothing measured'}")
        ratio = _ratio(complete(of_width, [channel]), others, channel, where)
        tests += [ratio] if ratio is not None else []
    of_others = _mean(others, channel, "relative CES, a latent of the other models", "", False)
    if of_others is not None:
        tests.append(of_others)
        said.append(f"a latent of the other models {shown(of_others.value)}")
    if not any(np.isfinite(test.low) for test in deciding):
        why = f"{counted(len(taken), 'run')} of {_QUANTISED}, one of a dataset and width: no interval"
        return Finding(_RULE, "not examined", why, tuple(tests))
    verdict = _verdict(deciding, bool(unknown))
    why = f" There is no interval of {', nor of '.join(unknown)}." if unknown else ""
    return Finding(_RULE, verdict, f"{'; '.join(said)}.{why}", tuple(tests))


def _mean(runs: pd.DataFrame, measure: str, about: str, where: str, decides: bool) -> Test | None:
    """Averages over datasets, with an interval of other trainings. Models within a dataset are groups of their own."""
    if not len(runs):
        return None
    mean, error, freedom = _moments(runs, measure)
    reach = float(stdtrit(freedom, 0.975)) * error if freedom > 0 else np.nan
    by = f"{counted(runs['dataset'].nunique(), 'dataset')}, trainings by t on {freedom:g} degrees of freedom"
    return Test(about, "mean", mean, mean - reach, mean + reach, n=len(runs), decides=decides, where=where, by=by)


def _ratio(taken: pd.DataFrame, others: pd.DataFrame, measure: str, where: str) -> Test | None:
    """Divides the mean over a width's runs by that of the other models on the same datasets (delta method)."""
    others = others[others["dataset"].isin(taken["dataset"])]
    if not len(others) or not len(taken):
        return None
    (top, top_error, top_freedom), (bottom, bottom_error, bottom_freedom) = (
        _moments(of, measure) for of in (taken, others)
    )
    if not bottom > 0:  # no latent of the others moves anything
        return None
    freedom = min(top_freedom, bottom_freedom)
    ratio = top / bottom
    error = float(np.sqrt(top_error**2 + (ratio * bottom_error) ** 2) / bottom)
    reach = float(stdtrit(freedom, 0.975)) * error if freedom > 0 else np.nan
    about = "relative CES, a channel at all positions over a latent of the other models"
    by = f"the same {counted(taken['dataset'].nunique(), 'dataset')}; delta method"
    return Test(about, "ratio", ratio, ratio - reach, ratio + reach, n=len(taken) + len(others), where=where, by=by)


def _moments(runs: pd.DataFrame, measure: str) -> tuple[float, float, float]:
    """Computes the mean over datasets of means over models of means over seeds, its standard error and its d.f."""
    grouped = runs.groupby(["dataset", "model"], observed=True)[measure]
    cells = pd.DataFrame({"mean": grouped.mean(), "count": grouped.count()})
    freedom = float(len(runs) - len(cells))
    within = float(((runs[measure] - grouped.transform("mean")) ** 2).sum())
    models = cells.groupby("dataset", observed=True)["mean"].transform("count").to_numpy(float)
    weights = 1 / models / cells.index.get_level_values("dataset").nunique()
    mean = float((weights * cells["mean"]).sum())
    variance = within / freedom if freedom > 0 else np.nan
    return mean, float(np.sqrt((weights**2 * variance / cells["count"]).sum())), freedom


def _verdict(deciding: list[Test], lacks_some: bool) -> Verdict:
    """Applies the rule, by which all widths and both units are needed to support, and one of them to refute."""
    if any(test.low > NEAR_ZERO for test in deciding):
        return "not supported"
    return "supported" if not lacks_some and all(test.high < NEAR_ZERO for test in deciding) else "undecided"
