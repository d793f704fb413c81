"""The run of an analysis: which effects are measured, on how many images, in which order."""

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
import torch
import xarray as xr
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from vaelens.analysis.record import Analysis
from vaelens.analysis.scores import score_table
from vaelens.arguments import check_seed
from vaelens.data import FactorDataset
from vaelens.effects import decoder_responses, input_effects, latent_effects, mediation_effects, patching_effects
from vaelens.effects.latent import ces_by_mode
from vaelens.effects.modes import RANGE
from vaelens.errors import VaelensError
from vaelens.lens import Lens, Patch
from vaelens.metrics.disentanglement import dci, mig
from vaelens.version import __version__

# How many images the dearer parts take; each part's record says how many it took.
_SWEPT = 128  # latent sweeps besides the main one, mediation pairs of each factor, decoder responses
_RECODED = 64
_PATCHED = 64
_PAIRED = 256
_SCORED = 4  # times as many codes for DCI and MIG, and at least
_FEWEST_SCORED = 512
_SHOWN = 16
_FEWEST = 8  # images, for an analysis, and with all their labels, for DCI and MIG


def analyse(lens: Any, ds: Any, n: Any = 512, seed: Any = 0, progress: bool = True) -> Analysis:
    """Run everything on one model: the four levels, the causal metrics, DCI and MIG, and pictures.

    What needs factors is left out for a dataset without them; then level 1 manipulates pixels, and mediation treats
    an image with another image. Where labels are missing, DCI and MIG take the images that have all of them, and are
    left out where fewer than 8 have; a pair needs the label that it differs in.

    Args:
        lens: the lens on the model.
        ds: a dataset of images like the model's.
        n: images, at most: fewer are taken where the dataset has fewer. The dearer parts take fewer; each records how
            many.
        seed: draws images, pairs and bootstrap resamples.
        progress: whether to show a progress bar on standard error.

    Returns:
        The analysis; `print` shows its scores, `.report(path)` draws it, `.save(folder)` keeps it.

    Raises:
        VaelensError: something else than a lens and a dataset, fewer than 8 images, or images that do not fit the
            model.
    """
    if not isinstance(lens, Lens):
        raise VaelensError(f"analyse takes a Lens, got a {type(lens).__name__}; wrap the model with vl.Lens(model)")
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"analyse takes a dataset, got a {type(ds).__name__}; use vl.load_dataset(name) or vl.ArrayDataset(images)"
        )
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or min(n, len(ds)) < _FEWEST:
        raise VaelensError(f"n is {n!r} and {ds.name} has {len(ds)} images; an analysis needs at least {_FEWEST}")
    seed = check_seed(seed)
    x, _ = ds.sample(min(int(n), len(ds)), seed=seed)
    factors = len(ds.factors) > 0
    parts: dict[str, Callable[[], xr.Dataset]] = {
        "latent": lambda: latent_effects(lens, x, seed=seed),
        "modes": lambda: ces_by_mode(lens, x[:_SWEPT], seed),
        "recoded": lambda: _recoded(lens, x[:_RECODED], seed),
        "input": lambda: input_effects(lens, ds, n=min(len(x), _PAIRED), seed=seed),
        "patching": lambda: patching_effects(lens, *_two_halves(x, _PATCHED), seed=seed),
        "mediation": lambda: _mediation(lens, ds, x, seed),
        "responses": lambda: decoder_responses(lens, x[:_SWEPT]),
        "pictures": lambda: _pictures(lens, x),
    }
    if factors and ds.labelled >= _FEWEST:
        parts["importance"] = lambda: _importance(
            lens, ds, min(max(_SCORED * len(x), _FEWEST_SCORED), ds.labelled), seed
        )
    effects = {}
    with _progress(progress) as bar:
        task = bar.add_task("", total=len(parts))
        for name, part in parts.items():
            bar.update(task, description=f"analysing: {name}")
            effects[name] = part()
            bar.advance(task)
        bar.update(task, description="analysed")
    provenance = {
        "versions": _versions(),
        "seed": seed,
        "images": len(x),
        "model": lens.describe(),
        "dataset": ds.describe(),
        "checks": _checks(lens, x),
    }
    return Analysis(effects, score_table(lens, x, effects, seed), provenance)


def _recoded(lens: Lens, x: Tensor, seed: int) -> xr.Dataset:
    names = [f"{name}{end}" for name in ("specificity", "specificity_normalised") for end in ("", "_low", "_high")]
    return latent_effects(lens, x, over="latents", seed=seed)[names]


def _two_halves(x: Tensor, most: int) -> tuple[Tensor, Tensor]:
    pairs = min(most, len(x) // 2)
    return x[:pairs], x[pairs : 2 * pairs]


def _mediation(lens: Lens, ds: FactorDataset, x: Tensor, seed: int) -> xr.Dataset:
    """The fraction of each treatment's effect on the image that passes through each latent."""
    treatments: dict[str, tuple[Tensor, Tensor]] = {"another image": _two_halves(x, _SWEPT)}
    if len(ds.factors):
        pairs = {name: ds.pairs(name, min(len(x), _SWEPT), seed=seed) for name in ds.factors.names}
        treatments = {name: (one.x, one.x2) for name, one in pairs.items()}
    rows = [
        mediation_effects(lens, base, treated, "latent", seed=seed).drop_vars(["site", "index"]).rename(unit="latent")
        for base, treated in treatments.values()
    ]
    names = xr.Variable("treatment", np.array(list(treatments)))
    return xr.concat(rows, names, combine_attrs="drop_conflicts", join="exact")


def _importance(lens: Lens, ds: FactorDataset, n: int, seed: int) -> xr.Dataset:
    """DCI's importance matrix, with the scores that are read off the same codes."""
    images, factors = ds.sample(n, seed=seed + 1, labelled=True)
    codes = lens.representation(images).flatten(1).double().cpu().numpy()
    scored = dci(codes, factors.numpy(), seed=seed)
    made = f"{len(codes)} codes, means of the posterior"
    return xr.Dataset(
        {
            "importance": (("latent", "factor"), scored.importance),
            "disentanglement": scored.disentanglement,
            "completeness": scored.completeness,
            "informativeness": scored.informativeness,
            "mig": mig(codes, factors.numpy()) if codes.shape[1] > 1 else np.nan,
        },
        {"latent": np.arange(codes.shape[1]), "factor": list(ds.factors.names)},
        {
            "dci_made": f"{scored.estimator}, {scored.n_train} training and {scored.n_test} test codes, seed {seed}",
            "mig_made": f"{made}, 20-bin histogram",
        },
    )


def _pictures(lens: Lens, x: Tensor) -> xr.Dataset:
    """Originals and reconstructions of some images, and the first one's traversal of every latent."""
    shown = x[:_SHOWN]
    code = lens.encode(shown)
    rows = code[:1].repeat(lens.latents * len(RANGE), *[1] * (code.ndim - 1))
    for row in range(len(rows)):
        rows[row, row // len(RANGE)] = RANGE[row % len(RANGE)]
    traversal = lens.decode(rows).reshape(lens.latents, len(RANGE), *x.shape[1:])
    pixels = ("channel", "height", "width")
    return xr.Dataset(
        {
            "original": (("image", *pixels), shown.cpu().numpy()),
            "reconstruction": (("image", *pixels), lens.decode(code).cpu().numpy()),
            "traversal": (("latent", "value", *pixels), traversal.cpu().numpy()),
        },
        {"latent": np.arange(lens.latents), "value": list(RANGE)},
    )


def _checks(lens: Lens, x: Tensor) -> dict[str, bool]:
    """The engine's own laws, on this model: patching with itself changes no bit, the whole latent hands over all."""
    base = lens.run(x[:4], capture="all")
    source = lens.run(x[4:8], capture=["latent"])
    unchanged = [
        torch.equal(lens.run(x[:4], [Patch(name, "all", base)]).reconstruction, base.reconstruction)
        for name in lens.sites
    ]
    whole = lens.run(x[:4], [Patch("latent", "all", source)]).reconstruction
    return {
        "identity_patch_changes_no_bit": all(unchanged),
        "whole_latent_patch_equals_source": torch.equal(whole, source.reconstruction),
    }


def _versions() -> dict[str, str]:
    named = {"vaelens": __version__, "python": platform.python_version(), "torch": torch.__version__}
    return named | {"numpy": np.__version__, "scikit-learn": sklearn.__version__, "xarray": xr.__version__}


def _progress(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
