"""Which images of a dataset a model was not trained on, as far as its training records say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from torch import nn

from vaelens.data import FactorDataset
from vaelens.models.batches import held_out_rows
from vaelens.models.training_record import TrainingRecord

Seen = Literal["held out", "seen", "unknown"]
FEWEST = 128  # images that training left, from which on an analysis takes those alone
_SPLITS = ("train", "valid", "test")
_SAME = ("name", "length", "image_shape", "content_sha256")


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What is known of the images of a dataset that a model was not trained on.

    Attributes:
        seen: "held out": the images to analyse were not trained on; "seen": training left fewer than 128; "unknown":
            nothing says what the model was trained on, or on what part of these images.
        rows: the indices of the images to analyse; None for all.
    """

    seen: Seen
    rows: NDArray[np.int64] | None = None

    def rows_for_codes(self, count: int, most: int) -> NDArray[np.int64] | None:
        """Returns the images that scores of codes take, which are those held out if they are half of all or enough."""
        enough = self.rows is not None and len(self.rows) >= min(most, count // 2)
        return self.rows if enough else None


def held_out(module: nn.Module, ds: FactorDataset) -> HeldOut:
    """Finds the images of a dataset that a model was not trained on.

    Where every run on the dataset held out images (`vl.train(held_out=…)`) and these suffice, they are taken, so that
    models trained on the same data are analysed on the same images. Else the batches of the runs are drawn again from
    their seeds, which takes some 50 µs a step.
    """
    records: Sequence[TrainingRecord | None] = getattr(module, "training_records", ())
    if not records or any(record is None for record in records):
        return HeldOut("unknown")
    described, of_these = ds.describe(), list[TrainingRecord]()
    for record in records:
        assert record is not None, "records that are not there were refused"
        if all(_plain(record.dataset.get(name)) == _plain(described[name]) for name in _SAME):
            of_these.append(record)
        elif not _other_split(record.dataset, described):
            return HeldOut("unknown")
    if not of_these:
        return HeldOut("held out")
    fewest = min(record.held_out for record in of_these)
    if fewest >= FEWEST:
        return HeldOut("held out", held_out_rows(len(ds), fewest))
    seen = np.zeros(len(ds), dtype=bool)
    for record in of_these:
        seen |= record.seen()
    left = np.flatnonzero(~seen)
    return HeldOut("held out", left) if len(left) >= FEWEST else HeldOut("seen")


def _other_split(trained: Mapping[str, Any], described: Mapping[str, Any]) -> bool:
    """Tells whether both are parts of one dataset that have no image in common."""
    splits = [dict(dataset.get("options") or {}).get("split") for dataset in (trained, described)]
    return trained.get("name") == described["name"] and splits[0] != splits[1] and all(s in _SPLITS for s in splits)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
