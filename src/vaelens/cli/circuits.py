"""`vaelens circuits` finds a circuit of every factor, and says what the units of a model are like."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from vaelens.cli.options import Dataset, DatasetOptions, Device, Root, Seed, parse_options, print_notes
from vaelens.cli.sources import load_lens, name_of_source
from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    import xarray as xr

    from vaelens.circuits import Circuit
    from vaelens.data import FactorDataset

_MODEL_HELP = "What vaelens analyse takes: a folder, or package.module:function."
_OUT_HELP = "Where files go; MODEL/circuits by default, runs/NAME/circuits where MODEL is no folder."
_FACTOR_HELP = "A factor whose circuit is looked for (repeatable); all by default."
_THRESHOLD_HELP = "The fraction of a factor's effect that its circuit must carry."
_UNIT_PAIRS = 64  # pairs at least, from which units are told from chance
_SCORER_HELP = "What units are ordered by: exact, attribution, attribution-ig or random."


def circuits(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=_MODEL_HELP)],
    dataset: Dataset,
    root: Root = None,
    dataset_option: DatasetOptions = None,
    factor: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_FACTOR_HELP)] = None,
    threshold: Annotated[float, typer.Option(help=_THRESHOLD_HELP)] = 0.9,
    scorer: Annotated[str, typer.Option(help=_SCORER_HELP)] = "exact",
    pairs: Annotated[int, typer.Option(help="Pairs of images for each factor.")] = 64,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help=_OUT_HELP, metavar="DIR")] = None,
    device: Device = "auto",
) -> None:
    """Find a circuit of every factor, the units that carry it from image to image.

    Each is written as JSON, GraphML and Graphviz DOT, and as a picture (SVG), once it is found.
    """
    target = _default_out(model) if out is None else user_path("--out", out)
    if target.exists() and not target.is_dir():
        raise VaelensError(f"{str(target)!r} is a file; give a folder as --out")
    options = parse_options(dataset_option)
    import vaelens as vl

    lens = load_lens(model, device)
    ds = vl.load_dataset(dataset, root=root, **options)
    print_notes(ds)
    names = _factors(ds, factor)
    console, table = Console(), Table("factor", "units", "faithfulness", "on other pairs", "best random", "others")
    for name in names:
        circuit = vl.discover_circuit(lens, ds, name, threshold, scorer, n=pairs, seed=seed)  # pyright: ignore
        _write(circuit, target / name.replace("/", "-"))
        table.add_row(*_row(circuit))
        for note in circuit.notes:
            print(f"· {name}: {note}", flush=True)
    console.print(table)
    units = vl.unit_selectivity(lens, ds, n=max(pairs, _UNIT_PAIRS), seed=seed)
    units[["effect", "type", "effective_factors"]].to_dataframe().reset_index().to_csv(
        target / "units.csv", index=False
    )
    console.print(_types(units))
    print(f"circuits: {target}")


def _factors(ds: "FactorDataset", asked: list[str] | None) -> list[str]:
    """Returns the factors that were asked for, or all that vary.

    Raises:
        VaelensError: an unknown factor, or a dataset without any.
    """
    for name in asked or ():
        ds.factors.index(name)
    names = asked or [name for name, size in zip(ds.factors.names, ds.factors.sizes, strict=True) if size > 1]
    if not names:
        raise VaelensError(f"{ds.name} has no factor with several values, and circuits are those of factors")
    return list(dict.fromkeys(names))


def _write(circuit: "Circuit", path: Path) -> None:
    circuit.to_json(path.with_name(f"{path.name}.json"))
    circuit.to_graphml(path.with_name(f"{path.name}.graphml"))
    circuit.to_dot(path.with_name(f"{path.name}.dot"))
    circuit.figure().save(path.with_name(f"{path.name}.svg"))


def _row(circuit: "Circuit") -> list[str]:
    return [
        circuit.factor,
        f"{len(circuit)} of {circuit.scores.size}",
        str(circuit.faithfulness),
        f"{float(circuit.held_out):.3g}",
        f"{circuit.random_faithfulness.max():.3g}",
        str(len(circuit.alternatives)),
    ]


def _types(units: "xr.Dataset") -> Table:
    names = units["type_name"].values.tolist()
    table = Table("site", *names)
    for site in units["of_site"].values.tolist():
        table.add_row(site, *(str(int(units["count"].sel(type_name=name, of_site=site))) for name in names))
    return table


def _default_out(model: str) -> Path:
    folder = Path(model).expanduser()
    return folder / "circuits" if folder.is_dir() else Path("runs") / name_of_source(model) / "circuits"
