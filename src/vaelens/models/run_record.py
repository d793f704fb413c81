"""What a finished training leaves in its folder, which is the model and a record of how it was made."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vaelens.models.training import TrainingResult
from vaelens.models.training_record import FILE, weights_sha256
from vaelens.models.vae import VAE
from vaelens.version import __version__
from vaelens.writing import written_whole


def save_run(model: VAE, folder: Path, result: TrainingResult, schedules: Sequence[Any] = (), **options: Any) -> None:
    """Saves a model that was trained on a dataset, and then training.json, which tells that the folder is whole.

    Args:
        model: the model.
        folder: where the training was.
        result: what came of it.
        schedules: those that it had.
        **options: what else to record, such as `lr`.

    Raises:
        VaelensError: the files can't be written.
    """
    model.save_pretrained(folder)
    trained = model.training_records[-1]
    assert trained is not None, "a dataset says what it is"
    record = {
        "vaelens": __version__,
        "model": model.config,
        "model_sha256": weights_sha256(folder),
        **asdict(trained),
        **options,
        "schedules": {schedule.name: schedule.describe() for schedule in schedules},
        "device": result.device,
        "threads": result.threads,
        "terms": result.terms,
        "kl_per_latent": result.kl_per_latent,
    }
    with written_whole(folder) as unfinished:
        (unfinished / FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
