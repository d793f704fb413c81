"""The table of a study, a row for each run and measure and for each run, latent and measure, read off the folders.

It is rebuilt whenever it is asked for, and depends on the cells that are done alone.
"""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.statistics.alignment import align_latents
from vaelens.study.cell import differences
from vaelens.study.done_cells import DoneCell, DoneCells
from vaelens.writing import written_whole

# Of each latent, in the part "latent" of an analysis.
PER_LATENT = (
    "ces",
    "ces_relative",
    "ces_posterior",
    "specificity_normalised",
    "specificity_per_image",
    "kl",
    "information",
    "removal_cost",
    "active",
)
_OF_CIRCUITS = ("faithfulness", "held_out", "completeness", "minimality")
_RUN = ["dataset", "model", "seed"]


def study_table(done: DoneCells) -> pd.DataFrame:
    """Reads the table of a study from the cells of its plan that are done. Warns of other cells, which are left out.

    A row is one measure of one run (`latent` and `factor` are missing), of one latent of one run, or of one factor of
    one run: `factor_predicted`, the share of the factor that the whole code predicts; and of its circuit, where
    circuits were found, `circuit_share` (of all units that belong to it), `circuit_faithfulness`, `circuit_held_out`,
    `circuit_completeness`, `circuit_minimality`, `circuit_edges` (how many), and z of motifs, such as `motif_bi-fan`.
    Latents have no order of their own, so before anything is averaged over seeds, take `aligned` in place of `latent`:
    the latent of the group's lowest seed that this one corresponds to (see `align_latents`), with `match` to say how
    well, from 0 to 1.

    Returns:
        Columns `dataset`, `model`, `seed` (the run), `objective`, `latent_dim`, `likelihood`, one for each
        hyperparameter, `steps`, `batch_size`, `lr`, `lr_decay`, `images`, `factors` (how many vary); `measure`,
        `factor`, `latent`, `aligned`, `match`; `value`, `low`, `high` (95 % interval over images, of this one
        training), `chance`; `cell` (its name).

    Raises:
        VaelensError: no cell is done, or a file of one is missing or damaged.
    """
    if not done.counted:
        others = f"; {done.said_of_others}" if done.others else ""
        raise VaelensError(
            f"no cell of {str(done.folder)!r} is done; run the study, or look at vaelens study status{others}"
        )
    if done.others:
        warnings.warn(done.said_of_others, VaelensWarning, stacklevel=2)
    runs = [_run(each) for each in done.counted]
    aligned: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    groups: dict[tuple[str, str], list[tuple[Mapping[str, Any], Analysis]]] = {}
    for run in runs:
        groups.setdefault((run[0]["dataset"], run[0]["model"]), []).append(run)
    for group in groups.values():
        in_order = sorted(group, key=lambda run: run[0]["seed"])
        maps = [_maps(analysis) for _, analysis in in_order]
        for (described, _), mapping in zip(in_order, align_latents(maps), strict=True):
            aligned[described["cell"]] = mapping
    rows = [row for run in runs for row in _rows(*run, *aligned[run[0]["cell"]])]
    table = pd.DataFrame(rows)
    for column in ("latent", "aligned"):
        table[column] = table[column].astype("Int64")
    first = [*_RUN, *(name for name in table.columns if name not in _RUN)]
    return table[first].sort_values([*_RUN, "measure", "factor", "latent"], na_position="first", ignore_index=True)


def write_table(table: pd.DataFrame, folder: Path) -> None:
    """Writes the table as runs.parquet and runs.csv, each whole at any moment.

    Raises:
        VaelensError: the files can't be written.
    """
    with written_whole(folder) as unfinished:
        table.to_parquet(unfinished / "runs.parquet", index=False)
        table.to_csv(unfinished / "runs.csv", index=False)


def _run(done: DoneCell) -> tuple[dict[str, Any], Analysis]:
    """Reads what a cell is, in columns, and its analysis."""
    configuration = done.cell.configuration
    model = configuration["model"]
    anew = f"move {str(done.path)!r} away, and run the study to have it made anew"
    try:
        analysis = Analysis.load(done.path / "analysis")
        factors = sum(size > 1 for size in analysis.provenance["dataset"]["factor_sizes"])
        analysed, data = analysis.provenance["model"]["model"], analysis.provenance["dataset"]["content_sha256"]
    except VaelensError as error:  # which says what to do outside a study, where this cell counts as done
        raise VaelensError(f"the analysis of {done.cell.title}: {str(error).split(';')[0]}; {anew}") from error
    except (KeyError, TypeError) as error:
        raise VaelensError(f"the analysis of {done.cell.title} does not say what data it is of; {anew}") from error
    asked = {"model": model["name"], "data": done.data, "seed": configuration["analysis"]["seed"]}
    others = differences(asked, {"model": analysed, "data": data, "seed": analysis.provenance.get("seed")})
    if others:
        raise VaelensError(f"the analysis of {done.cell.title} is not the cell's own ({'; '.join(others)}); {anew}")
    described = {
        "dataset": done.cell.dataset,
        "model": done.cell.model,
        "seed": done.cell.seed,
        "objective": model["name"],
        "latent_dim": model["latent_dim"],
        "likelihood": model["likelihood"],
        **model["hyperparameters"],
        **configuration["training"],
        "images": configuration["analysis"]["images"],
        "cell": done.name,
        "factors": factors,
    }
    return described, analysis


def _maps(analysis: Analysis) -> np.ndarray:
    """Returns each latent's effect map as a vector, (latent, pixels)."""
    latent = analysis.effects.get("latent")
    if latent is None or "effect_map" not in latent:
        return np.zeros((0, 0))
    maps = latent["effect_map"].values
    return np.nan_to_num(maps.reshape(len(maps), -1))


def _rows(
    described: Mapping[str, Any], analysis: Analysis, aligned: np.ndarray, match: np.ndarray
) -> Iterator[dict[str, Any]]:
    """Yields the rows of one run."""
    nothing = {"factor": None, "latent": pd.NA, "aligned": pd.NA, "match": np.nan}
    for key, score in analysis.scores.iterrows():
        numbers = {name: float(score[name]) for name in ("value", "low", "high", "chance")}
        yield {**described, "measure": str(key), **nothing, **numbers}
    if "modes" in analysis.effects:
        modes = analysis.effects["modes"]
        for mode in modes["mode"].values.tolist():
            ends = [float(modes[f"ces_relative_active_mean{end}"].sel(mode=mode)) for end in ("", "_low", "_high")]
            numbers = dict(zip(("value", "low", "high"), ends, strict=True))
            yield {**described, "measure": f"ces_relative_{mode}", **nothing, **numbers, "chance": np.nan}
    if "labels" in analysis.effects:
        for factor, share in analysis.effects["labels"]["predicted"].to_series().items():
            numbers = {"value": float(share), "low": np.nan, "high": np.nan, "chance": np.nan}
            yield {**described, "measure": "factor_predicted", **nothing, "factor": str(factor), **numbers}
    if "circuits" in analysis.effects:
        yield from _circuit_rows({**described, **nothing}, analysis.effects["circuits"])
    latent = analysis.effects.get("latent", xr.Dataset())
    for name in PER_LATENT:
        if name not in latent:
            continue
        ends = [latent[name + end].values if name + end in latent else None for end in ("", "_low", "_high")]
        for k in range(latent.sizes["latent"]):
            value, low, high = (np.nan if end is None else float(end[k]) for end in ends)
            corresponds = {"factor": None, "latent": k, "aligned": pd.NA, "match": np.nan}
            if len(aligned):
                corresponds |= {"aligned": int(aligned[k]), "match": float(match[k])}
            yield {
                **described,
                "measure": name,
                **corresponds,
                "value": value,
                "low": low,
                "high": high,
                "chance": np.nan,
            }


def _circuit_rows(described: Mapping[str, Any], circuits: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Yields the rows of the circuits of one run."""
    for place, factor in enumerate(circuits["factor"].values.astype(str)):
        circuit = circuits.isel(factor=place)
        numbers: dict[str, tuple[float, float, float]] = {
            "circuit_share": (float(circuit["member"].mean()), np.nan, np.nan),
            "circuit_edges": (float((circuits["edge_factor"] == place).sum()), np.nan, np.nan),
        }
        for name in _OF_CIRCUITS:
            low, high = (float(circuit[f"{name}{end}"]) for end in ("_low", "_high"))
            numbers[f"circuit_{name}"] = float(circuit[name]), low, high
        for motif, z in circuit["motif_z"].to_series().items():
            numbers[f"motif_{motif}"] = float(z), np.nan, np.nan
        for measure, (value, low, high) in numbers.items():
            ends = {"value": value, "low": low, "high": high, "chance": np.nan}
            yield {**described, "measure": measure, "factor": factor, **ends}
