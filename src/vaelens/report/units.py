"""What is said of hidden units, namely which one stands out most within its site."""

from dataclasses import dataclass

import numpy as np

from vaelens.analysis import Analysis
from vaelens.lens import LATENT
from vaelens.report.mediation import passes_another_image
from vaelens.report.numerals import listed, number
from vaelens.report.overview import are_alike, carries_nothing
from vaelens.report.phrases import NAMED
from vaelens.report.ranking import Front, estimates, front, outcomes, told_from_zero

_WHAT = {"code": "another image's code", "image": "another image's reconstruction"}


@dataclass(frozen=True)
class SiteUnits:
    """The units of one site, ranked among themselves by the fraction that each recovers.

    Attributes:
        site: its name.
        outcome: what the fraction is of, "image" or "code".
        count: how many units it has.
        ranked: the largest, and those that can't be told apart from it.
        typical: the fraction that a typical unit of the site recovers.
        order: its units that have a fraction, as numbers in the effects, largest fraction first.
    """

    site: str
    outcome: str
    count: int
    ranked: Front
    typical: float
    order: tuple[int, ...]


def units_by_site(analysis: Analysis) -> list[SiteUnits]:
    """Ranks the units of each patched site, in the order of the sites, leaving out sites where nothing is recovered."""
    effects = analysis.effects.get("patching")
    if effects is None or "recovered" not in effects:
        return []
    kinds, where = outcomes(effects), effects["site"].values.astype(str)
    measured = estimates(effects, "recovered", [str(index) for index in effects["index"].values])
    sites = []
    for site in dict.fromkeys(where.tolist()):
        units = np.flatnonzero(where == site)
        ranked = front([measured[unit] for unit in units])
        if ranked is not None:
            finite = [unit for unit in units.tolist() if np.isfinite(measured[unit].value)]
            order = sorted(finite, key=lambda unit: -measured[unit].value)
            typical = float(effects["recovered_chance"].values[units[0]])
            sites.append(SiteUnits(site, kinds[site], len(units), ranked, typical, tuple(order)))
    return sites


def shown_sites(analysis: Analysis) -> list[str]:
    """Lists the patched sites that are shown, which are all but a latent of which mediation measured the same.

    The effect of another image through a latent is one quantity, whether the latent is patched or taken for a mediator.
    """
    sites = list(dict.fromkeys(analysis.effects["patching"]["site"].values.astype(str).tolist()))
    hidden = [site for site in sites if site != LATENT]
    return hidden if hidden and passes_another_image(analysis) else sites


def units_sentence(analysis: Analysis) -> str | None:
    """Says which hidden unit of the encoder, and which of the decoder, stands out most within its site.

    Printed when hidden sites of at least two units were patched, unless all reconstructions are alike or no latent is
    informative. The site is the
    one whose largest recovered fraction exceeds that of its typical unit most, among those where its interval lies
    above 0; units of different sites are not ranked against each other. The latent is no hidden site. Rests on
    `recovered`, its best set within the site, and `recovered_chance` of the part "patching".
    """
    sites = [] if are_alike(analysis) or carries_nothing(analysis) else units_by_site(analysis)
    sites = [units for units in sites if units.site != LATENT and units.count > 1]
    if not sites:
        return None
    told = [units for units in sites if told_from_zero(units.ranked.best)]
    if not told:
        return "Patched alone, no hidden unit recovers a fraction of another image that its interval tells from 0."
    parts = []
    for outcome, what in _WHAT.items():
        measured = [units for units in told if units.outcome == outcome]
        if measured:
            units = max(measured, key=lambda units: units.ranked.best.value - units.typical)
            parts.append(f"{_recovers(units, what)} (a typical unit of {units.site} {number(units.typical)})")
    return f"Of the hidden units, these stand out most within their sites when patched alone: {'; '.join(parts)}."


def _recovers(units: SiteUnits, what: str) -> str:
    """Says what the largest unit of a site recovers. Of several that may be the largest none is named alone."""
    best, names = units.ranked.best, [member.name for member in units.ranked.members]
    if len(names) == 1:
        return f"{units.site} unit {best.name} recovers a fraction of {best} of {what}"
    which = f"units {listed(names)}, which" if len(names) <= NAMED else f"{len(names)} units that"
    comma = "," if len(names) <= NAMED else ""
    said = f"one of {units.site}'s {which} can't be told apart{comma} recovers the largest fraction of {what}"
    return f"{said}, {best} of unit {best.name}"
