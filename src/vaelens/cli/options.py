"""The options that several commands have."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vaelens.errors import VaelensError
from vaelens.paths import user_path

if TYPE_CHECKING:
    from vaelens.data import FactorDataset

Seed = Annotated[int, typer.Option(help="Seed of everything random.", min=0)]
Dataset = Annotated[str, typer.Option(help="The images: a name that vaelens data list has.")]
Root = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="The folder that datasets' files are kept in; VAELENS_DATA, or the user's data folder by default.",
    ),
]
DatasetOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--dataset-option",
        metavar="NAME=VALUE",
        help="An option of the dataset, such as size=64 of folder or variant=real of mpi3d (repeatable).",
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace what --out holds of a run; it stays whole until the new one is done."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


def given_root(root: str | None) -> Path | None:
    """Resolves --root, where it was given.

    Raises:
        VaelensError: if it is empty, or no path.
    """
    return None if root is None else user_path("--root", root)


def options_of(dataset: str | None, texts: Sequence[str] | None) -> dict[str, Any]:
    """Parses the options of a dataset that may be left out.

    Raises:
        VaelensError: as `parse_options`; options without a dataset.
    """
    options = parse_options(texts)
    if options and dataset is None:
        raise VaelensError("--dataset-option is of --dataset, which is missing; give both or neither")
    return options


def parse_options(texts: Sequence[str] | None) -> dict[str, Any]:
    """Parses the dataset's options, which are read as JSON where they are JSON, and as text otherwise.

    Raises:
        VaelensError: if one is not of the form NAME=VALUE, or given twice.

    Example:
        >>> parse_options(["size=64", "crop=[0, 0, 100, 100]", "split=train"])
        {'size': 64, 'crop': [0, 0, 100, 100], 'split': 'train'}
    """
    options: dict[str, Any] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not name or not equals or name in options:
            raise VaelensError(f"--dataset-option is {text!r}; expected NAME=VALUE, each name once, such as size=64")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
        except RecursionError as error:
            raise VaelensError(
                f"--dataset-option {name} nests too deeply; expected a number, a text or a list"
            ) from error
    return options


def print_notes(ds: "FactorDataset") -> None:
    """Prints what of the user's files was taken and what was passed over, or nothing of a dataset that is built in."""
    for note in ds.notes:
        print(note)
