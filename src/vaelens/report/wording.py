"""What an analysis is of, and a page about it in the words for these observations."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import escape

from vaelens.observation import AN_IMAGE, Observation
from vaelens.observation_record import observation_from

_HIDDEN = re.compile(r"<(script|style)\b.*?</\1>", re.DOTALL)


def observation_of(provenance: Mapping[str, Any]) -> Observation:
    """Reads what the observations of an analysis are, which is images where it does not say."""
    return observation_from(provenance["observation"]) if "observation" in provenance else AN_IMAGE


def in_words_of(observation: Observation, page: str) -> str:
    """Says of other observations what a page says of images, in its text alone, not in marks, scripts or styles."""
    if observation.is_image:
        return page
    observation = replace(observation, noun=str(escape(observation.noun)), unit=str(escape(observation.unit)))
    pieces, start = [], 0
    for hidden in _HIDDEN.finditer(page):
        pieces += [_worded(observation, page[start : hidden.start()]), hidden.group(0)]
        start = hidden.end()
    return "".join([*pieces, _worded(observation, page[start:])])


def in_words_of_plot(observation: Observation, plot: Any) -> None:
    """Says of other observations what the titles of a plotly figure say of images."""
    if observation.is_image:
        return
    plot.for_each_annotation(lambda title: title.update(text=observation.worded(title.text or "")))
    for each_axis in (plot.for_each_xaxis, plot.for_each_yaxis):
        each_axis(lambda axis: axis.update(title_text=observation.worded(axis.title.text)) if axis.title.text else None)


def _worded(observation: Observation, marked: str) -> str:
    return "".join(
        part if part.startswith("<") else observation.worded(part) for part in re.split(r"(<[^>]*>)", marked)
    )
