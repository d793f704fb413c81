"""The few observations with which a lens finds its sites, what they are, and their context."""

from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters import Adapter
from vaelens.lens.batch import Batch
from vaelens.lens.context import ContextForm
from vaelens.lens.description import name_of
from vaelens.observation import Observation

# (n, *shape), images (n, C, H, W) in [0, 1] among them; a batch is checked already, and has its context with it.
ImagesLike = Tensor | NDArray[Any] | Batch

_ENOUGH = 3  # observations: batches of two and of three tell the batch axis


@dataclass(frozen=True, eq=False)
class Example:
    """A few observations that a model takes.

    Attributes:
        batch: the observations, and their context.
        observation: what they are.
        form: of the context; None where the model takes none.
    """

    batch: Batch
    observation: Observation
    form: ContextForm | None = None


def example_for(
    model: nn.Module,
    adapter: Adapter,
    example: Any,
    like: Tensor,
    observation: Observation | None = None,
    context: Any = None,
) -> Example:
    """Returns a few observations to find the sites with, which are those given or the model's own.

    Args:
        model: the model.
        adapter: to it.
        example: observations; or with `context=True` a pair of them and their context.
        like: a weight of the model.
        observation: what they are; by default what their shape says.
        context: of the example, one row for each; True where the example is a pair; None for none.

    Raises:
        VaelensError: none are given, and the model does not state their shape; they are not what the model takes, or
            have another number of channels; a context without an example, or of another number of rows.
    """
    observations = adapter.example if example is None else example
    if observations is None:
        raise VaelensError(
            f"a {type(model).__name__} does not state the shape of its images, and a lens finds its sites by running a "
            "few: give example=images, one or more of shape (n, C, H, W) in [0, 1], or whatever else it takes"
        )
    if context is None and example is None:
        context = adapter.context
    if context is True:
        if not isinstance(observations, tuple | list) or len(observations) != 2:
            raise VaelensError("context=True takes the example as a pair, example=(x, c); or give context=c beside it")
        observations, context = observations
    kind = observation or adapter.observation or _kind_of(observations)
    if adapter.any_size and observation is None and example is not None and _has_axes_of(observations, kind):
        kind = replace(kind, shape=tuple(observations.shape[1:]))
    if adapter.target is not None and adapter.observation is not None:  # results are in what is decoded
        kind = replace(kind, unit=adapter.observation.unit)
    values = kind.checked(observations)
    if adapter.check is not None:
        adapter.check(values)
    if adapter.channels is not None:
        check_channels(values, adapter.channels, name_of(model), kind.noun)
    form = None if context is None else ContextForm.of(context)
    packed = None if form is None else form.packed(context, len(values), like)
    batch = Batch(values.to(like), packed)[:_ENOUGH]
    return Example(batch, kind, form)


def _kind_of(given: Any) -> Observation:
    """Infers what an example is from the number of its axes. Whatever is no array is refused as images are."""
    shape = tuple(getattr(given, "shape", ()))
    return Observation.of_shape(shape[1:]) if len(shape) > 1 and min(shape) > 0 else Observation.image((1, 1, 1))


def _has_axes_of(given: Any, kind: Observation) -> bool:
    shape = tuple(getattr(given, "shape", ()))
    return len(shape) == len(kind.shape) + 1 and min(shape) > 0


def check_channels(observations: Tensor, wanted: int, model: str, noun: str) -> None:
    """Refuses observations, (n, channels, *sizes), of another number of channels than a model takes.

    Raises:
        VaelensError: see above.
    """
    channels = observations.shape[1]
    if channels != wanted:
        sizes = ", -1" * (observations.ndim - 2)
        one = "mono" if observations.ndim == 3 else "grey"
        way = f"{one} ones go in as x.expand(-1, {wanted}{sizes})" if channels == 1 else f"give {noun} of {wanted}"
        raise VaelensError(f"{noun} have {channels} channel{'s' * (channels > 1)}, this {model} takes {wanted}; {way}")
