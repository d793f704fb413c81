"""`vaelens data`: which datasets there are, and how to get, check and take in their official files."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.cli.options import Root
from vaelens.errors import VaelensError

data = typer.Typer(name="data", no_args_is_help=True, help="List, fetch, check and import datasets.")

Name = Annotated[str, typer.Argument(help="A dataset that is read from files, as vaelens data list has it.")]
Variant = Annotated[str | None, typer.Option(help="mpi3d: toy, realistic, real or real_complex.")]


@data.command("list")
def list_datasets(root: Root = None) -> None:
    """List every dataset: what it is, its licence and size, and whether it is there."""
    import inspect

    from rich.console import Console
    from rich.table import Table

    from vaelens.data import DATASETS
    from vaelens.data.condition import is_there
    from vaelens.data.places import data_root
    from vaelens.data.sources import SOURCES

    place = data_root(root)
    table = Table("name", "what it is", "there", "download", "licence")
    for name, entry in DATASETS.items():
        if name not in SOURCES:
            own = "root" in inspect.signature(entry.build).parameters
            table.add_row(name, entry.summary, "your own" if own else "built in", "", "")
            continue
        source = SOURCES[name]
        sizes = [need.forms[0].size for need in source.needs]
        size = f"{sum(s for s in sizes if s) / 1e6:,.0f} MB" if any(sizes) else "size unknown"
        there = "yes" if is_there(name, place) else "no"
        table.add_row(name, entry.summary, there, "by hand" if source.agreement else size, source.licence)
    Console().print(table)
    print(f"files are looked for in: {place}")


@data.command()
def fetch(name: Name, root: Root = None, variant: Variant = None) -> None:
    """Download a dataset's official files; a download that was stopped goes on."""
    from vaelens.data.download import fetch

    for path in fetch(name, root, variant):
        print(f"file: {path}")


@data.command()
def check(name: Name, root: Root = None, variant: Variant = None) -> None:
    """Say which of a dataset's files is missing, truncated or altered."""
    from vaelens.data.condition import check
    from vaelens.data.places import data_root, how_to_get

    right, wrong = check(name, root, variant)
    for finding in right:
        print(finding)
    if wrong:
        place = data_root(root)
        looked = f"looked in {str(place)!r} and {str(place / name)!r}"
        raise VaelensError(f"{'; '.join(wrong)} ({looked}); {how_to_get(name, place, variant)}")
    print(f"{name}: all files are there, and whole")


@data.command("import")
def import_files(
    name: Name,
    source: Annotated[Path, typer.Option("--from", help="A file of the dataset, or a folder that holds its files.")],
    root: Root = None,
    link: Annotated[bool, typer.Option("--link", help="Link to the files; don't copy them.")] = False,
) -> None:
    """Take files that you have into the data folder, once they have been checked."""
    from vaelens.data.intake import take

    for path in take(name, source, root, link):
        print(f"file: {path}")
