"""What every sweep is told besides the model, its images and the interventions, checked in one place."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from vaelens.arguments import Progress, check_seed
from vaelens.effects.factor_predictions import FACTORS, FactorPredictions, factor_predictions
from vaelens.effects.stopping import check_tolerance
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.progress import Report, check_progress, reporting


@dataclass(frozen=True, eq=False)
class SweepOptions:
    """The options of a sweep.

    Attributes:
        seed: of whatever is drawn at random, bootstrap resamples included.
        progress: whether to show a bar on standard error, or a function of (done, total).
        tolerance: how far, in L2 of observations, an effect may be from its estimate; None for all images.
        predictions: what a reader predicts from images; None without one.
    """

    seed: int
    progress: Progress
    tolerance: float | None = None
    predictions: FactorPredictions | None = None

    def reporting(self, total: float, label: str) -> AbstractContextManager[Report]:
        """Reports on the work done in a `with`."""
        return reporting(self.progress, total, label)

    def attributes(self) -> dict[str, Any]:
        """Returns the attributes of a result that say what the options were."""
        return {"seed": self.seed, **({} if self.predictions is None else self.predictions.attributes())}


def checked_options(
    lens: Lens,
    seed: Any,
    progress: Any,
    tolerance: Any = None,
    reader: Any = None,
    outputs: tuple[str, str] | None = None,
) -> SweepOptions:
    """Checks the options of a sweep before anything runs.

    Args:
        lens: the lens.
        seed: a whole number, 0 or more.
        progress: True, False or a function of (done, total).
        tolerance: a positive number, or None.
        reader: what predicts factors from images, or None.
        outputs: the argument by which factors are asked for, and its value: a reader is then needed where that is
            "factors", and refused elsewhere. None where a reader is welcome in any case.

    Raises:
        VaelensError: one of them is something else.
    """
    checked_seed = check_seed(seed)
    check_progress(progress)
    checked_tolerance = check_tolerance(tolerance, lens.observation)
    if outputs is not None:
        argument, value = outputs
        if value == FACTORS and reader is None:
            raise VaelensError(
                f"{argument}='{FACTORS}' needs a reader of the dataset's factors; give reader=vl.factor_reader(ds)"
            )
        if value != FACTORS and reader is not None:
            raise VaelensError(
                f"a reader was given, and {argument}={value!r} reads no factors; give {argument}='{FACTORS}', or no "
                "reader"
            )
    return SweepOptions(checked_seed, progress, checked_tolerance, factor_predictions(reader, lens))
