"""The schemas of all effects, which say what each result holds. A new effect, or a new variable of one, is a line here.

Every variable of a result carries its `long_name` and `units` from here, and a test holds every result to its table.
"""

from types import MappingProxyType

from vaelens.effects.schema import ANY, POSITIVE, SHARE, Schema, Variable
from vaelens.effects.shared_variables import (
    L2,
    NATS,
    NUMBER,
    POSTERIOR_SD,
    READER,
    SD,
    STOPPED,
    UNSEEN,
    VARIANCE,
    best_of,
    of_changes,
    of_interventions,
    of_latents,
)

_NO_VARIANCE, _NO_GRID = "the encoder returns no variance", "the data is no full grid of factors"
_ADJUSTED = "the same less that of pairs that share the label, at equal distance in the other labels"
_RANDOM = "the same between two random images"
FACTOR_EFFECTS = Schema(
    *of_changes("factor"),
    Variable("output_effect_random", (), L2, POSITIVE, f"output effect: {_RANDOM}"),
    Variable("latent_shift_random", ("latent",), POSTERIOR_SD, POSITIVE, f"latent shift: {_RANDOM}", True, VARIANCE),
    Variable("latent_effect_random", ("latent",), SD, POSITIVE, f"latent effect: {_RANDOM}", True, _NO_VARIANCE),
    Variable("output_effect_adjusted", ("factor",), L2, ANY, f"output effect: {_ADJUSTED}", True, _NO_GRID),
    Variable(
        "latent_shift_adjusted",
        ("factor", "latent"),
        POSTERIOR_SD,
        ANY,
        f"latent shift: {_ADJUSTED}",
        True,
        f"{VARIANCE}, and {_NO_GRID}",
    ),
    Variable(
        "latent_effect_adjusted",
        ("factor", "latent"),
        SD,
        ANY,
        f"latent effect: {_ADJUSTED}",
        True,
        f"{_NO_VARIANCE}, and {_NO_GRID}",
    ),
    Variable("matched", ("factor",), "pairs", POSITIVE, "pairs that agree on all other factors exactly", False),
)
MANIPULATION_EFFECTS = Schema(*of_changes("manipulation"))


LATENT_EFFECTS = Schema(
    *of_latents("latent"),
    Variable(
        "kl_total_resampled",
        ("resample",),
        NATS,
        POSITIVE,
        "divergence of the posterior from the prior, of each bootstrap resample",
        False,
        VARIANCE,
    ),
    Variable(
        "kl_total",
        (),
        NATS,
        POSITIVE,
        "divergence of the posterior from the prior, summed over latents",
        True,
        VARIANCE,
    ),
)
DIRECTION_EFFECTS = Schema(
    *of_latents("direction"),
    Variable(
        "unseen_share", ("direction",), NUMBER, SHARE, "share of the direction that the next layer cannot see", False
    ),
)
SWAP_EFFECTS = Schema(
    *of_interventions("position"),
    Variable("codes_used", ("position",), "codes", POSITIVE, "different codes taken at the position", False),
    Variable("code_entropy", ("position",), NATS, POSITIVE, "entropy of the code taken at the position", False),
)
_NEAREST, _IMAGES = "L2 of the embedding", "images"
CODE_EFFECTS = Schema(
    Variable("effect", ("code",), L2, POSITIVE, "mean change of the image when the code is swapped wherever it is"),
    Variable("effect_once", ("code",), L2, POSITIVE, "the same at one of its positions"),
    Variable("effect_placed", ("code",), L2, POSITIVE, "mean change of the image when the code is put at a position"),
    Variable(
        "effect_map",
        ("code", "channel", "height", "width"),
        "pixel value",
        POSITIVE,
        "mean absolute change of each pixel when the code is swapped wherever it is",
        False,
    ),
    Variable(
        "reach",
        ("code",),
        "values along an axis",
        POSITIVE,
        "distance from a swapped position's cell within which 95 % of the squared change lie",
        True,
        "positions have the axes of the observation",
    ),
    Variable("count", ("code",), "positions", POSITIVE, "positions of all images that take the code", False),
    Variable("share", ("code",), NUMBER, SHARE, "share of all positions of all images", False),
    Variable("images", ("code",), _IMAGES, POSITIVE, "images that take the code", False),
    Variable("occurrence", ("code", "position"), NUMBER, SHARE, "share of images with the code at a position", False),
    Variable("exemplar_image", ("code", "exemplar"), _IMAGES, ANY, "image of a typical position, −1 for none", False),
    Variable("exemplar_position", ("code", "exemplar"), "positions", ANY, "a typical position, −1 for none", False),
    Variable("exemplar_distance", ("code", "exemplar"), _NEAREST, POSITIVE, "how far it is from the code", False),
    Variable(
        "exemplar_patch",
        ("code", "exemplar", "channel", "patch_height", "patch_width"),
        "pixel value",
        ANY,
        "what the image shows there, three cells on each axis",
        False,
        "observations are images",
    ),
    Variable("nearest_code", ("code",), "codes", POSITIVE, "the nearest other code in use", False),
    Variable("nearest_distance", ("code",), _NEAREST, POSITIVE, "how far it is", False),
)
CES_BY_MODE = Schema(
    Variable("ces", ("mode", "latent"), L2, POSITIVE, "causal effect strength"),
    Variable(
        "ces_relative", ("mode", "latent"), NUMBER, POSITIVE, "the same over the mean distance of reconstructions"
    ),
    Variable("ces_active_mean", ("mode",), L2, POSITIVE, "causal effect strength, mean over active latents"),
    Variable("ces_relative_active_mean", ("mode",), NUMBER, POSITIVE, "relative strength, mean over active latents"),
)
DECODER_RESPONSES = Schema(
    Variable("response", ("latent", "unit"), "activation", POSITIVE, "mean absolute change of a unit's activation"),
    Variable(
        "response_part", ("part", "latent", "unit"), "activation", POSITIVE, "the same of every 16th image", False
    ),
    Variable("active", ("latent",), NUMBER, SHARE, "whether the latent's code varies", False),
)
PATCHING_EFFECTS = Schema(
    Variable("effect", ("unit",), "L2 of the outcome", POSITIVE, "mean change of the outcome when the unit is patched"),
    Variable(
        "effect_chance", ("unit",), "L2 of the outcome", POSITIVE, "the same of a typical unit of its site", False
    ),
    Variable(
        "recovered",
        ("unit",),
        NUMBER,
        ANY,
        "fraction of the difference between source and base that the unit carries",
        True,
        "source images are given",
    ),
    best_of("recovered", ("unit",), "the units of the site", "source images are given"),
    Variable(
        "recovered_chance", ("unit",), NUMBER, ANY, "the same of a typical unit of its site", False, "source images"
    ),
    Variable(
        "factor_effect",
        ("unit", "factor"),
        NUMBER,
        SHARE,
        "mean total-variation distance of what the reader predicts from patched and base image",
        True,
        READER,
    ),
    Variable(
        "outside_range", ("unit",), NUMBER, SHARE, "share of patched values outside the unit's range over base images"
    ),
    Variable("images_used", ("unit",), "images", POSITIVE, "images after which it was known", False, STOPPED),
    *UNSEEN,
)
MEDIATION_EFFECTS = Schema(
    Variable("direct", ("unit",), NUMBER, ANY, "natural direct effect as a fraction of the total"),
    Variable("indirect", ("unit",), NUMBER, ANY, "natural indirect effect as a fraction of the total"),
    best_of("indirect", ("unit",), "all mediators"),
    Variable("interaction", ("unit",), NUMBER, ANY, "what is neither direct nor indirect, as a fraction of the total"),
    Variable("total_norm", (), "L2 of what comes out", POSITIVE, "mean size of the treatment's total effect"),
    Variable(
        "indirect_chance",
        ("unit",),
        NUMBER,
        ANY,
        "indirect effect of a typical unit of the site",
        False,
        "every unit of the site is a mediator by itself",
    ),
    *UNSEEN,
)

# By the name of the function that returns them; `path_effects` returns what `patching_effects` does.
SCHEMAS = MappingProxyType(
    {
        "factor_effects": FACTOR_EFFECTS,
        "manipulation_effects": MANIPULATION_EFFECTS,
        "latent_effects": LATENT_EFFECTS,
        "direction_effects": DIRECTION_EFFECTS,
        "swap_effects": SWAP_EFFECTS,
        "code_effects": CODE_EFFECTS,
        "ces_by_mode": CES_BY_MODE,
        "decoder_responses": DECODER_RESPONSES,
        "patching_effects": PATCHING_EFFECTS,
        "path_effects": PATCHING_EFFECTS,
        "mediation_effects": MEDIATION_EFFECTS,
    }
)
