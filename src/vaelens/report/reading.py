"""What an analysis found with a factor reader, in plain sentences."""

import json

import numpy as np
import xarray as xr

from vaelens.analysis import Analysis
from vaelens.report.numerals import listed
from vaelens.report.phrases import active_latents, not_told_apart
from vaelens.report.ranking import estimates, front

_POOR = 0.5  # of its accuracy on the dataset, below which a factor is hardly read off reconstructions


def reading_sentences(analysis: Analysis) -> list[str]:
    """Says how far the reader can be trusted, and which latent changes each factor most."""
    if "read" not in analysis.effects:
        return []
    read = analysis.effects["read"]
    return [_trust(read), *_changed(analysis, read)]


def _trust(read: xr.Dataset) -> str:
    accuracy: dict[str, float] = json.loads(read.attrs["reader_accuracy"])
    left_out: dict[str, float] = json.loads(read.attrs["reader_left_out"])
    shares = estimates(read, "read_right", read["factor"].values.tolist())
    labelled = [share for share in shares if np.isfinite(share.value)]
    on_data = listed(f"{share:.1%} ({name})" for name, share in accuracy.items())
    said = f"Which factors a latent changes is read off the images by a reader that is right on {on_data} of the "
    said += "dataset's images"
    if labelled:
        on_model = listed(f"{share} ({share.name})" for share in labelled)
        said += f", and on a fraction of {on_model} of this model's reconstructions"
    said += "."
    if left_out:
        said += f" It does not read {listed(left_out)} well enough to be used."
    poor = [share.name for share in labelled if share.value < _POOR * accuracy[share.name]]
    return f"{said} Off reconstructions it hardly reads {listed(poor)}: take care there." if poor else said


def _changed(analysis: Analysis, read: xr.Dataset) -> list[str]:
    said = []
    for name in read["factor"].values.tolist():
        candidates = active_latents(read.sel(factor=name), "factor_effect", analysis)
        ranked = front(candidates)
        if ranked is None:
            continue
        if ranked.best.value == 0:
            said.append(f"No active latent changes what is read as {name}.")
            continue
        most = " most" if len(candidates) > 1 else ""
        said.append(
            f"What is read as {name} changes{most} with {ranked.best.name}: by {ranked.best} in probability on average "
            f"over the range.{not_told_apart(ranked)}"
        )
    return said
