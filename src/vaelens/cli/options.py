"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(help="Fixes everything that is drawn.", min=0)]
Dataset = Annotated[str, typer.Option(help="The images: sprites, or digits.")]
Root = Annotated[Path | None, typer.Option(help="The folder of a dataset that reads files; built-in ones read none.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
