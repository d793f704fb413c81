"""The figures of a paper by name.

The code that draws them is loaded when one is asked for: matplotlib is no part of a plain install."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError, unknown
from vaelens.report.latents import Latents, latents_of
from vaelens.report.matrices import associations, label_associations
from vaelens.report.paper.names import check_analysis, check_parts
from vaelens.report.units import shown_sites
from vaelens.report.wording import observation_of

if TYPE_CHECKING:
    from vaelens.report.paper.canvas import PaperFigure

_WIDTHS = (1.0, 40.0)  # inches


def figure(analysis: Any, name: Any, width: Any = 6.5) -> "PaperFigure":
    """Draws a figure of an analysis, as `Analysis.figure` says."""
    check_analysis(analysis)
    if name not in _FIGURES:
        raise unknown("figure", name, _FIGURES)
    if isinstance(width, bool) or not isinstance(width, int | float) or not _WIDTHS[0] <= width <= _WIDTHS[1]:
        raise VaelensError(
            f"width is {width!r}; expected inches between {_WIDTHS[0]:g} and {_WIDTHS[1]:g}, such as 6.5"
        )
    parts, draw = _FIGURES[name]
    check_parts(analysis, f"figure {name!r}", parts)
    try:
        import matplotlib as mpl
    except ImportError as error:
        raise VaelensError(
            "figures for papers are drawn with matplotlib, which is not installed; pip install '.[figures]' in "
            "the clone of vaelens"
        ) from error
    from vaelens.report.paper.canvas import STYLE
    from vaelens.report.paper.fitting import fit

    with mpl.rc_context():
        mpl.rcdefaults()  # whatever the user's own settings are, the same analysis makes the same figure
        mpl.rcParams.update(STYLE)
        drawn = draw(analysis, latents_of(analysis.effects), float(width))
        observation = observation_of(analysis.provenance)
        labels: list[Any] = drawn.findobj(lambda artist: hasattr(artist, "set_text"))
        for label in labels:
            if (worded := observation.worded(label.get_text())) != label.get_text():
                label.set_text(worded)
        fit(drawn)
        return drawn


def _strengths(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.bars import strengths

    return strengths(analysis.effects["latent"], analysis.effects.get("recoded"), latents, width)


def _modes(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.bars import strengths_by_mode

    return strengths_by_mode(analysis.effects["modes"], latents, width)


def _mediation(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.bars import mediation

    return mediation(analysis.effects["mediation"], latents, width)


def _associations(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.cells import heat_maps

    effects = analysis.effects
    matrices = associations(effects["input"], effects.get("importance"), effects.get("read"))
    return heat_maps(matrices, latents, width)


def _labels(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.cells import heat_maps

    return heat_maps([label_associations(analysis.effects["labels"])], latents, width)


def _recovered(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.cells import recovered_fractions

    return recovered_fractions(analysis.effects["patching"], shown_sites(analysis), width)


def _positions(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    from vaelens.report.paper.cells import positions

    return positions(analysis.effects["swap"], width)


def _reconstructions(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    _check_images(analysis, "reconstructions")
    from vaelens.report.paper.images import reconstructions

    return reconstructions(analysis.effects["pictures"], width)


def _traversals(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    _check_images(analysis, "traversals")
    from vaelens.report.paper.images import traversals

    return traversals(analysis.effects["pictures"], analysis.effects.get("latent"), latents, width)


def _maps(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    _check_images(analysis, "maps")
    from vaelens.report.paper.images import maps

    return maps(analysis.effects["latent"], latents, width)


def _swaps(analysis: Analysis, latents: Latents, width: float) -> "PaperFigure":
    _check_images(analysis, "swaps")
    from vaelens.report.paper.images import swaps

    return swaps(analysis.effects["swap"], analysis.effects["pictures"], width)


def _check_images(analysis: Analysis, figure: str) -> None:
    """Refuses to draw as images what are none.

    Raises:
        VaelensError: it is not.
    """
    observation = observation_of(analysis.provenance)
    if not observation.is_image:
        raise VaelensError(
            f"{figure} are of images, and the observations are {observation.noun}; what each latent changes in them is "
            "analysis.effects['latent'].effect_map, and in the report"
        )


_Draw = Callable[[Analysis, Latents, float], "PaperFigure"]

_FIGURES: dict[str, tuple[tuple[str, ...], _Draw]] = {  # with the parts of an analysis that each is made from
    "reconstructions": (("pictures",), _reconstructions),
    "traversals": (("pictures",), _traversals),
    "strengths": (("latent",), _strengths),
    "modes": (("modes",), _modes),
    "maps": (("latent",), _maps),
    "positions": (("swap",), _positions),
    "swaps": (("swap", "pictures"), _swaps),
    "associations": (("input",), _associations),
    "labels": (("labels",), _labels),
    "recovered": (("patching",), _recovered),
    "mediation": (("mediation",), _mediation),
}
