"""`vaelens quickstart`: train, explain and report on built-in data, in minutes."""

import json
from pathlib import Path
from typing import Annotated

import typer

from vaelens.cli.analysis import analyse
from vaelens.cli.options import Overwrite, Seed
from vaelens.cli.training import fit
from vaelens.errors import VaelensError
from vaelens.paths import user_path

_STEPS, _IMAGES = 1200, 256
_DATASET = "sprites"


def quickstart(
    out: Annotated[str, typer.Option(metavar="PATH", help="Where model, analysis and report go.")] = "runs/quickstart",
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train a small VAE on the built-in sprites, explain it, and write a report.

    A run that was interrupted goes on where it stopped.
    """
    import vaelens as vl
    from vaelens.models.run_folder import is_begun, run_folder

    folder = user_path("--out", out)
    _check_analysis(folder / "analysis", seed, overwrite)
    resume = is_begun(folder) and not overwrite
    with run_folder(folder, resume, overwrite) as place:
        ds = vl.load_dataset(_DATASET)
        vae = vl.build_model("vae", ds.image_shape, seed=seed)
        fit(vae, ds, place, "by the same command", steps=_STEPS, seed=seed, resume=resume)
    analyse(str(folder), dataset=_DATASET, images=_IMAGES, seed=seed, overwrite=True)


def _check_analysis(folder: Path, seed: int, overwrite: bool) -> None:
    """Refuses to replace an analysis that is not this command's own."""
    record = folder / "provenance.json"
    if overwrite or not record.is_file():
        return
    try:
        made = json.loads(record.read_text(encoding="utf-8"))
        own = (made["seed"], made["images"], made["dataset"]["name"]) == (seed, _IMAGES, _DATASET)
    except (ValueError, LookupError, TypeError):
        own = False
    if not own:
        raise VaelensError(
            f"{str(folder)!r} holds an analysis that quickstart did not make with this seed; give another --out, or "
            "--overwrite"
        )
