"""Whether analyses are of the same data, and of the same images of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from vaelens.analysis import Analysis
from vaelens.errors import VaelensError

# What of a dataset must be the same for its scores to be compared, as the errors call it.
_SAME = {"name": "name", "image_shape": "image shape", "content_sha256": "content", "factor_names": "factors"}


def check_same_data(analyses: Sequence[Analysis], names: Sequence[str]) -> None:
    """Refuses analyses of different data.

    Raises:
        VaelensError: naming what differs.
    """
    first = analyses[0].provenance["dataset"]
    for analysis, name in zip(analyses[1:], names[1:], strict=True):
        dataset = analysis.provenance["dataset"]
        differing = [said for key, said in _SAME.items() if _plain(first.get(key)) != _plain(dataset.get(key))]
        if differing:
            raise VaelensError(
                f"{names[0]!r} was analysed on {_said(first)} and {name!r} on {_said(dataset)} (other "
                f"{', '.join(differing)}); compare analyses of the same data"
            )


def why_unpaired(first: Analysis, second: Analysis) -> str:
    """Says why two analyses are not of the same images, or nothing where they are."""
    hashes = [analysis.provenance.get("images_sha256") for analysis in (first, second)]
    if None in hashes:
        return "an analysis does not say of which images it is; analyse that model again with this version"
    if hashes[0] != hashes[1]:
        return (
            "they were analysed on different images; train with the same held_out= (--held-out) and analyse with the "
            "same number of images and seed to have them paired"
        )
    if first.provenance["seed"] != second.provenance["seed"]:
        return "they were analysed with different seeds, which draw the resamples"
    return ""


def _said(dataset: Mapping[str, Any]) -> str:
    shape = " × ".join(map(str, dataset.get("image_shape", ())))
    return f"{dataset.get('name')} ({shape})"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
