"""The one table of metrics, with what each score is called, which direction is better, its range and what it says.

Analyses, reports and the documentation take key, label, direction, range and unit from here. A new score is one line
here and one function, in `metrics.disentanglement.estimates` where it compares codes with factors, else in
`analysis.scores`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Literal

Direction = Literal["higher", "lower", ""]

COUNT = "count"


@dataclass(frozen=True)
class Metric:
    """A score of a model, as every table and page speaks of it."""

    key: str
    """The machine name: the index of `Analysis.scores`, and the variable that holds the score."""
    label: str
    """What tables and sentences call it."""
    better: Direction
    """Which direction is better; nothing where neither is."""
    range: tuple[float, float]
    """The least and the largest value that it can take."""
    unit: str
    """What it is measured in; nothing for a fraction, "count" for a number of things."""
    meaning: str
    """One sentence on what it says of the model."""

    @property
    def is_fraction(self) -> bool:
        """Whether it lies in [0, 1]."""
        return self.range == (0.0, 1.0)


_FRACTION, _POSITIVE = (0.0, 1.0), (0.0, inf)


def _catalogue(*metrics: Metric) -> Mapping[str, Metric]:
    table = {metric.key: metric for metric in metrics}
    assert len(table) == len(metrics), "every metric has a key of its own"
    return MappingProxyType(table)


METRICS = _catalogue(
    Metric(
        "reconstruction_error",
        "reconstruction error",
        "lower",
        _POSITIVE,
        "squared error a pixel",
        "How far reconstructions are from the images.",
    ),
    Metric(
        "active_latents",
        "active latents",
        "",
        _POSITIVE,
        COUNT,
        "How many latents differ from the prior on these images.",
    ),
    Metric("kl", "KL", "", _POSITIVE, "nats", "How much the code says about an image, measured from the prior."),
    Metric("ces", "CES", "", _POSITIVE, "pixel-L2", "How far setting a latent to values of a range moves the image."),
    Metric(
        "ces_relative",
        "relative CES",
        "",
        _POSITIVE,
        "distances of two reconstructions",
        "CES over the mean distance between two reconstructions, comparable across datasets.",
    ),
    Metric(
        "ces_posterior",
        "posterior CES",
        "",
        _POSITIVE,
        "pixel-L2",
        "How far setting a latent to its value on another image moves the image.",
    ),
    Metric(
        "specificity",
        "specificity over pixels",
        "higher",
        _POSITIVE,
        "1/nat",
        "How few pixels a latent changes, as one over the entropy of the change.",
    ),
    Metric(
        "specificity_normalised",
        "normalised specificity over pixels",
        "higher",
        _FRACTION,
        "",
        "How few pixels a latent changes: 0 is all of them alike, 1 a single one.",
    ),
    Metric(
        "specificity_normalised_latents",
        "normalised specificity over latents",
        "higher",
        _FRACTION,
        "",
        "How few latents change when the changed image is encoded again.",
    ),
    Metric(
        "specificity_normalised_factors",
        "normalised specificity over factors",
        "higher",
        _FRACTION,
        "",
        "How few factors change, as a reader reads them off the changed image.",
    ),
    Metric(
        "circuit_modularity",
        "circuit modularity",
        "higher",
        _FRACTION,
        "",
        "How unrelated the sets of decoder units are that different latents drive.",
    ),
    Metric(
        "ces_relative_one_position",
        "relative CES at one position",
        "",
        _POSITIVE,
        "distances of two reconstructions",
        "Relative CES where a latent is set at one position instead of all.",
    ),
    Metric(
        "ces_swap", "swap CES", "", _POSITIVE, "pixel-L2", "How far swapping the code at one position moves the image."
    ),
    Metric(
        "ces_relative_swap",
        "swap relative CES",
        "",
        _POSITIVE,
        "distances of two reconstructions",
        "Swap CES over the mean distance between two reconstructions.",
    ),
    Metric("codes_used", "codes in use", "", _POSITIVE, COUNT, "How many codes of the codebook the images take."),
    Metric(
        "code_perplexity",
        "perplexity of the codes",
        "",
        (1.0, inf),
        "codes",
        "As how many evenly used codes the codes taken are as varied.",
    ),
    Metric(
        "dci_disentanglement",
        "DCI disentanglement",
        "higher",
        _FRACTION,
        "",
        "Whether each latent matters for one factor.",
    ),
    Metric("dci_completeness", "DCI completeness", "higher", _FRACTION, "", "Whether each factor needs one latent."),
    Metric(
        "dci_informativeness",
        "DCI informativeness",
        "higher",
        _FRACTION,
        "",
        "Whether the factors can be read off the code.",
    ),
    Metric(
        "mig", "MIG", "higher", _FRACTION, "", "How much more the best latent knows of a factor than the second best."
    ),
    Metric(
        "sap",
        "SAP",
        "higher",
        _FRACTION,
        "",
        "How much better the best latent predicts a factor than the second best.",
    ),
    Metric("modularity", "modularity", "higher", _FRACTION, "", "Whether each latent knows of one factor alone."),
    Metric(
        "explicitness",
        "explicitness",
        "higher",
        _FRACTION,
        "",
        "Whether every value of a factor can be read off the code linearly.",
    ),
    Metric("irs", "IRS", "higher", _FRACTION, "", "Whether a latent stays where it is while its factor is held."),
    Metric(
        "total_correlation",
        "total correlation",
        "lower",
        _POSITIVE,
        "nats",
        "How dependent the latents are, were they Gaussian.",
    ),
    Metric(
        "factor_vae_score",
        "FactorVAE score",
        "higher",
        _FRACTION,
        "",
        "Whether the latent that varies least tells which factor was held.",
    ),
    Metric(
        "beta_vae_score",
        "beta-VAE score",
        "higher",
        _FRACTION,
        "",
        "Whether the difference of pairs tells which factor they share.",
    ),
)


def markdown_table() -> str:
    """Writes the catalogue as a table for the documentation.

    Example:
        >>> markdown_table().splitlines()[0]
        '| key | score | better | range | unit | what it says |'
    """
    rows = [
        (f"`{m.key}`", m.label, m.better or "neither", _written(m.range), m.unit or "—", m.meaning)
        for m in METRICS.values()
    ]
    head = ("key", "score", "better", "range", "unit", "what it says")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def _written(ends: tuple[float, float]) -> str:
    low, high = ends
    return f"{low:g} or more" if high == inf else f"[{low:g}, {high:g}]"
