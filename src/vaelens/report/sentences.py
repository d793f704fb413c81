"""What an analysis found, in at most eight plain sentences, each printed under its own condition.

The condition of each stands in its function's docstring, and in a table in docs/report.md.
"""

from collections.abc import Callable
from typing import Any

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError
from vaelens.report.changes import changes_sentence
from vaelens.report.circuits import circuits_sentence
from vaelens.report.codebook import code_use, codebook_sentence, swap_sentence
from vaelens.report.mediation import mediation_sentence
from vaelens.report.overview import check_sentence, latents_sentence, reconstruction_sentence
from vaelens.report.reading import reading_sentence
from vaelens.report.scores import scores_sentence
from vaelens.report.strength import strength_sentence
from vaelens.report.units import units_sentence
from vaelens.report.wording import observation_of

Sentence = Callable[[Analysis], str | None]

MOST = 8  # sentences of one analysis

# In the order in which they stand; a quantised latent has two of its own.
CONTINUOUS: tuple[Sentence, ...] = (latents_sentence, strength_sentence)
QUANTISED: tuple[Sentence, ...] = (codebook_sentence, swap_sentence)
FIRST: tuple[Sentence, ...] = (check_sentence, reconstruction_sentence)
LAST: tuple[Sentence, ...] = (
    changes_sentence,
    mediation_sentence,
    circuits_sentence,
    reading_sentence,
    units_sentence,
    scores_sentence,
)

FEW = 5  # sentences that a terminal and a notebook show
# What is left out first where there are more.
_LEAST: tuple[Sentence, ...] = (
    units_sentence,
    scores_sentence,
    mediation_sentence,
    reading_sentence,
    reconstruction_sentence,
)


def sentences(analysis: Any) -> list[str]:
    """Says what an analysis found, most general first, in at most eight sentences.

    Args:
        analysis: the analysis.

    Returns:
        Sentences of plain text, each complete in itself; intervals of 95 % stand in brackets. `conditions` says what
        all of them rest on.

    Raises:
        VaelensError: something else than an Analysis.
    """
    if not isinstance(analysis, Analysis):
        raise VaelensError(f"expected an Analysis, got a {type(analysis).__name__}; make one with vl.analyse(lens, ds)")
    return _most_important(analysis, MOST)


def headlines(analysis: Analysis) -> list[str]:
    """Says what matters most of what `sentences` says, in its order, in at most five sentences."""
    return _most_important(analysis, FEW)


def _most_important(analysis: Analysis, most: int) -> list[str]:
    """Leaves out the sentences that matter least until there are at most so many."""
    said = _said(analysis)
    for sentence in _LEAST:
        if len(said) > most:
            said.pop(sentence, None)
    return list(said.values())[:most]


def _said(analysis: Analysis) -> dict[Sentence, str]:
    middle = QUANTISED if "codes_used" in code_use(analysis) else CONTINUOUS
    said = {sentence: sentence(analysis) for sentence in (*FIRST, *middle, *LAST)}
    observation = observation_of(analysis.provenance)
    return {sentence: observation.worded(text) for sentence, text in said.items() if text is not None}


def conditions(analysis: Analysis) -> str:
    """Says in plain words what every interval and every named latent of an analysis is conditional on."""
    said = (
        "Brackets hold 95 % intervals over images. They are of this one trained model: training it again would change "
        "the numbers by more than they say."
    )
    latent = analysis.effects.get("latent")
    if latent is not None and "kl" not in latent:  # there is no prior to speak of
        return said
    return (
        f"{said} Axes of the latent space are not identified: the prior is the same in every direction, so a model "
        "that is as good may hold the same in other directions, or spread over other latents."
    )
