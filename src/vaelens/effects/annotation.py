"""Effects on genes, kept gene by gene in `varm`, and in `uns`, of the AnnData that the cells came from."""

from typing import Any

import numpy as np
import xarray as xr

from vaelens.errors import VaelensError
from vaelens.version import __version__

_MAP, _ENDS = "effect_map", ("", "_low", "_high")
_OVER = ("latent", "direction")  # whose effects there are
_MADE_BY = "vaelens"  # the field of `uns` that says whose entry it is


def annotate(adata: Any, effects: xr.Dataset, key: str = "vaelens") -> None:
    """Writes the effects of latents on genes into an AnnData object, where scanpy and a saved .h5ad file have them.

    `adata.varm[f"{key}_effect"]` becomes E|Δ| of each gene, (genes, latents), with its 95 % interval in
    `f"{key}_effect_low"` and `f"{key}_effect_high"`; genes that the model does not know are NaN. `adata.uns[key]`
    becomes what the effects say of each latent, such as `ces` and `specificity`, as arrays (latents,), and how they
    were made. Nothing else of the object is touched. What an earlier call wrote under the key is replaced.

    Args:
        adata: The object; anything with `var_names`, `varm` and `uns`.
        effects: What `latent_effects` returned, of a lens on vectors whose features are the names of genes.
        key: What the entries are called.

    Raises:
        VaelensError: If it is no such object, effects of something else, a feature is no gene of the object, names of
            genes are not unique, or somebody else's entry stands under the key.

    Example:
        >>> from types import SimpleNamespace
        >>> effects = xr.Dataset(
        ...     {"effect_map": (("latent", "feature"), [[1.0, 0.0]]), "ces": ("latent", [1.0])},
        ...     {"latent": [0], "feature": ["GATA1", "TP53"]},
        ... )
        >>> adata = SimpleNamespace(var_names=np.array(["TP53", "GATA1", "ACTB"]), varm={}, uns={})
        >>> annotate(adata, effects)
        >>> adata.varm["vaelens_effect"].ravel(), adata.uns["vaelens"]["ces"]
        (array([ 0.,  1., nan]), array([1.]))
    """
    lacking = [part for part in ("var_names", "varm", "uns") if not hasattr(adata, part)]
    if lacking:
        raise VaelensError(f"a {type(adata).__name__} has no {lacking[0]}; expected an anndata.AnnData")
    if not isinstance(key, str) or not key:
        raise VaelensError(f"key is {key!r}; expected a name for the entries, such as 'vaelens'")
    over, of_genes = _of_genes(effects)
    rows = _rows(adata.var_names, of_genes["feature"].values)
    names = {end: f"{key}_effect{end}" for end in _ENDS if f"{_MAP}{end}" in of_genes}
    _check_own(adata, key, list(names.values()))
    for end, name in names.items():
        values = np.full((len(adata.var_names), of_genes.sizes[over]), np.nan)
        values[rows] = of_genes[f"{_MAP}{end}"].transpose("feature", over).values
        adata.varm[name] = values
    adata.uns[key] = {
        "made_by": f"{_MADE_BY} {__version__}",
        over: of_genes[over].values.astype(str).astype(object),
        **{str(name): values.values for name, values in of_genes.items() if values.dims == (over,)},
        "how": {str(name): value for name, value in of_genes.attrs.items() if isinstance(value, str | int | float)},
    }


def _of_genes(effects: xr.Dataset) -> tuple[str, xr.Dataset]:
    """Checks that these are effects on features, and returns whose, with the effects."""
    over = next((name for name in _OVER if isinstance(effects, xr.Dataset) and name in effects.dims), None)
    if over is None or _MAP not in effects or set(effects[_MAP].dims) != {over, "feature"}:
        what = f"a {type(effects).__name__}" if not isinstance(effects, xr.Dataset) else "other effects"
        raise VaelensError(f"effects are {what}; expected what vl.latent_effects gives of a lens on cells")
    return over, effects


def _rows(genes: Any, features: np.ndarray) -> np.ndarray:
    """Finds which row of the object each feature is."""
    places: dict[str, int] = {}
    for place, gene in enumerate(map(str, genes)):
        if gene in places:
            raise VaelensError(f"two genes are called {gene!r}; make their names unique: adata.var_names_make_unique()")
        places[gene] = place
    missing = [str(feature) for feature in features if str(feature) not in places]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise VaelensError(f"the object has no gene {missing[0]!r}{more}; give the AnnData that the cells came from")
    return np.array([places[str(feature)] for feature in features])


def _check_own(adata: Any, key: str, names: list[str]) -> None:
    """Refuses to replace what was not written here."""
    entry = adata.uns.get(key)
    own = hasattr(entry, "get") and str(entry.get("made_by", "")).startswith(_MADE_BY)
    theirs = [f"varm[{name!r}]" for name in names if name in adata.varm] + (
        [f"uns[{key!r}]"] if key in adata.uns else []
    )
    if theirs and not own:
        raise VaelensError(f"{theirs[0]} is there already, and not from here; give another key")
