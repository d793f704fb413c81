"""The dataset that a record of a training or an analysis names."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vaelens.errors import VaelensError

if TYPE_CHECKING:
    from vaelens.lens import Lens


def recorded_dataset(recorded: Mapping[str, Any] | None, model: str) -> tuple[str, dict[str, Any]]:
    """Reads name and options of a dataset that can be loaded by them.

    Args:
        recorded: what a dataset says of itself, None where nothing is recorded.
        model: what the record is of, as the user gave it.

    Raises:
        VaelensError: nothing says which it was, it is none of the catalogue, or files of the user's own.
    """
    import vaelens as vl

    if recorded is None or recorded["name"] not in vl.DATASETS:
        what = "nothing says" if recorded is None else f"{recorded['name']!r} is no name of a dataset that says"
        raise VaelensError(f"{what} which images {model!r} is looked at by; give their --dataset")
    name = recorded["name"]
    if vl.DATASETS[name].own:
        raise VaelensError(
            f"{model!r} was looked at by files of your own, and does not say where they are; give --dataset {name} "
            "--root PATH, and each --dataset-option that goes with it"
        )
    return name, dict(recorded.get("options") or {})


def trained_on(lens: "Lens") -> Mapping[str, Any] | None:
    """Returns what is recorded of the dataset that a model was trained on last, or None where nothing is."""
    records = [record.dataset for record in getattr(lens.module, "training_records", ()) if record is not None]
    return records[-1] if records else None
