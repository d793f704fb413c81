"""The variables that several results share, and the words for their units and conditions."""

from vaelens.effects.schema import ANY, POSITIVE, SHARE, Variable

L2, SD, NATS, NUMBER = "pixel-L2", "standard deviations", "nats", "1"
POSTERIOR_SD = "standard deviations of the posterior"
READER, STOPPED, VARIANCE = "a reader is given", "a tolerance is given", "the encoder returns a variance"
LIKELIHOOD = "the likelihood is the model's own, or distances are not Gower's"


def best_of(score: str, dims: tuple[str, ...], which: str, when: str = "") -> Variable:
    """Builds the variable that says which units may have the largest of a score."""
    meaning = f"whether, of {which}, this one may have the largest {score}, at 95 % for all at once"
    return Variable(f"{score}_best", dims, NUMBER, SHARE, meaning, False, when)


def of_changes(axis: str) -> tuple[Variable, ...]:
    """Lists the variables of what changes of the input, by factor or by manipulation, do."""
    return (
        Variable("latent_effect", (axis, "latent"), SD, POSITIVE, "mean change of a latent's code, over its spread"),
        Variable(
            "latent_shift",
            (axis, "latent"),
            POSTERIOR_SD,
            POSITIVE,
            "mean change of a latent's code, over the standard deviation of both posteriors",
            True,
            VARIANCE,
        ),
        Variable(
            "latent_divergence",
            (axis, "latent"),
            NATS,
            POSITIVE,
            "median symmetric divergence of a latent's posteriors",
            True,
            VARIANCE,
        ),
        Variable("latent_effect_chance", (axis, "latent"), SD, POSITIVE, "the same of a typical latent", False),
        Variable("active", ("latent",), NUMBER, SHARE, "whether the latent's code varies over the pairs", False),
        best_of("latent_effect", (axis, "latent"), "the active latents"),
        best_of("latent_shift", (axis, "latent"), "the active latents", VARIANCE),
        Variable("unit_effect", (axis, "unit"), SD, POSITIVE, "mean change of a unit's activation, over its spread"),
        Variable("unit_effect_chance", (axis, "unit"), SD, POSITIVE, "the same of a typical unit of its site", False),
        Variable("output_effect", (axis,), L2, POSITIVE, "mean change of the reconstruction"),
        Variable(
            "codes_changed", (axis,), NUMBER, SHARE, "share of positions that take another code", True, "quantised"
        ),
        Variable(
            "factor_read",
            (axis, "read_factor"),
            NUMBER,
            SHARE,
            "mean total-variation distance of what the reader predicts from both reconstructions",
            True,
            READER,
        ),
        Variable("pairs_used", (axis,), "pairs", POSITIVE, "pairs after which it was known", False, STOPPED),
    )


def of_interventions(unit: str) -> tuple[Variable, ...]:
    """Lists the variables of what interventions on one latent, or on one position, at a time do."""
    scores = (
        ("ces", L2, POSITIVE, "causal effect strength: mean change of the image over values"),
        ("ces_relative", NUMBER, POSITIVE, "causal effect strength over the mean distance of two reconstructions"),
        ("ces_posterior", L2, POSITIVE, "causal effect strength of mode 'posterior'"),
        ("specificity", "1/nats", POSITIVE, "intervention specificity: one over the entropy of where outputs change"),
        ("specificity_normalised", NUMBER, SHARE, "one less that entropy over its largest value"),
    )
    return (
        Variable("effect", (unit, "value"), L2, POSITIVE, "mean change of the image under an intervention"),
        *(Variable(name, (unit,), units, bounds, meaning) for name, units, bounds, meaning in scores),
        *(
            Variable(f"{name}_{label}", (), units, bounds, f"{meaning}, mean over {which} {unit}s")
            for name, units, bounds, meaning in scores
            for label, which in (("mean", "all"), ("active_mean", "active"))
        ),
        Variable(
            "specificity_per_image",
            (unit,),
            NUMBER,
            SHARE,
            "one less the normalised entropy of where an image changes, mean over images",
        ),
        Variable("specificity_baseline", (unit,), NUMBER, SHARE, f"the same with all {unit}s replaced at once"),
        Variable("active", (unit,), NUMBER, SHARE, f"whether the {unit}'s code varies", False),
        best_of("ces", (unit,), f"the active {unit}s"),
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
            NUMBER,
            SHARE,
            "mean total-variation distance of what the reader predicts from changed and unchanged images",
            True,
            READER,
        ),
    )


def of_latents(unit: str) -> tuple[Variable, ...]:
    """Lists the variables of what interventions on one latent, or along one direction of the code, at a time do."""
    several = f"{unit}s"
    return (
        *of_interventions(unit),
        best_of("ces_posterior", (unit,), f"the active {several}"),
        best_of("specificity_normalised", (unit,), f"the active {several}"),
        Variable("scale", (unit,), "code", POSITIVE, "standard deviation of the code over images", False),
        Variable("active_count", (), several, POSITIVE, f"how many {several} are active"),
        *(
            Variable(
                f"{mean}_resampled", ("resample",), units, bounds, f"{of}, of each bootstrap resample", False, when
            )
            for mean, units, bounds, of, when in (
                ("ces_mean", L2, POSITIVE, f"causal effect strength, mean over all {several}", ""),
                ("ces_relative_active_mean", NUMBER, POSITIVE, f"relative strength, mean over active {several}", ""),
                (
                    "ces_posterior_active_mean",
                    L2,
                    POSITIVE,
                    f"strength of mode 'posterior', mean over active {several}",
                    "",
                ),
            )
        ),
        Variable("kl", (unit,), NATS, POSITIVE, "mean divergence of the posterior from the prior", True, VARIANCE),
        Variable(
            "support", (unit, "value"), NUMBER, SHARE, "share of intervened codes that are as natural as codes are"
        ),
        Variable(
            "cycle_error",
            (unit, "value"),
            POSTERIOR_SD,
            POSITIVE,
            f"how far the re-encoded {unit} is from the value set",
        ),
        Variable("information", (unit,), NATS, POSITIVE, f"mutual information of {unit} and image", True, VARIANCE),
        Variable(
            "removal_cost",
            (unit,),
            NATS,
            ANY,
            f"what the ELBO loses when the {unit} is set to its mean",
            True,
            LIKELIHOOD,
        ),
    )


DIRECTIONS = "units are directions"
UNSEEN = (
    Variable(
        "unseen_share",
        ("unit",),
        NUMBER,
        SHARE,
        "share of the direction that the next layer cannot see",
        False,
        DIRECTIONS,
    ),
    Variable(
        "unseen_change",
        ("unit",),
        NUMBER,
        ANY,
        "share of the patched change that comes of what the next layer cannot see",
        True,
        DIRECTIONS,
    ),
)
