"""The run of an analysis: which effects are measured, on how many images, in which order."""

import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import sklearn
import torch
import xarray as xr
from torch import Tensor

from vaelens.analysis.disentanglement import disentanglement
from vaelens.analysis.pictures import pictures
from vaelens.analysis.reading import reading
from vaelens.analysis.record import Analysis
from vaelens.analysis.scores import score_table
from vaelens.analysis.shares import shares
from vaelens.arguments import check_seed
from vaelens.data import FactorDataset
from vaelens.effects import decoder_responses, input_effects, latent_effects, mediation_effects, patching_effects
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.reading import reading_of
from vaelens.errors import VaelensError
from vaelens.lens import LATENT, Lens, Patch
from vaelens.metrics.latent_means import latent_means
from vaelens.progress import check_progress, reporting
from vaelens.version import __version__

_HUNDREDTHS = 100  # that a part's progress is told in
_FEWEST = 8  # images, for an analysis, and with all their labels, for DCI and MIG

Moved = Callable[[float, float], None]  # takes what of a part is done, and what there is to do


def analyse(lens: Any, ds: Any, n: Any = 512, seed: Any = 0, progress: Any = True, reader: Any = None) -> Analysis:
    """Run everything on one model: the four levels, the causal metrics, the disentanglement metrics, and pictures.

    What needs factors is left out for a dataset without them; then level 1 manipulates pixels, and mediation treats
    an image with another image. Where labels are missing, DCI and MIG take the images that have all of them, and are
    left out where fewer than 8 have; a pair needs the label that it differs in. A quantised latent is measured by
    swaps of its codes besides, unless the images use one code alone.

    Args:
        lens: the lens on the model.
        ds: a dataset of images like the model's.
        n: images, at most: fewer are taken where the dataset has fewer. The dearer parts take fewer, and fewer still
            of a model with many latents; each records how many.
        seed: draws images, pairs and bootstrap resamples.
        progress: whether to show a bar on standard error, or a function of (done, total), in hundredths of a part of
            the analysis.
        reader: reads the dataset's factors off images, `vl.factor_reader(ds)`: the analysis then says which factors of
            the image each latent changes, and how often a reconstruction is read right.

    Returns:
        The analysis; `print` shows its scores, `.report(path)` draws it, `.save(folder)` keeps it.

    Raises:
        VaelensError: something else than a lens and a dataset, fewer than 8 images, or images that do not fit the
            model; a reader without factors or of images of another shape.
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
    check_progress(progress)
    x, labels = ds.sample(min(int(n), len(ds)), seed=seed)
    code = lens.encode(x[:1])  # a lens on a foreign module knows its latents from here on
    reading_of(reader, lens)  # one that does not fit is refused before the work
    take = shares(len(x), lens.latents, int(np.prod(code.shape[2:])))
    effects: dict[str, xr.Dataset] = {}
    parts: dict[str, Callable[[Moved], xr.Dataset]] = {
        "latent": lambda moved: latent_effects(lens, x[: take.latent], seed=seed, progress=moved),
        "modes": lambda moved: ces_by_mode(lens, x[: take.modes], seed, progress=moved),
        "recoded": lambda moved: _recoded(lens, x[: take.recoded], seed, moved),
        "input": lambda moved: input_effects(lens, ds, n=take.changed, seed=seed, progress=moved),
        "patching": lambda moved: patching_effects(lens, *_two_halves(x, take.patched), seed=seed, progress=moved),
        "mediation": lambda moved: _mediation(lens, ds, x, take.mediated, seed, moved),
        "responses": lambda moved: decoder_responses(lens, x[: take.responses], seed=seed, progress=moved),
    }
    if reader is not None:
        known = labels.numpy(), ds.factors.names
        parts["read"] = lambda moved: reading(lens, x, *known, reader, take.read, seed, moved)
    if lens.quantised and code.ndim > 2:
        parts["one_position"] = lambda moved: ces_by_mode(lens, x[: take.modes], seed, positions="one", progress=moved)
    # One code alone, as of a dead codebook, can't be swapped for another in use.
    if lens.quantised and len(lens.code_indices(x[: take.swapped]).unique()) > 1:
        parts["swap"] = lambda moved: latent_effects(lens, x[: take.swapped], mode="swap", seed=seed, progress=moved)
    parts["pictures"] = lambda moved: pictures(lens, x, effects.get("swap"), seed)
    if len(ds.factors) and ds.labelled >= _FEWEST:
        parts["importance"] = lambda moved: _importance(lens, ds, min(take.scored, ds.labelled), take.predicted, seed)
    with reporting(progress, _HUNDREDTHS * len(parts), "analysing") as report:
        for name, part in parts.items():
            moved = report.part(_HUNDREDTHS, f"analysing: {name}")
            effects[name] = part(moved)
            moved(1, 1)  # some parts say nothing of their progress
    provenance = {
        "versions": _versions(),
        "seed": seed,
        "images": len(x),
        "model": lens.describe(),
        "dataset": ds.describe(),
        "checks": _checks(lens, x),
    }
    return Analysis(effects, score_table(lens, x, effects, seed), provenance)


def _recoded(lens: Lens, x: Tensor, seed: int, moved: Moved) -> xr.Dataset:
    scores = [
        f"{name}{of}" for name in ("specificity", "specificity_normalised") for of in ("", "_mean", "_active_mean")
    ]
    names = [f"{score}{end}" for score in scores for end in ("", "_low", "_high")]
    return latent_effects(lens, x, over="latents", seed=seed, progress=moved)[names]


def _two_halves(x: Tensor, most: int) -> tuple[Tensor, Tensor]:
    pairs = min(most, len(x) // 2)
    return x[:pairs], x[pairs : 2 * pairs]


def _mediation(lens: Lens, ds: FactorDataset, x: Tensor, most: int, seed: int, moved: Moved) -> xr.Dataset:
    """The fraction of each treatment's effect on the image that passes through each latent."""
    treatments: dict[str, tuple[Tensor, Tensor]] = {"another image": _two_halves(x, most)}
    if len(ds.factors):
        pairs = {name: ds.pairs(name, min(len(x), most), seed=seed) for name in ds.factors.names}
        treatments = {name: (one.x, one.x2) for name, one in pairs.items()}
    rows: list[xr.Dataset] = []
    with reporting(moved, _HUNDREDTHS * len(treatments), "mediation") as report:
        for name, (base, treated) in treatments.items():
            one = report.part(_HUNDREDTHS, name)
            effects = mediation_effects(lens, base, treated, "latent", seed=seed, progress=one)
            rows.append(effects.drop_vars(["site", "index"]).rename(unit="latent"))
    names = xr.Variable("treatment", np.array(list(treatments)))
    return xr.concat(rows, names, combine_attrs="drop_conflicts", join="exact")


def _importance(lens: Lens, ds: FactorDataset, n: int, predicted: int, seed: int) -> xr.Dataset:
    """The disentanglement scores, DCI's with its importance matrix, of the first `predicted` codes."""
    images, factors = ds.sample(n, seed=seed + 1, labelled=True)
    codes = latent_means(lens, images).numpy()
    what = "codes chosen" if lens.quantised else "means of the posterior"
    spatial = "means over positions of the " if len(lens.sites[LATENT].shape) > 1 else ""
    made = f"{len(codes)} codes, {spatial}{what}"
    return disentanglement(codes, factors.numpy(), list(ds.factors.names), predicted, seed, made)


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
