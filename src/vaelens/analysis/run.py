"""The run of an analysis, whose parts follow one another, within a time if one is given, each kept as it ends."""

import math
import numbers
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch

from vaelens.analysis.disentanglement import DCI_ESTIMATORS, DciEstimator
from vaelens.analysis.done import Done
from vaelens.analysis.folder import AnalysisFolder
from vaelens.analysis.held_out import held_out
from vaelens.analysis.image_pool import ImagePool
from vaelens.analysis.manifest import plain
from vaelens.analysis.part import LEAST, ON_REQUEST, PARTS
from vaelens.analysis.plan import Told
from vaelens.analysis.record import Analysis
from vaelens.analysis.subject import Subject
from vaelens.analysis.work import Progress, Work
from vaelens.arguments import check_seed
from vaelens.data import FactorDataset
from vaelens.effects import factor_predictions
from vaelens.effects.dataset_rows import rows_at
from vaelens.effects.factor_predictions import ReadsFactors
from vaelens.errors import VaelensError, unknown
from vaelens.lens import Lens
from vaelens.progress import check_progress
from vaelens.writing import sole_writer

if TYPE_CHECKING:
    _Lens: TypeAlias = Lens
    _Dataset: TypeAlias = FactorDataset
    _Reader: TypeAlias = ReadsFactors
    _Progress: TypeAlias = Progress
    _DciEstimator: TypeAlias = DciEstimator
else:  # anything else is refused in a sentence, which a type that is checked at run time would forestall
    _Lens = _Dataset = _Reader = _Progress = _DciEstimator = Any


def analyse(
    lens: _Lens,
    ds: _Dataset,
    n: int = 512,
    seed: int = 0,
    progress: _Progress = True,
    reader: _Reader | None = None,
    *,
    minutes: float | None = None,
    only: str | Sequence[str] | None = None,
    skip: str | Sequence[str] | None = None,
    circuits: bool = False,
    folder: str | Path | None = None,
    overwrite: bool = False,
    dci_estimator: _DciEstimator = "random-forest",
    score_intervals: bool = True,
) -> Analysis:
    """Runs the four levels of intervention on one model and computes causal and disentanglement metrics.

    What needs factors is left out for a dataset without them; then level 1 manipulates pixels, and mediation treats
    an image with another image. Where labels are missing, DCI and MIG take the images that have all of them, and are
    left out where fewer than 8 have; a pair needs the label that it differs in. A quantised latent is measured by
    swaps of its codes besides, unless the images use one code alone.

    Where a record says what the model was trained on (a run of `vl.train` on a dataset, or the folder of one), images
    that no batch held are taken if training left 128 or more; `provenance["images_seen_in_training"]` says which.

    With a `folder` each part is saved whole as it ends. Cut off at any moment, the same call goes on from there, and
    gives what it would have given undisturbed; where the analysis is there already, it is loaded.

    Args:
        lens: the lens on the model.
        ds: a dataset of images like the model's.
        n: images, at most: fewer are taken where the dataset has fewer. The more expensive parts take fewer, and fewer
            still of a model with many latents; each records how many.
        seed: of images, pairs and bootstrap resamples.
        progress: True for a bar on standard error, or plain lines where it is no terminal; or a function of
            (done, total), in hundredths of a part of the analysis; or False.
        reader: reads the dataset's factors off images, `vl.factor_reader(ds)`: the analysis then says which factors of
            the image each latent changes, and how often a reconstruction is read right.
        minutes: how long the parts may take. What each costs is measured on a few images first, and as many images,
            and sites to patch, are taken as there is time for; the least is done even where it takes longer. None for
            as long as it takes.
        only: names of the parts to run, such as "latent" or ["patching", "mediation"]; all but circuits by default.
        skip: names of parts to leave out.
        circuits: whether to find a circuit of every factor as well, as `vl.discover_circuit` does: some minutes.
        folder: where to keep the analysis while it is made; in memory alone by default.
        overwrite: replace another analysis in the folder, when this one is whole.
        dci_estimator: what DCI's value, interval and level of chance are made by: "random-forest", or the reference's
            "gradient-boosting", which takes an hour where there are 15,000 codes. Scores of different estimators are
            different metrics.
        score_intervals: whether scores of codes and labels have intervals and levels of chance, which take 9 tenths of
            their time.

    Returns:
        The analysis; `print` shows its scores, `.report(path)` draws it, `.save(folder)` keeps it.

    Raises:
        VaelensError: something else than a lens and a dataset, fewer than 8 images, or images that do not fit the
            model; a reader without factors or of images of another shape; an unknown part; a folder that holds another
            analysis or that another is written to, or that can't be written.

    Example:
        >>> import vaelens as vl
        >>> lens = vl.Lens(vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=2))
        >>> analysis = vl.analyse(lens, vl.load_dataset("digits"), n=8, only="latent", progress=False)
        >>> list(analysis.effects), analysis.scores.label["ces"]
        (['latent'], 'CES')
    """
    if not isinstance(lens, Lens):
        raise VaelensError(f"analyse takes a Lens, got a {type(lens).__name__}; wrap the model with vl.Lens(model)")
    if lens.directions:
        raise VaelensError(
            f"this lens is along directions of {', '.join(lens.directions)}; an analysis is of a model's own units: "
            "give the lens that it was made from"
        )
    if not isinstance(ds, FactorDataset):
        raise VaelensError(
            f"analyse takes a dataset, got a {type(ds).__name__}; use vl.load_dataset(name) or vl.ArrayDataset(images)"
        )
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or min(n, len(ds)) < LEAST:
        raise VaelensError(f"n is {n!r} and {ds.name} has {len(ds)} images; an analysis needs at least {LEAST}")
    seed = check_seed(seed)
    check_progress(progress)
    minutes = _checked_minutes(minutes)
    if dci_estimator not in DCI_ESTIMATORS:
        raise unknown("estimator of DCI", dci_estimator, DCI_ESTIMATORS)
    if not isinstance(score_intervals, bool):
        raise VaelensError(f"score_intervals is {score_intervals!r}; expected True or False")
    names = selected_parts(only, skip, circuits)
    begin = perf_counter()
    path = None if folder is None else Path(folder).expanduser()
    with nullcontext() if path is None else sole_writer(path):
        subject = subject_of(lens, ds, int(n), seed, reader, dci_estimator, score_intervals)
        asked = {"minutes": minutes, "parts": names, "dci_estimator": dci_estimator}
        asked |= {} if score_intervals else {"score_intervals": False}
        configuration = plain(subject.describe() | {"asked": asked})
        done = Done(configuration, None if path is None else AnalysisFolder(path))
        finished = done.resume(overwrite)
        if finished is not None:
            return finished
        with _kept_when_stopped(path):
            work = Work(subject, names, done, Told(progress), perf_counter)
            work.run(minutes, begin, progress)
            return work.finish()


def subject_of(
    lens: Lens,
    ds: FactorDataset,
    n: int,
    seed: int,
    reader: Any,
    dci_estimator: DciEstimator,
    score_intervals: bool = True,
) -> Subject:
    """Takes the images of an analysis from its dataset, n at most.

    Raises:
        VaelensError: images that do not fit the model, a reader that does not fit.
    """
    apart = held_out(lens.module, ds)
    pool = ImagePool(ds, apart.rows)
    indices = pool.draw(min(n, pool.count()), seed)
    x, labels = rows_at(lens, ds, indices), torch.from_numpy(ds.factor_values(indices).astype(np.int64))
    lens.encode(x[slice(1)])  # a lens on a foreign module knows its latents from here on
    factor_predictions(reader, lens)  # one that does not fit is refused before the work
    return Subject(lens, ds, x, labels, reader, seed, dci_estimator, score_intervals, apart)


def selected_parts(
    only: str | Sequence[str] | None, skip: str | Sequence[str] | None, circuits: bool = False
) -> list[str]:
    """Lists the names of the parts to run, in their order.

    Raises:
        VaelensError: an unknown part, or none left.

    Example:
        >>> selected_parts(["swap", "latent"], None)
        ['latent', 'swap']
    """
    taken, left = (_names(option, names) for option, names in (("only", only), ("skip", skip)))
    asked = [name for name in PARTS if name not in ON_REQUEST] if only is None else taken
    if circuits:
        asked = [*asked, "circuits"]
    names = [name for name in PARTS if name in asked and name not in left]
    if not names:
        raise VaelensError("only and skip leave no part of the analysis; leave one of them out")
    return names


def _names(option: str, asked: str | Sequence[str] | None) -> list[str]:
    names = [] if asked is None else [asked] if isinstance(asked, str) else list(asked)
    for name in names:
        if name not in PARTS:
            raise unknown(f"part of an analysis in {option}", name, PARTS)
    return names


def _checked_minutes(minutes: Any) -> float | None:
    if minutes is None:
        return None
    if isinstance(minutes, bool) or not isinstance(minutes, numbers.Real) or not 0 < float(minutes) < math.inf:
        raise VaelensError(f"minutes is {minutes!r}; expected how long the analysis may take, a number above 0")
    return float(minutes)


@contextmanager
def _kept_when_stopped(folder: Path | None) -> Iterator[None]:
    """Says on Ctrl-C how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        if folder is None:
            raise
        raise KeyboardInterrupt(
            f"the analysis was interrupted; the parts that are done are kept in {str(folder)!r}: run the same again to "
            "go on"
        ) from None
