"""`vaelens quickstart` trains, explains and reports on built-in data, in minutes."""

from pathlib import Path
from typing import Annotated

import typer

from vaelens.cli.analysis import explain
from vaelens.cli.options import Overwrite, Seed
from vaelens.cli.sources import load_lens
from vaelens.cli.training import fit, print_terms
from vaelens.errors import VaelensError
from vaelens.paths import user_path

_STEPS, _IMAGES = 1200, 256
_DATASET = "sprites"


def quickstart(
    out: Annotated[str, typer.Option(metavar="DIR", help="Where model, analysis and report go.")] = "runs/quickstart",
    seed: Seed = 0,
    overwrite: Overwrite = False,
) -> None:
    """Train a small VAE on the built-in sprites, explain it, and write a report.

    A run that was interrupted goes on where it stopped.
    """
    import vaelens as vl
    from vaelens.models.run_folder import is_begun, is_replaced, run_folder

    folder = user_path("--out", out)
    resume = is_begun(folder) and not overwrite
    if not (overwrite or is_replaced(folder)):
        _check_analysis(folder / "analysis", seed)
    with run_folder(folder, resume, overwrite) as place:
        ds = vl.load_dataset(_DATASET)
        vae = vl.build_model("vae", ds.image_shape, seed=seed)
        without = " without --overwrite" if overwrite else ""
        result = fit(vae, ds, place, f"by the same command{without}", steps=_STEPS, seed=seed, resume=resume)
    print_terms(vae, result)
    asked = {"n": _IMAGES, "seed": seed, "overwrite": False}
    explain(load_lens(str(folder), "auto"), ds, folder / "analysis", asked, may_be_there=True)


def _check_analysis(folder: Path, seed: int) -> None:
    """Refuses a folder with an analysis that is not this command's own, before anything is trained."""
    from vaelens.analysis.folder import AnalysisFolder

    kept = AnalysisFolder(folder)
    try:
        configurations = [manifest.configuration for manifest in (kept.finished, kept.unfinished) if manifest]
        own = all(
            (asked["seed"], asked["images"], asked["dataset"]["name"]) == (seed, _IMAGES, _DATASET)
            for asked in configurations
        )
    except (VaelensError, LookupError, TypeError):
        own = False
    if not own:
        raise VaelensError(
            f"{str(folder)!r} holds an analysis that quickstart did not make with this seed; give another --out, or "
            "--overwrite"
        )
