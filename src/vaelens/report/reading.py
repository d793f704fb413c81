"""What is said of a factor reader, of the latents that change what it reads off the image, and how far to trust it."""

import json

import numpy as np

from vaelens.analysis import Analysis
from vaelens.report.numerals import listed
from vaelens.report.overview import are_alike
from vaelens.report.phrases import active_latents, any_of
from vaelens.report.ranking import Estimate, estimates, front, told_from_zero

_POOR = 0.5  # of its accuracy on the dataset, below which a factor is hardly read off reconstructions


def reading_sentence(analysis: Analysis) -> str | None:
    """Says which latent changes what a reader reads off the image as each factor.

    Printed when a reader was given and at least one latent is active, unless all reconstructions are alike. Factors
    that the reader hardly reads off reconstructions, less than half as well as off the dataset's images, name no
    latent. Rests on `factor_effect` and `read_right` of the part "read".
    """
    read = analysis.effects.get("read")
    if read is None or are_alike(analysis):
        return None
    poor, still, items = poorly_read(analysis), [], []
    for name in read["factor"].values.astype(str).tolist():
        candidates = active_latents(read.sel(factor=name), "factor_effect", analysis)
        ranked = front(candidates)
        if ranked is None or name in poor:
            continue
        if not told_from_zero(ranked.best):
            still.append(name)
            continue
        most = " most" if len(candidates) > 1 and not items else ""
        items.append(f"{name} changes{most} with {any_of(ranked)} ({ranked.best})")
    if still:
        items.append(f"{listed(still)} with no active latent")
    if poor:
        items.append(f"{listed(poor)} can hardly be read off reconstructions")
    if not items:
        return None
    return f"As a reader reads the image, in probability on average over the range: {'; '.join(items)}."


def read_shares(analysis: Analysis) -> list[Estimate]:
    """Reads for each factor the share of reconstructions that are read right, where there are labels."""
    read = analysis.effects["read"]
    shares = estimates(read, "read_right", read["factor"].values.astype(str).tolist())
    return [share for share in shares if np.isfinite(share.value)]


def poorly_read(analysis: Analysis) -> list[str]:
    """Lists the factors that the reader hardly reads off reconstructions."""
    accuracy = json.loads(analysis.effects["read"].attrs["reader_accuracy"])
    return [share.name for share in read_shares(analysis) if share.value < _POOR * accuracy[share.name]]


def reader_trust(analysis: Analysis) -> str:
    """Says how often the reader is right, for the caption beside what it read."""
    read = analysis.effects["read"]
    accuracy: dict[str, float] = json.loads(read.attrs["reader_accuracy"])
    left_out: dict[str, float] = json.loads(read.attrs["reader_left_out"])
    on_data = listed(f"{share:.1%} ({name})".replace("%", " %") for name, share in accuracy.items())
    said = f"The reader is right on {on_data} of the dataset's images"
    shares = read_shares(analysis)
    if shares:
        said += f", and on a fraction of {listed(f'{share} ({share.name})' for share in shares)} of the reconstructions"
    said += "."
    return f"{said} It does not read {listed(left_out)} well enough to be used." if left_out else said
