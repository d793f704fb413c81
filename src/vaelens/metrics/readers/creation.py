"""The creation of a factor reader, trained once for a dataset, tested on held-out images, and kept in the cache."""

import hashlib
import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from vaelens.arguments import Progress, Seed, check_seed, whole_number
from vaelens.data import FactorDataset
from vaelens.data.factors import Factor
from vaelens.errors import VaelensError
from vaelens.metrics.readers.examples import Batches, Examples, examples
from vaelens.metrics.readers.network import ReaderNetwork
from vaelens.metrics.readers.reader import ROWS, FactorReader
from vaelens.metrics.readers.score import FactorScore, score
from vaelens.metrics.readers.store import identity_of, load, save
from vaelens.models.devices import find_device
from vaelens.models.randomness import own_randomness
from vaelens.progress import check_progress, reporting
from vaelens.version import __version__

_LR = 3e-3  # the largest of the run
_BLOCK = 2**16  # labels hashed at once


def factor_reader(
    ds: FactorDataset,
    factors: Sequence[str] | str | None = None,
    steps: int = 3000,
    batch_size: int = 64,
    seed: Seed = 0,
    progress: Progress = True,
    device: str = "auto",
) -> FactorReader:
    """Returns a network that reads a dataset's factors off images, trained once and kept in the cache folder.

    A small convolutional network with a softmax over the values of each factor minimises the sum over factors of the
    cross-entropy, over the images that have the factor's label. A fifth of the images, 2,000 at most, are kept apart by
    the seed, and never trained on; on them each factor's accuracy is measured beside that of the best constant guess
    (see `FactorScore`; `print(reader)` shows them all). A factor is trusted where the reader gets at least halfway
    from guessing to perfect, exactly or, where values have an order, within one step; the others are not read. Factors
    with one value are left out. The abstract of the paper names no reader; all of this is decided here.

    A reader knows what it has seen: of images that look like none of the dataset, such as a poor decoder's, it still
    reads some value. The accuracies are those on the dataset's own images.

    The same call returns the same reader on the same machine. It is kept in the folder `readers` of the cache
    (VAELENS_CACHE), by the dataset's identity, the settings and the versions; a damaged file is made anew. The global
    random state is afterwards as before.

    Args:
        ds: a dataset with factors.
        factors: names of those to read; by default all that are trusted. All are trained on in any case.
        steps: how many steps to train, at least 1.
        batch_size: images a step, drawn with replacement, at least 1.
        seed: draws the held-out images, the first weights and the batches.
        progress: whether to show a bar on standard error, or a function of (steps done, steps in all). A reader from
            the cache takes no steps.
        device: where it is trained: "auto" (an accelerator if there is one), "cpu", "cuda", "cuda:1", "mps".

    Returns:
        The reader.

    Raises:
        VaelensError: a dataset without factors of several values, an argument out of range, a device that is not there,
            a factor that is unknown or, when it is named, not trusted.
        KeyboardInterrupt: at Ctrl-C; nothing is saved.

    Example:
        >>> import vaelens as vl
        >>> reader = vl.factor_reader(vl.load_dataset("digits"), steps=30, progress=False)
        >>> sorted(reader.accuracy), reader.scores[0].images
        (['label'], 359)
    """
    columns = _readable(ds)
    for name in () if factors is None else (factors,) if isinstance(factors, str) else tuple(factors):
        ds.factors.index(name)  # a mistyped name is refused before anything is trained
    steps, batch_size = whole_number("steps", steps, low=1), whole_number("batch_size", batch_size, low=1)
    seed, where = check_seed(seed), find_device(device)
    check_progress(progress)
    recipe = _recipe(ds, columns, steps, batch_size, seed, where)
    identity, network = identity_of(recipe), _network(ds, columns, seed)
    scores = load(identity, network)
    if scores is None:
        source = examples(ds, columns, seed)
        with reporting(progress, steps, "factor reader") as report:
            from vaelens.metrics.readers.training import train_network  # Lightning is slow to import

            train_network(network, Batches(source, batch_size, seed, steps), _LR, where, report.advance)
        scores = _scores(network, source, [ds.factors.items[k] for k in columns])
        save(identity, recipe, network, scores)
    reader = _reader(ds, scores, network, identity)
    return reader if factors is None else reader.only(factors)


def kept_reader(ds: FactorDataset, device: str = "auto") -> FactorReader | None:
    """Returns the reader that `factor_reader(ds)` has trained and kept, or None where there is none. Trains nothing.

    Raises:
        VaelensError: a dataset without factors of several values, a device that is not there.
    """
    columns, where = _readable(ds), find_device(device)
    defaults = {name: inspect.signature(factor_reader).parameters[name].default for name in ("steps", "batch_size")}
    identity, network = identity_of(_recipe(ds, columns, seed=0, where=where, **defaults)), _network(ds, columns, 0)
    scores = load(identity, network)
    return None if scores is None else _reader(ds, scores, network, identity)


def _readable(ds: Any) -> tuple[int, ...]:
    """Finds the columns of the factors that can be read.

    Raises:
        VaelensError: there are none.
    """
    if not isinstance(ds, FactorDataset):
        raise VaelensError(f"ds is a {type(ds).__name__}; expected a dataset, such as vl.load_dataset('sprites')")
    if not ds.observation.is_image:
        raise VaelensError(
            f"the observations of {ds.name} are {ds.observation.noun}, and a factor reader reads images only; leave "
            "reader out"
        )
    columns = tuple(k for k, size in enumerate(ds.factors.sizes) if size > 1)
    if not columns:
        raise VaelensError(f"{ds.name} has no factor of two values or more, so there is nothing to read off its images")
    return columns


def _recipe(
    ds: FactorDataset, columns: Sequence[int], steps: int, batch_size: int, seed: int, where: torch.device
) -> dict[str, Any]:
    """Records all that a reader depends on."""
    return {
        "dataset": ds.describe(),
        "labels": _label_hash(ds),
        "kinds": [ds.factors.items[k].kind for k in columns],
        "steps": steps,
        "batch_size": batch_size,
        "lr": _LR,
        "seed": seed,
        "device": where.type,
        "versions": {"vaelens": __version__, "torch": torch.__version__},
    }


def _network(ds: FactorDataset, columns: Sequence[int], seed: int) -> ReaderNetwork:
    factors = [ds.factors.items[k] for k in columns]
    with own_randomness(seed):
        network = ReaderNetwork(ds.image_shape, {factor.name: factor.size for factor in factors})
    return network.eval()


def _reader(ds: FactorDataset, scores: tuple[FactorScore, ...], network: ReaderNetwork, identity: str) -> FactorReader:
    trusted = tuple(score.name for score in scores if score.trusted)
    return FactorReader(ds.name, ds.image_shape, scores, network, identity, trusted)


def _scores(network: ReaderNetwork, source: Examples, factors: Sequence[Factor]) -> tuple[FactorScore, ...]:
    """Tests how well each factor is read off the held-out images."""
    labels, readings = [], []
    with torch.no_grad():
        for images, factor_values in source.held_out_chunks(ROWS):
            labels.append(factor_values.numpy())
            most_likely = [logits.argmax(dim=1) for logits in network(images).values()]
            readings.append(torch.stack(most_likely, dim=1).numpy())
    right, read = np.concatenate(labels), np.concatenate(readings)  # (n, factors)
    return tuple(score(factor, right[:, k], read[:, k]) for k, factor in enumerate(factors))


def _label_hash(ds: FactorDataset) -> str:
    """Hashes all labels, so that one that is corrected makes another reader, even of an image that is not sampled."""
    digest = hashlib.sha256()
    for start in range(0, len(ds), _BLOCK):
        values = ds.factor_values(np.arange(start, min(start + _BLOCK, len(ds))))
        digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
    return digest.hexdigest()
