"""An analysis made by hand: every number in it is chosen, nothing is run."""

import functools
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from report.kinds import KINDS
from vaelens.analysis import Analysis
from vaelens.analysis.folder import score_frame
from vaelens.metrics.catalogue import METRICS
from vaelens.report import write_analysis

SITES = {"encoder.0": 3, "encoder.1": 70, "latent": 3, "decoder.0": 4}
CES = [2.0, 7.0, 4.0]
NEEDS_A_VARIANCE = [f"{name}{end}" for name in ("information", "kl") for end in ("", "_low", "_high")]


def with_interval(name, dims, values, half):
    """A variable with an interval of `half` to either side."""
    values = np.asarray(values, dtype=float)
    return {name: (dims, values), f"{name}_low": (dims, values - half), f"{name}_high": (dims, values + half)}


def best_set(values, half, candidates=True):
    """The candidates that the largest's interval of `half` to either side leaves open."""
    values = np.where(candidates, np.asarray(values, dtype=float), np.nan)
    half = np.nan_to_num(half)
    largest = np.nanmax(values, axis=-1, keepdims=True) if np.isfinite(values).any() else np.nan
    return values + half >= largest - half


def latent_dataset(ces, active, half, channels, information, support):
    ces = np.asarray(ces, dtype=float)
    d = len(ces)
    information = np.where(active, np.arange(d) + 1.0, 0.001) if information is None else np.asarray(information)
    variables = {
        **with_interval("ces", ("latent",), ces, half),
        **with_interval("ces_relative", ("latent",), ces / 10, half / 10),
        **with_interval("ces_posterior", ("latent",), ces / 2, half / 2),
        **with_interval("specificity", ("latent",), 0.1 + ces / 100, 0.001),
        **with_interval("specificity_normalised", ("latent",), ces / 20, 0.001),
        **with_interval("specificity_per_image", ("latent",), ces / 10, 0.001),
        **with_interval("specificity_baseline", ("latent",), np.full(d, 0.125), 0.001),
        **with_interval("information", ("latent",), information, 0.01),
        **with_interval("removal_cost", ("latent",), information * 10, 0.1),
        **with_interval("support", ("latent", "value"), np.full((d, 7), support), 0.01),
        **with_interval("cycle_error", ("latent", "value"), np.full((d, 7), 1.5), 0.01),
        "active": (("latent",), np.asarray(active)),
        "kl": (("latent",), np.where(active, 1.5, 0.001)),
        "effect_map": (
            ("latent", "channel", "height", "width"),
            np.ones((d, channels, 6, 6)) * ces[:, None, None, None],
        ),
        "ces_best": (("latent",), best_set(ces, half, active)),
        "ces_posterior_best": (("latent",), best_set(ces / 2, half / 2, active)),
        "specificity_normalised_best": (("latent",), best_set(ces / 20, 0.001, active)),
    }
    attributes = {
        "images": np.int64(50),  # as netCDF reads numbers back
        "mode": "range",
        "reference_distance": np.float64(10.0),
        "interval": "95% percentile",
        "information_limit": 100.0,
    }
    return xr.Dataset(variables, {"latent": np.arange(d)}, attributes)


def modes_dataset(latent, half):
    modes = xr.concat(
        [latent[["ces", "ces_low", "ces_high"]]] * 2,
        xr.Variable("mode", np.array(["range", "posterior"])),
        combine_attrs="override",
        join="exact",
    )
    active = latent["active"].values
    mean = latent["ces"].values[active].mean() / 10 if active.any() else np.nan
    return modes.assign(with_interval("ces_relative_active_mean", ("mode",), [mean] * 2, half / 10))


def patching_dataset(sites):
    site = np.repeat(list(sites), list(sites.values()))
    index = np.concatenate([np.arange(count) for count in sites.values()])
    recovered = np.linspace(-0.1, 0.5, len(site))
    variables = {
        **with_interval("effect", ("unit",), np.arange(len(site)) + 0.5, 0.25),
        **with_interval("recovered", ("unit",), recovered, 0.001),
        **with_interval("outside_range", ("unit",), np.full(len(site), 0.25), 0.01),
        "recovered_chance": (("unit",), np.full(len(site), 0.0625)),
        "recovered_best": (
            ("unit",),
            np.concatenate([best_set(recovered[site == name], 0.001) for name in sites]),
        ),
    }
    outcomes = [f"{name}: {'code' if name.startswith('encoder') else 'image'}" for name in sites]
    return xr.Dataset(
        variables, {"site": ("unit", site), "index": ("unit", index)}, {"outcomes": outcomes, "images": 16}
    )


def score(key, value, low=np.nan, high=np.nan, made="by hand", chance=np.nan):
    """A row of the table of scores."""
    metric = METRICS[key]
    numbers = {"value": value, "low": low, "high": high, "chance": chance}
    return {key: {"label": metric.label, **numbers, "better": metric.better, "made": made}}


def score_table(d, active, factors):
    rows = score("reconstruction_error", 0.0123, 0.0101, 0.0145, "mean over 50 images")
    rows |= score("active_latents", float(np.sum(active)), made=f"of {d}: KL above 0.01 nat, 50 images")
    rows |= score("ces", 4.3333, 4.1111, 4.5555, "mean over all latents, 50 images")
    rows |= score("circuit_modularity", 0.625, 0.6, 0.65, "3 active latents, 20 images", 0.5)
    if factors:
        rows |= score("dci_disentanglement", 0.321, 0.3, 0.35, "random-forest", 0.01)
        rows |= score("dci_completeness", np.nan, made="not computed: it compares latents, and there is only 1")
        rows |= score("mig", 0.0456, 0.04, 0.05, "40 codes", 0.042)
    scores = score_frame(rows)
    untrained = {"circuit_modularity": 0.55, "dci_disentanglement": 0.02, "mig": 0.01}
    return scores.assign(untrained=[untrained.get(key, np.nan) for key in scores.index])


def swap_dataset(swaps, half, pixels, **attributes):
    swaps = np.asarray(swaps, dtype=float)
    positions = swaps.size
    rows, columns = np.unravel_index(np.arange(positions), swaps.shape)
    ces = swaps.ravel()
    variables = {
        **with_interval("effect", ("position", "value"), np.stack([ces] * 4, axis=1), half),
        **with_interval("ces", ("position",), ces, half),
        "ces_best": (("position",), best_set(ces, half)),
        **with_interval("ces_relative", ("position",), ces / 10, half / 10),
        **with_interval("ces_posterior", ("position",), ces / 2, half / 2),
        **with_interval("ces_mean", (), ces.mean(), half),
        **with_interval("ces_relative_mean", (), ces.mean() / 10, half / 10),
        **with_interval("ces_posterior_mean", (), ces.mean() / 2, half / 2),
        "codes_used": (("position",), np.arange(positions) + 1),
        "code_entropy": (("position",), np.log(np.arange(positions) + 1)),
        "effect_map": (("position", *pixels), np.ones((positions, *pixels.values())) * ces[:, None, None, None]),
    }
    coords = {"position": np.arange(positions), "row": ("position", rows), "column": ("position", columns)}
    attributes |= {"images": np.int64(40), "mode": "swap", "reference_distance": np.float64(10.0)}
    return xr.Dataset(variables, coords | {"value": np.arange(4)}, attributes)


def quantised(effects, scores, swaps, codes, half):
    """What a codebook adds to the effects, which are changed, and to the scores."""
    use = {"codes": codes[0], "codes_used": codes[1], "code_perplexity": codes[1] / 2}
    effects["latent"].attrs |= use
    effects["latent"] = effects["latent"].drop_vars([name for name in NEEDS_A_VARIANCE if name in effects["latent"]])
    effects["input"] = effects["input"].drop_vars([name for name in effects["input"] if "shift" in str(name)])
    effects["modes"].attrs["images"] = 30
    effects["one_position"] = effects["modes"].copy(deep=True)
    for name in effects["one_position"].data_vars:
        effects["one_position"][name] /= 4
    axis = ("factor",) if "factor" in effects["input"].dims else ("manipulation",)
    changed = with_interval("codes_changed", axis, np.full(effects["input"].sizes[axis[0]], 0.25), 0.125)
    effects["input"] = effects["input"].assign(changed)
    rows = score("codes_used", float(codes[1])) | score("code_perplexity", codes[1] / 2)
    if swaps is not None:
        shown = effects["pictures"]
        pixels = {name: shown.sizes[name] for name in ("channel", "height", "width")}
        effects["swap"] = swap = swap_dataset(swaps, half, pixels, **use)
        positions = np.arange(swap.sizes["position"])[-2:]
        pictures = np.broadcast_to(shown["original"].values[0], (len(positions), 4, *pixels.values())).copy()
        effects["pictures"] = shown.assign(swapped=(("position", "swap", *pixels), pictures)).assign_coords(
            position=positions
        )
        rows |= score("ces_relative", 0.4333) | score("ces_relative_one_position", 0.1083)
        rows |= score("ces_relative_swap", float(swap["ces_relative"].mean()))
    return pd.concat([scores, score_frame(rows)])


def changes_dataset(axis, rows, moved, active, observed):
    """Level 1 by hand: d′ is `moved`, and ranking by what else there is would name other latents."""
    d, pairs = moved.shape[1], (axis, "latent")
    output = np.arange(len(rows)) + 3.0
    changes = {
        **with_interval("latent_effect", pairs, 10 - moved, 0.1),
        **with_interval("latent_shift", pairs, moved if observed is None else 10 - moved, 0.1),
        **with_interval("latent_divergence", pairs, moved**2, 0.1),
        **with_interval("output_effect", (axis,), output, 0.5),
        **with_interval("latent_shift_random", ("latent",), np.full(d, 4.0), 0.1),
        **with_interval("output_effect_random", (), 9.0, 0.1),
        "latent_shift_best": (pairs, best_set(moved, 0.1, active)),
        "latent_effect_best": (pairs, best_set(10 - moved, 0.1, active)),
    }
    if observed is not None:
        changes |= with_interval("output_effect_adjusted", (axis,), np.asarray(observed, dtype=float), 0.5)
        changes |= with_interval("latent_shift_adjusted", pairs, moved, 0.1)
    coords = {axis: rows, "latent": np.arange(d)}
    if axis == "factor":
        changes["matched"] = ((axis,), np.full(len(rows), 31))
    else:
        coords["strength"] = (axis, [2.0, 0.125])
    return xr.Dataset(changes, coords, {"pairs": 32})


def labels_dataset(factors, d):
    association = np.linspace(0, 0.5, d * len(factors)).reshape(len(factors), d)
    variables = {
        **with_interval("association", ("factor", "latent"), association, 0.05),
        "association_best": (("factor", "latent"), best_set(association, 0.05)),
    }
    measure = ["spearman" if k % 2 else "eta_squared" for k in range(len(factors))]
    variables |= {
        "association_chance": (("factor",), np.full(len(factors), 0.03)),
        "predicted": (("factor",), np.full(len(factors), 0.75)),
        "reader_tells_more": (("factor",), np.arange(len(factors)) % 2 == 1),
        "labelled": (("factor",), np.full(len(factors), 44)),
    }
    coords = {"factor": list(factors), "latent": np.arange(d), "measure": ("factor", measure)}
    return xr.Dataset(variables, coords, {"images": 45, "predicted_by": "the 10 nearest codes"})


def of_an_earlier_version(effects):
    """Takes from the effects what analyses of earlier versions did not measure."""
    new = ("_best", "_random", "_adjusted", "information", "removal_cost", "support", "cycle_error", "outside_range")
    new += ("per_image", "baseline")
    effects.pop("labels", None)
    for part, dataset in effects.items():
        effects[part] = dataset.drop_vars([name for name in dataset if any(word in str(name) for word in new)])


def build(
    ces=CES,
    active=None,
    half=0.25,
    factors=("shape", "scale"),
    moved=None,
    indirect=None,
    channels=1,
    sites: Mapping[str, int] = SITES,
    name="sprites",
    checks=None,
    swaps=None,
    codes=None,
    information=None,
    support=0.75,
    observed=None,
    earlier=False,
    seen="held out",
):
    """An analysis with as many latents as `ces` has numbers.

    Args:
        ces: CES of each latent; the other numbers of level 2 follow from it, posterior CES is half of it.
        active: which latents are; all.
        half: half the width of the intervals of CES.
        factors: names; None for manipulations and one treatment with another image.
        moved: d′, (factor, latent), with intervals of 0.1 to either side; of observed pairs adjusted.
        indirect: (treatment, latent), with intervals of 0.05 to either side.
        channels: of the images.
        sites: units of each patched site.
        name: of the dataset.
        checks: self-checks.
        swaps: of a quantised latent: CES of a swap at each position, (rows, columns), with intervals of `half`.
        codes: how many codes the codebook has and how many are used; (512, 12) with swaps.
        information: of each latent, in nats; removal costs ten times as much.
        support: the share of intervened codes on the support.
        observed: adjusted effect of each factor on the output, with intervals of 0.5 to either side; None for a grid.
        earlier: whether an earlier version made it, without what was measured only later.
        seen: whether the images were trained on.
    """
    d = len(ces)
    active = np.ones(d, bool) if active is None else np.asarray(active)
    axis, rows = ("factor", list(factors)) if factors else ("manipulation", ["blur", "shift"])
    treatments = list(factors) if factors else ["another image"]
    moved = np.arange(1, len(rows) * d + 1).reshape(len(rows), d) / 2 if moved is None else np.asarray(moved, float)
    indirect = np.linspace(0.2, 0.8, len(treatments) * d).reshape(-1, d) if indirect is None else np.asarray(indirect)
    latent = latent_dataset(ces, active, half, channels, information, support)
    through = ("treatment", "latent")
    mediation = {
        **with_interval("indirect", through, indirect, 0.05),
        **with_interval("interaction", through, np.full(indirect.shape, 0.1), 0.01),
        **with_interval("direct", through, 0.9 - indirect, 0.05),
        **with_interval("total_norm", ("treatment",), np.arange(len(treatments)) + 1.0, 0.1),
        "indirect_best": (through, best_set(indirect, 0.05, active)),
    }
    pixels = ("channel", "height", "width")
    ramp = np.linspace(0, 1, channels * 36).reshape(channels, 6, 6)
    effects = {
        "latent": latent,
        "modes": modes_dataset(latent, half),
        "recoded": latent[
            ["specificity_normalised", "specificity_normalised_low", "specificity_normalised_high"]
        ].assign_attrs(images=20),
        "input": changes_dataset(axis, rows, moved, active, observed),
        "patching": patching_dataset(sites),
        "mediation": xr.Dataset(mediation, {"treatment": treatments}, {"images": 24}),
        "pictures": xr.Dataset(
            {
                "original": (("image", *pixels), np.stack([ramp] * 10)),
                "reconstruction": (("image", *pixels), np.stack([1 - ramp] * 10)),
                "traversal": (("latent", "value", *pixels), np.broadcast_to(ramp, (d, 7, *ramp.shape)).copy()),
            },
            {"latent": np.arange(d), "value": np.linspace(-3.0, 3.0, 7)},
        ),
    }
    if factors:
        effects["labels"] = labels_dataset(factors, d)
        effects["importance"] = xr.Dataset(
            {
                "importance": (("latent", "factor"), np.arange(d * len(rows)).reshape(d, len(rows)) / 10),
                **dict.fromkeys(
                    ("dci_disentanglement", "dci_completeness", "mig"), 0.0
                ),  # scores are read off the table
            },
            {"latent": np.arange(d), "factor": rows},
            {"importance_made": "random-forest, 30 training and 10 test codes"},
        )
    scores = score_table(d, active, factors)
    if swaps is not None or codes is not None:
        scores = quantised(effects, scores, swaps, codes or (512, 12), half)
    if earlier:
        of_an_earlier_version(effects)
        scores = scores.drop(columns="untrained")
    sizes = [3, 6][: len(factors)] if factors else []
    provenance = {
        "versions": {"vaelens": "0.1.0", "torch": "2.0"},
        "seed": 0,
        "images": 50,
        "model": {"model": "vae", "hyperparameters": {}, "parameters": 12345, "weights_sha256": "ab" * 32},
        "dataset": {
            "name": name,
            "options": {},
            "length": 18,
            "factor_sizes": sizes,
            "image_shape": [channels, 6, 6],
            "content_sha256": "cd" * 32,
        },
        "left_out": {} if factors else {"importance": "the dataset has no factors"},
        "checks": {"identity_patch_changes_no_bit": True} if checks is None else checks,
        "images_seen_in_training": seen,
    }
    return Analysis(effects, scores, provenance)


@pytest.fixture(scope="session")
def analysis_of():
    """Builds an analysis by hand."""
    return build


@pytest.fixture(scope="session")
def written(analysis_of, tmp_path_factory):
    """Writes the page of a kind of analysis, once."""
    folder = tmp_path_factory.mktemp("pages")

    @functools.cache
    def write(kind):
        return write_analysis(analysis_of(**KINDS[kind]), folder / f"{list(KINDS).index(kind)}.html")

    return write
