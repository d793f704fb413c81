"""The calls of functions or methods that belong to a stage, such as nonlinearities, normalisations and reshapes.

`functional.relu(h)`, `torch.relu(h)` and `h.relu()` are one function, `relu`. A watcher follows what a layer returned
through such calls, in the model's own forward as well as in an export of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

# Functions of one activation that keep its units what they are; each also stands for its in-place form.
_ACTIVATIONS = """relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid
hardshrink softshrink tanhshrink softplus softsign sigmoid logsigmoid log_sigmoid tanh threshold sin cos exp expm1 abs
square clamp clamp_min clamp_max clip softmax log_softmax softmin"""
_NORMALISATIONS = "batch_norm instance_norm group_norm layer_norm rms_norm normalize"
_DROPOUTS = "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout"
KEEP_UNITS = frozenset(f"{_ACTIVATIONS} {_NORMALISATIONS} {_DROPOUTS} contiguous".split())
RESHAPES = frozenset(["view", "reshape", "unflatten", "view_as", "reshape_as"])


def function_name(function: Any) -> str:
    """Returns a function's name however it is called, `relu` for functional.relu, torch.relu_ and Tensor.relu.

    Example:
        >>> import torch
        >>> [function_name(f) for f in (torch.relu_, torch.Tensor.relu, torch.nn.functional.relu)]
        ['relu', 'relu', 'relu']
    """
    schema = getattr(function, "_schema", None)  # of an operator such as torch.ops.aten.relu.default
    name = schema.name.partition("::")[2] if schema is not None else getattr(function, "__name__", None)
    if name in (None, "__get__", "wrapper", "fn"):
        name = (resolve_name(function) or "").rpartition(".")[2]
    return str(name).strip("_")


def belongs(name: str, source: Tensor, output: Tensor) -> bool:
    """Tells whether a function's output is still the activation of the stage whose activation it was given.

    A nonlinearity is, and a reshape of one row of units (n, units) into channels (n, channels, *positions).
    """
    if name in KEEP_UNITS:
        return source.shape == output.shape
    return name in RESHAPES and source.ndim == 2 < output.ndim and output.shape[:1] == source.shape[:1]


@dataclass(frozen=True)
class FunctionCall:
    """One call of a function on a tensor, outside of leaf modules."""

    name: str
    source: Tensor
    output: Tensor
    version: int


class FunctionRecorder(TorchFunctionMode):
    """Records the calls of functions that may belong to a stage, and how often each tensor is used.

    Attributes:
        uses: how many calls were given a tensor, by the tensor's id; those that return it itself are none.
        parameters: the parameters that calls were given, by id.
        inside: how many leaf modules are running, whose own calls are not recorded.
    """

    def __init__(self, record: Callable[[str, Tensor, Tensor], None]):
        super().__init__()
        self._record = record
        self.uses: dict[int, int] = {}
        self._used: list[Tensor] = []  # held: the id of one that is let go is soon another's
        self.parameters: dict[int, nn.Parameter] = {}
        self.inside = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if self.inside == 0 and _holds_tensor(result):
            for argument in _tensors(args, kwargs):
                if argument is not result:  # as of dropout in eval mode, which reads nothing
                    self.use(argument)
                if isinstance(argument, nn.Parameter):
                    self.parameters[id(argument)] = argument
            name = function_name(func)
            if (name in KEEP_UNITS or name in RESHAPES) and isinstance(result, Tensor):
                source = args[0] if args else (kwargs or {}).get("input")
                if isinstance(source, Tensor):
                    self._record(name, source, result)
        return result

    def use(self, tensor: Tensor) -> None:
        """Counts one more call that was given a tensor."""
        self._used.append(tensor)
        self.uses[id(tensor)] = self.uses.get(id(tensor), 0) + 1

    def returned(self, tensor: Tensor) -> None:
        """Takes back the count of a call that returned the very tensor it was given."""
        self.uses[id(tensor)] -= 1


class FunctionWatcher(TorchFunctionMode):
    """Follows what layers returned through the functions that belong to their stages, to the last of them.

    Args:
        reached: takes the key of a chain and its last function's output, and returns what flows on in its place.
    """

    def __init__(self, reached: Callable[[Any, Tensor], Tensor]):
        super().__init__()
        self._reached = reached
        self._followed: dict[int, tuple[Tensor, Any, tuple[str, ...]]] = {}  # the tensors are held: ids stay theirs

    def follow(self, output: Tensor, key: Any, names: tuple[str, ...]) -> None:
        """Follows a layer's output through functions of these names, in this order."""
        self._followed[id(output)] = output, key, names

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if not self._followed or not isinstance(result, Tensor):
            return result
        source = args[0] if args else (kwargs or {}).get("input")
        followed = self._followed.get(id(source))
        if followed is None or function_name(func) != followed[2][0]:
            return result
        _, key, names = self._followed.pop(id(source))
        if len(names) == 1:
            replaced = self._reached(key, result)
            if result is not source or replaced is result:
                return replaced
            return result.copy_(replaced)  # what an in-place function returns may never be looked at
        self.follow(result, key, names[1:])
        return result


def _holds_tensor(result: Any) -> bool:
    """Tells whether a call returned a tensor. One that asks for a shape or type does not use its argument's values."""
    if isinstance(result, tuple | list):
        return any(isinstance(part, Tensor) for part in result)
    return isinstance(result, Tensor)


def _tensors(*structures: Any) -> list[Tensor]:
    tensors: list[Tensor] = []
    for structure in structures:
        if isinstance(structure, Tensor):
            tensors.append(structure)
        elif isinstance(structure, tuple | list):
            tensors += _tensors(*structure)
        elif isinstance(structure, dict):
            tensors += _tensors(*structure.values())
    return tensors
