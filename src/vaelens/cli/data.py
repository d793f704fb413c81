"""`vaelens data`, which lists datasets, and gets, checks and takes in their official files."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.cli.options import Root, given_root
from vaelens.errors import VaelensError

data = typer.Typer(name="data", no_args_is_help=True, help="List, fetch, check and import datasets.")

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="A dataset that is read from files, as vaelens data list has it.")
]
Variant = Annotated[str | None, typer.Option(help="mpi3d: toy, realistic, real or real_complex.")]


@data.command("list")
def list_datasets(root: Root = None) -> None:
    """List every dataset, whether it is there, its size and licence (`fetch` prints the terms in full)."""
    import inspect

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Column, Table

    from vaelens.data import DATASETS
    from vaelens.data.files.condition import is_there
    from vaelens.data.files.places import data_root
    from vaelens.data.files.sources import SOURCES

    place = data_root(given_root(root))
    narrow = (
        Column("download", max_width=12),
        Column("licence", max_width=14),
    )  # 80 columns must leave room
    table = Table("name", "what it is", Column("there", max_width=10), *narrow, box=SIMPLE_HEAD, pad_edge=False)
    for name, entry in DATASETS.items():
        if name not in SOURCES:
            own = "root" in inspect.signature(entry.build).parameters
            table.add_row(name, entry.summary, "your own" if own else "built in", "", "")
            continue
        source = SOURCES[name]
        variants = [variant for variant in source.variants if is_there(name, place, variant)]
        presence = ", ".join(variants) or ("yes" if not source.variants and is_there(name, place) else "no")
        size = source.size + ("\nby hand" if source.agreement else "")
        table.add_row(name, entry.summary, presence, size, source.licence.partition(",")[0])
    Console().print(table)
    print(f"files are looked for in: {place}")


@data.command()
def fetch(name: Name, root: Root = None, variant: Variant = None) -> None:
    """Download a dataset's official files, going on with a download that was stopped."""
    from vaelens.data.files.download import fetch

    for path in fetch(name, given_root(root), variant):
        print(f"file: {path}")


@data.command()
def check(name: Name, root: Root = None, variant: Variant = None) -> None:
    """Say which of a dataset's files is missing, truncated or altered."""
    from vaelens.data.files.condition import check
    from vaelens.data.files.places import data_root, how_to_get

    right, wrong = check(name, given_root(root), variant)
    for finding in right:
        print(finding)
    if wrong:
        place = data_root(given_root(root))
        looked = f"looked in {str(place)!r} and {str(place / name)!r}"
        raise VaelensError(f"{'; '.join(wrong)} ({looked}); {how_to_get(name, place, variant)}")
    print(f"{name}: no fault was found")


@data.command("import")
def import_files(
    name: Name,
    source: Annotated[
        Path, typer.Option("--from", metavar="PATH", help="A file of the dataset, or a folder that holds its files.")
    ],
    root: Root = None,
    link: Annotated[bool, typer.Option("--link", help="Link to the files; don't copy them.")] = False,
) -> None:
    """Take files that you have into the data folder, once they have been checked."""
    from vaelens.data.files.intake import take

    for path in take(name, source, given_root(root), link):
        print(f"file: {path}")
