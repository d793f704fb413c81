"""The schemas of all effects: what each result holds. A new effect, or a new variable of one, is a line here.

Every variable of a result carries its `long_name` and `units` from here, and a test holds every result to its table.
"""

from types import MappingProxyType

from vaelens.effects.schema import ANY, POSITIVE, SHARE, Schema, Variable

_L2, _SD, _NATS, _NUMBER = "pixel-L2", "standard deviations", "nats", "1"
_POSTERIOR_SD = "standard deviations of the posterior"
_READER, _STOPPED, _VARIANCE = "a reader is given", "a tolerance is given", "the encoder returns a variance"


def _best_of(score: str, dims: tuple[str, ...], which: str, when: str = "") -> Variable:
    """Which units may have the largest of a score."""
    meaning = f"whether, of {which}, this one may have the largest {score}, at 95 % for all at once"
    return Variable(f"{score}_best", dims, _NUMBER, SHARE, meaning, False, when)


def _of_changes(axis: str) -> tuple[Variable, ...]:
    """What changes of the input, by factor or by manipulation, do."""
    return (
        Variable("latent_effect", (axis, "latent"), _SD, POSITIVE, "mean change of a latent's code, over its spread"),
        Variable(
            "latent_shift",
            (axis, "latent"),
            _POSTERIOR_SD,
            POSITIVE,
            "mean change of a latent's code, over the standard deviation of both posteriors",
            True,
            _VARIANCE,
        ),
        Variable(
            "latent_divergence",
            (axis, "latent"),
            _NATS,
            POSITIVE,
            "median symmetric divergence of a latent's posteriors",
            True,
            _VARIANCE,
        ),
        Variable("latent_effect_chance", (axis, "latent"), _SD, POSITIVE, "the same of a typical latent", False),
        Variable("active", ("latent",), _NUMBER, SHARE, "whether the latent's code varies over the pairs", False),
        _best_of("latent_effect", (axis, "latent"), "the active latents"),
        _best_of("latent_shift", (axis, "latent"), "the active latents", _VARIANCE),
        Variable("unit_effect", (axis, "unit"), _SD, POSITIVE, "mean change of a unit's activation, over its spread"),
        Variable("unit_effect_chance", (axis, "unit"), _SD, POSITIVE, "the same of a typical unit of its site", False),
        Variable("output_effect", (axis,), _L2, POSITIVE, "mean change of the reconstruction"),
        Variable(
            "codes_changed", (axis,), _NUMBER, SHARE, "share of positions that take another code", True, "quantised"
        ),
        Variable(
            "factor_read",
            (axis, "read_factor"),
            _NUMBER,
            SHARE,
            "mean total-variation distance of what the reader predicts from both reconstructions",
            True,
            _READER,
        ),
        Variable("pairs_used", (axis,), "pairs", POSITIVE, "pairs after which it was known", False, _STOPPED),
    )


def _of_interventions(unit: str) -> tuple[Variable, ...]:
    """What interventions on one latent, or on one position, at a time do."""
    scores = (
        ("ces", _L2, POSITIVE, "causal effect strength: mean change of the image over values"),
        ("ces_relative", _NUMBER, POSITIVE, "causal effect strength over the mean distance of two reconstructions"),
        ("ces_posterior", _L2, POSITIVE, "causal effect strength of mode 'posterior'"),
        ("specificity", "1/nats", POSITIVE, "intervention specificity: one over the entropy of where outputs change"),
        ("specificity_normalised", _NUMBER, SHARE, "one less that entropy over its largest value"),
    )
    return (
        Variable("effect", (unit, "value"), _L2, POSITIVE, "mean change of the image under an intervention"),
        *(Variable(name, (unit,), units, bounds, meaning) for name, units, bounds, meaning in scores),
        *(
            Variable(f"{name}_{label}", (), units, bounds, f"{meaning}, mean over {which} {unit}s")
            for name, units, bounds, meaning in scores
            for label, which in (("mean", "all"), ("active_mean", "active"))
        ),
        Variable(
            "specificity_per_image",
            (unit,),
            _NUMBER,
            SHARE,
            "one less the normalised entropy of where an image changes, mean over images",
        ),
        Variable("specificity_baseline", (unit,), _NUMBER, SHARE, f"the same with all {unit}s replaced at once"),
        Variable("active", (unit,), _NUMBER, SHARE, f"whether the {unit}'s code varies", False),
        _best_of("ces", (unit,), f"the active {unit}s"),
        Variable(
            "effect_map",
            (unit, "channel", "height", "width"),
            "pixel value",
            POSITIVE,
            "mean absolute change of each pixel over images and values",
            False,
        ),
        Variable(
            "factor_effect",
            (unit, "factor"),
            _NUMBER,
            SHARE,
            "mean total-variation distance of what the reader predicts from changed and unchanged images",
            True,
            _READER,
        ),
    )


_NO_VARIANCE, _NO_GRID = "the encoder returns no variance", "the data is no full grid of factors"
_ADJUSTED = "the same less that of pairs that share the label, at equal distance in the other labels"
_RANDOM = "the same between two random images"
FACTOR_EFFECTS = Schema(
    *_of_changes("factor"),
    Variable("output_effect_random", (), _L2, POSITIVE, f"output effect: {_RANDOM}"),
    Variable("latent_shift_random", ("latent",), _POSTERIOR_SD, POSITIVE, f"latent shift: {_RANDOM}", True, _VARIANCE),
    Variable("latent_effect_random", ("latent",), _SD, POSITIVE, f"latent effect: {_RANDOM}", True, _NO_VARIANCE),
    Variable("output_effect_adjusted", ("factor",), _L2, ANY, f"output effect: {_ADJUSTED}", True, _NO_GRID),
    Variable(
        "latent_shift_adjusted",
        ("factor", "latent"),
        _POSTERIOR_SD,
        ANY,
        f"latent shift: {_ADJUSTED}",
        True,
        f"{_VARIANCE}, and {_NO_GRID}",
    ),
    Variable(
        "latent_effect_adjusted",
        ("factor", "latent"),
        _SD,
        ANY,
        f"latent effect: {_ADJUSTED}",
        True,
        f"{_NO_VARIANCE}, and {_NO_GRID}",
    ),
    Variable("matched", ("factor",), "pairs", POSITIVE, "pairs that agree on all other factors exactly", False),
)
MANIPULATION_EFFECTS = Schema(*_of_changes("manipulation"))
LATENT_EFFECTS = Schema(
    *_of_interventions("latent"),
    _best_of("ces_posterior", ("latent",), "the active latents"),
    _best_of("specificity_normalised", ("latent",), "the active latents"),
    Variable("scale", ("latent",), "code", POSITIVE, "standard deviation of the code over images", False),
    Variable("active_count", (), "latents", POSITIVE, "how many latents are active"),
    *(
        Variable(f"{mean}_resampled", ("resample",), units, bounds, f"{of}, of each bootstrap resample", False, when)
        for mean, units, bounds, of, when in (
            ("ces_mean", _L2, POSITIVE, "causal effect strength, mean over all latents", ""),
            ("ces_relative_active_mean", _NUMBER, POSITIVE, "relative strength, mean over active latents", ""),
            ("ces_posterior_active_mean", _L2, POSITIVE, "strength of mode 'posterior', mean over active latents", ""),
            ("kl_total", _NATS, POSITIVE, "divergence of the posterior from the prior", _VARIANCE),
        )
    ),
    Variable("kl", ("latent",), _NATS, POSITIVE, "mean divergence of the posterior from the prior", True, _VARIANCE),
    Variable("kl_total", (), _NATS, POSITIVE, "the same, summed over latents", True, _VARIANCE),
    Variable(
        "support", ("latent", "value"), _NUMBER, SHARE, "share of intervened codes that are as natural as codes are"
    ),
    Variable(
        "cycle_error",
        ("latent", "value"),
        _POSTERIOR_SD,
        POSITIVE,
        "how far the re-encoded latent is from the value set",
    ),
    Variable("information", ("latent",), _NATS, POSITIVE, "mutual information of latent and image", True, _VARIANCE),
    Variable("removal_cost", ("latent",), _NATS, ANY, "what the ELBO loses when the latent is set to its mean"),
)
SWAP_EFFECTS = Schema(
    *_of_interventions("position"),
    Variable("codes_used", ("position",), "codes", POSITIVE, "different codes taken at the position", False),
    Variable("code_entropy", ("position",), _NATS, POSITIVE, "entropy of the code taken at the position", False),
)
CES_BY_MODE = Schema(
    Variable("ces", ("mode", "latent"), _L2, POSITIVE, "causal effect strength"),
    Variable(
        "ces_relative", ("mode", "latent"), _NUMBER, POSITIVE, "the same over the mean distance of reconstructions"
    ),
    Variable("ces_active_mean", ("mode",), _L2, POSITIVE, "causal effect strength, mean over active latents"),
    Variable("ces_relative_active_mean", ("mode",), _NUMBER, POSITIVE, "relative strength, mean over active latents"),
)
DECODER_RESPONSES = Schema(
    Variable("response", ("latent", "unit"), "activation", POSITIVE, "mean absolute change of a unit's activation"),
    Variable(
        "response_part", ("part", "latent", "unit"), "activation", POSITIVE, "the same of every 16th image", False
    ),
    Variable("active", ("latent",), _NUMBER, SHARE, "whether the latent's code varies", False),
)
PATCHING_EFFECTS = Schema(
    Variable("effect", ("unit",), "L2 of the outcome", POSITIVE, "mean change of the outcome when the unit is patched"),
    Variable(
        "effect_chance", ("unit",), "L2 of the outcome", POSITIVE, "the same of a typical unit of its site", False
    ),
    Variable(
        "recovered",
        ("unit",),
        _NUMBER,
        ANY,
        "fraction of the difference between source and base that the unit carries",
        True,
        "source images are given",
    ),
    _best_of("recovered", ("unit",), "the units of the site", "source images are given"),
    Variable(
        "recovered_chance", ("unit",), _NUMBER, ANY, "the same of a typical unit of its site", False, "source images"
    ),
    Variable(
        "factor_effect",
        ("unit", "factor"),
        _NUMBER,
        SHARE,
        "mean total-variation distance of what the reader predicts from patched and base image",
        True,
        _READER,
    ),
    Variable(
        "outside_range", ("unit",), _NUMBER, SHARE, "share of patched values outside the unit's range over base images"
    ),
    Variable("images_used", ("unit",), "images", POSITIVE, "images after which it was known", False, _STOPPED),
)
MEDIATION_EFFECTS = Schema(
    Variable("direct", ("unit",), _NUMBER, ANY, "natural direct effect as a fraction of the total"),
    Variable("indirect", ("unit",), _NUMBER, ANY, "natural indirect effect as a fraction of the total"),
    _best_of("indirect", ("unit",), "all mediators"),
    Variable("interaction", ("unit",), _NUMBER, ANY, "what is neither direct nor indirect, as a fraction of the total"),
    Variable("total_norm", (), "L2 of what comes out", POSITIVE, "mean size of the treatment's total effect"),
    Variable(
        "indirect_chance",
        ("unit",),
        _NUMBER,
        ANY,
        "indirect effect of a typical unit of the site",
        False,
        "every unit of the site is a mediator by itself",
    ),
)

# By the name of the function that returns them; `path_effects` returns what `patching_effects` does.
SCHEMAS = MappingProxyType(
    {
        "factor_effects": FACTOR_EFFECTS,
        "manipulation_effects": MANIPULATION_EFFECTS,
        "latent_effects": LATENT_EFFECTS,
        "swap_effects": SWAP_EFFECTS,
        "ces_by_mode": CES_BY_MODE,
        "decoder_responses": DECODER_RESPONSES,
        "patching_effects": PATCHING_EFFECTS,
        "path_effects": PATCHING_EFFECTS,
        "mediation_effects": MEDIATION_EFFECTS,
    }
)
