"""The sources of directions, such as principal components, a linear probe's weights or the means of two classes.

Activations come a chunk at a time; their moments are summed in double precision.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from vaelens.arguments import check_seed, whole_number
from vaelens.errors import VaelensError, unknown
from vaelens.lens.batch import Batch

if TYPE_CHECKING:
    from vaelens.lens.lens import Lens

_VARIES = 1e-10  # of the largest variance: less is rounding


def activations(lens: "Lens", batch: Batch, site: str) -> Iterator[Tensor]:
    """Yields the activations at a site as samples, float64 (images · positions, units), a chunk at a time."""
    for first_row, chunk in lens.engine.chunks(batch):
        run = lens.engine.cached_run(chunk, capture=[site], first_row=first_row)
        values = run.activation(site)
        yield values.movedim(1, -1).reshape(-1, values.shape[1]).cpu().double()


def mean_activation(lens: "Lens", batch: Batch, site: str) -> Tensor:
    """Computes the mean activation of a site's units over observations and positions, float64 (units,)."""
    total, count = torch.zeros(lens.sites[site].units, dtype=torch.float64), 0
    for samples in activations(lens, batch, site):
        total += samples.sum(dim=0)
        count += len(samples)
    return total / count


def principal_components(lens: "Lens", batch: Batch, site: str, k: int | None) -> Tensor:
    """Computes the first principal components of a site's activations, (k, units).

    Raises:
        VaelensError: more of them than vary, or none at all.
    """
    count = None if k is None else whole_number("k", k, low=1)
    mean = mean_activation(lens, batch, site)  # first: of moments about 0 little is left where the mean is large
    scatter = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for samples in activations(lens, batch, site):
        centred = samples - mean
        scatter += centred.T @ centred
    variances, vectors = torch.linalg.eigh(scatter)
    varying = int((variances > _VARIES * variances[-1]).sum()) if variances[-1] > 0 else 0
    if varying == 0:
        raise VaelensError(f"the activations at {site} are the same for all observations given; give different ones")
    if count is not None and count > varying:
        raise VaelensError(
            f"k is {count}, and the activations at {site} vary along {varying} principal components on these "
            f"observations; give k up to {varying}, or more observations"
        )
    rows = vectors.flip(1).T[: count or varying]
    largest = rows.gather(1, rows.abs().argmax(dim=1, keepdim=True))
    return rows * largest.sign()


def probe_weights(probe: Any, label: Any) -> tuple[np.ndarray, list[str]]:
    """Reads the weights of a fitted linear probe, (k, units), and what each is called.

    Raises:
        VaelensError: see `Direction.from_probe`.
    """
    steps = [step for _, step in probe.steps] if hasattr(probe, "steps") else [probe]
    model = steps[-1]
    if not hasattr(model, "coef_"):
        raise VaelensError(
            f"a {type(model).__name__} has no coef_; give a fitted linear probe of scikit-learn, such as "
            "LogisticRegression().fit(activations, labels)"
        )
    weights = np.atleast_2d(np.asarray(model.coef_, dtype=float))
    for step in steps[:-1]:
        if not hasattr(step, "scale_") or not hasattr(step, "mean_"):
            raise VaelensError(
                f"the probe's pipeline begins with a {type(step).__name__}; only a StandardScaler can be taken back to "
                "the activation's units: fit the probe on the activations themselves"
            )
        if step.scale_ is not None:  # StandardScaler(with_std=False)
            weights = weights / step.scale_
    classes = [str(each) for each in getattr(model, "classes_", ())]
    if len(weights) == 1:
        names = [f"{classes[0]} to {classes[1]}"] if len(classes) == 2 else ["probe"]
    else:
        names = classes if len(classes) == len(weights) else [f"probe {k}" for k in range(len(weights))]
    if label is None:
        return weights, names
    if str(label) not in names:
        raise unknown("label of the probe", str(label), names)
    chosen = names.index(str(label))
    return weights[chosen : chosen + 1], [names[chosen]]


def observations_by_value(
    lens: "Lens", ds: Any, factor: str, values: Any, n: Any, seed: Any
) -> tuple[list[Tensor], list[Any]]:
    """Samples observations with either of two values of a factor, and their context.

    Raises:
        VaelensError: see `Direction.between`.
    """
    names = list(ds.factors.names)
    if factor not in names:
        raise unknown("factor", factor, names)
    column = names.index(factor)
    size = int(ds.factors.sizes[column])
    try:
        low, high = (int(value) for value in values)
    except (TypeError, ValueError):
        low = high = -1
    if low == high or not all(0 <= value < size for value in (low, high)):
        raise VaelensError(
            f"values is {values!r}; expected two different values of {factor}, by index from 0 to {size - 1}"
        )
    count, checked_seed = min(whole_number("n", n, low=2), len(ds)), check_seed(seed)
    x, factors = ds.sample(count, checked_seed)
    context = ds.context_at(ds.draw(count, checked_seed)) if lens.takes_context else None
    observations, contexts = [], []
    for value in (low, high):
        rows = (factors[:, column] == value).nonzero()[:, 0]
        if not len(rows):
            raise VaelensError(f"none of the {len(x)} observations drawn has {factor} = {value}; give a larger n")
        observations.append(x[rows])
        contexts.append(None if context is None else _rows_of(context, rows))
    return observations, contexts


def _rows_of(context: Any, rows: Tensor) -> Any:
    if isinstance(context, dict):
        return {name: _rows_of(values, rows) for name, values in context.items()}
    return torch.as_tensor(context)[rows]
