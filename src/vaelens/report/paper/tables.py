"""The tables of a paper by name, DataFrames of numbers, each estimate with the ends of its interval beside it."""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.circuits.circuit_table import ESTIMATES
from vaelens.errors import VaelensError, unknown
from vaelens.report.changes import axis_of
from vaelens.report.latents import latents_of
from vaelens.report.paper.names import check_analysis, check_parts

_ENDS = ("", "_low", "_high")
_OF_LATENTS = ("kl", "information", "removal_cost", "ces_posterior", "ces", "ces_relative")
_AREAS = ("cpr", "cpr_chance", "cmd", "cmd_chance")
_SPECIFICITY = ("specificity", "specificity_normalised", "specificity_per_image")


def table(analysis: Any, name: Any, columns: Any = None) -> pd.DataFrame:
    """Reads a table off an analysis, as `Analysis.table` says."""
    check_analysis(analysis)
    if name not in _TABLES:
        raise unknown("table", name, _TABLES)
    parts, read = _TABLES[name]
    check_parts(analysis, f"table {name!r}", parts)
    frame = read(analysis)
    return frame if columns is None else frame[_asked(frame, columns)]


def _asked(frame: pd.DataFrame, columns: Any) -> list[str]:
    """Finds the columns asked for, each with the ends of its interval where it has one.

    Raises:
        VaelensError: no list of names, or a name that the table has not.
    """
    if not isinstance(columns, list | tuple) or not columns:
        raise VaelensError(f"columns is {columns!r}; expected names, such as ['ces_posterior', 'information']")
    there = frame.columns.astype(str).tolist()
    for column in columns:
        if column not in there:
            raise unknown("column", column, [name for name in there if not name.endswith(_ENDS[1:])])
    return list(dict.fromkeys(column + end for column in columns for end in _ENDS if column + end in there))


def _latents(analysis: Analysis) -> pd.DataFrame:
    latent = analysis.effects["latent"]
    frame = _frame(latent, ("active", "informative", *_OF_LATENTS, *_SPECIFICITY), ["latent"])
    for name in ("support", "cycle_error"):
        if name in latent:
            frame[name] = latent[name].mean("value").to_series()
    if "recoded" in analysis.effects:
        over_latents = _frame(analysis.effects["recoded"], ("specificity_normalised",), ["latent"])
        frame = frame.join(over_latents.rename(columns=lambda name: name.replace("ised", "ised_latents")))
    return frame.loc[list(latents_of(analysis.effects).order)]


def _modes(analysis: Analysis) -> pd.DataFrame:
    return _frame(analysis.effects["modes"], ("ces", "ces_relative"), ["mode", "latent"])


def _changes(analysis: Analysis) -> pd.DataFrame:
    effects = analysis.effects["input"]
    names = ("latent_shift", "latent_shift_adjusted", "latent_divergence", "latent_effect")
    return _frame(effects, names, [axis_of(effects), "latent"])


def _outputs(analysis: Analysis) -> pd.DataFrame:
    effects = analysis.effects["input"]
    names = ("output_effect", "output_effect_adjusted", "codes_changed", "matched", "strength")
    return _frame(effects, names, [axis_of(effects)])


def _importance(analysis: Analysis) -> pd.DataFrame:
    return _frame(analysis.effects["importance"], ("importance",), ["factor", "latent"])


def _read(analysis: Analysis) -> pd.DataFrame:
    return _frame(analysis.effects["read"], ("factor_effect",), ["factor", "latent"])


def _labels(analysis: Analysis) -> pd.DataFrame:
    names = ("association", "association_chance", "measure", "labelled", "predicted")
    return _frame(analysis.effects["labels"], names, ["factor", "latent"])


def _units(analysis: Analysis) -> pd.DataFrame:
    names = ("recovered", "recovered_chance", "effect", "effect_chance", "outside_range")
    return _by_unit(analysis.effects["patching"], names)


def _mediation(analysis: Analysis) -> pd.DataFrame:
    return _frame(analysis.effects["mediation"], ("indirect", "interaction", "direct"), ["treatment", "latent"])


def _circuits(analysis: Analysis) -> pd.DataFrame:
    circuits = analysis.effects["circuits"]
    if not circuits.sizes["factor"]:
        return pd.DataFrame()
    areas = circuits.sel(hold="source")
    flat = circuits.assign({name: areas[name] for name in _AREAS}).assign(
        size=circuits["member"].sum("unit"), random_most=circuits["random_faithfulness"].max("random_set")
    )
    return _frame(flat.drop_vars("hold"), ("size", *ESTIMATES, "random_most", *_AREAS, "alternatives"), ["factor"])


def _positions(analysis: Analysis) -> pd.DataFrame:
    names = ("row", "column", "ces", "ces_posterior", "codes_used", "code_entropy")
    return _frame(analysis.effects["swap"], names, ["position"])


def _codes(analysis: Analysis) -> pd.DataFrame:
    names = ("count", "share", "images", "effect_once", "effect", "effect_placed", "reach", "nearest_code")
    return _frame(analysis.effects["codes"], names, ["code"])


def _by_unit(effects: xr.Dataset, names: Sequence[str]) -> pd.DataFrame:
    frame = _frame(effects, ("site", "index", *names), ["unit"])
    return frame.set_index(["site", "index"])


def _frame(effects: xr.Dataset, names: Sequence[str], dims: list[str]) -> pd.DataFrame:
    """Reads the variables that there are, with the ends of their intervals, as columns over some dimensions.

    What varies along fewer of them is repeated along the others.
    """
    columns = [name + end for name in names for end in _ENDS if name + end in effects.variables]
    kept = effects.reset_coords()[columns].assign_coords(
        {name: effects[name] for name in dims if name in effects.coords}
    )
    return kept.to_dataframe(dim_order=dims)[columns]


_TABLES: dict[str, tuple[tuple[str, ...], Callable[[Analysis], pd.DataFrame]]] = {  # with the parts that each needs
    "scores": ((), lambda analysis: analysis.scores.copy()),
    "latents": (("latent",), _latents),
    "modes": (("modes",), _modes),
    "changes": (("input",), _changes),
    "outputs": (("input",), _outputs),
    "importance": (("importance",), _importance),
    "read": (("read",), _read),
    "labels": (("labels",), _labels),
    "units": (("patching",), _units),
    "mediation": (("mediation",), _mediation),
    "circuits": (("circuits",), _circuits),
    "positions": (("swap",), _positions),
    "codes": (("codes",), _codes),
}
