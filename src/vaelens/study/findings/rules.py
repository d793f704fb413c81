"""The rules by which findings are judged, written down as data before any study is run.

Changing a rule is changing this file, and docs/studies.md, which a test holds to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

ALPHA = 0.05  # of every test; intervals are of 95 %
OF_NOTE = 0.5  # a correlation weaker than this is not what a trade-off means
EXPLAINED = 0.5  # of the raw correlation that must be left once reconstruction error is partialled out
STEEPER = 0.01  # DCI for each doubling of beta (and each doubling of factors per latent) that a bottleneck costs
NEAR_ZERO = 0.1  # of the mean distance between two reconstructions


@dataclass(frozen=True)
class Rule:
    """What a claim says, and when it counts as borne out.

    Attributes:
        key: its machine name.
        claim: in a sentence.
        source: who claims it.
        supported: the condition under which it is supported.
        refuted: the condition under which it is not supported. Everything else is undecided.
        needs: what the table must hold for the finding to be examined.
    """

    key: str
    claim: str
    source: str
    supported: str
    refuted: str
    needs: str


_PAPER = "arXiv:2505.03530v3, finding"

_RULES = (
    Rule(
        "trade_off",
        "Within a dataset, CES and DCI disentanglement correlate negatively over architectures.",
        f"{_PAPER} (i)",
        "r of the means of dataset and architecture is negative with p ≤ 0.05, raw and with reconstruction error "
        "partialled out (whole architectures permuted).",
        "r is positive with p ≤ 0.05, raw or partialled; or the interval of the partialled r lies above "
        f"−{OF_NOTE}; or reconstruction error explains it: raw r is negative with p ≤ 0.05, and partialled it has "
        f"p > 0.05 and less than {EXPLAINED:.0%} of its size.",
        "DCI disentanglement, CES and the reconstruction error of at least 4 models, on one dataset or more with two "
        "factors or more.",
    ),
    Rule(
        "bottleneck",
        "The KL weight of beta-VAE is a capacity bottleneck when factors near the number of latents, and degrades "
        "disentanglement there.",
        f"{_PAPER} (ii)",
        "DCI falls more steeply with log2 beta the more factors there are per latent, DCI falls with beta where the "
        "ratio is largest, and the information in the latents falls with beta, each with p ≤ 0.05.",
        f"The interval of one of the three lies above what the claim needs: above −{STEEPER} DCI for each doubling "
        "(the first two), or above 0 (the information).",
        "vae (beta 1) and beta-vae, alike in all but beta, at two values of beta or more, from two seeds or more, at "
        "two ratios of factors to latents or more: on one dataset with several latent_dim, or on 4 datasets or more.",
    ),
    Rule(
        "no_best",
        "No architecture is best on all datasets.",
        f"{_PAPER} (iii)",
        "By DCI disentanglement, every architecture that was run on all of them is worse than some other on at least "
        "one dataset, with p ≤ 0.05 (Holm–Šidák over all pairs on all datasets).",
        "One architecture is better than every other on every dataset, with p ≤ 0.05 (the same).",
        "DCI disentanglement of two models or more on two datasets or more, one model on all, from two seeds or more.",
    ),
    Rule(
        "quantised",
        "Continuous interventions on VQ-VAE's discrete latents give a CES near zero.",
        f"{_PAPER} (iv)",
        f"At every embedding width, the interval of relative CES lies below {NEAR_ZERO} (a tenth of the mean distance "
        "between two reconstructions), for a channel at all positions and at one.",
        f"At some embedding width, the interval of relative CES lies above {NEAR_ZERO}, for a channel at all positions "
        "or at one.",
        "relative CES of vq-vae from two seeds or more on a dataset.",
    ),
)

RULES: Mapping[str, Rule] = MappingProxyType({rule.key: rule for rule in _RULES})


def markdown_rules() -> str:
    """Writes the rules for the documentation.

    Example:
        >>> markdown_rules().splitlines()[-1]
        '- needs: relative CES of vq-vae from two seeds or more on a dataset.'
    """
    return "\n\n".join(
        f"**{rule.claim}** ({rule.source})\n- supported: {rule.supported}\n- not supported: {rule.refuted}\n"
        f"- undecided: everything else.\n- needs: {rule.needs}"
        for rule in RULES.values()
    )
