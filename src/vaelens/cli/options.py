"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn.", min=0)]
Dataset = Annotated[str, typer.Option(help="The images: a name that vaelens data list has.")]
Root = Annotated[
    Path | None,
    typer.Option(
        help="The folder that datasets' files are kept in; VAELENS_DATA, or the user's data folder by default."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
