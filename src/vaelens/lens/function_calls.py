"""The calls of functions or methods that belong to a stage, such as nonlinearities, normalisations and reshapes.

`functional.relu(h)`, `torch.relu(h)` and `h.relu()` are one function, `relu`. A watcher follows what a layer returned
through such calls, in the model's own forward as well as in an export of it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

from vaelens.lens.same_tensors import storage_of

# Functions of one activation that keep its units what they are; each also stands for its in-place form.
_ACTIVATIONS = """relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardtanh hardswish hardsigmoid
hardshrink softshrink tanhshrink softplus softsign sigmoid expit logsigmoid log_sigmoid tanh threshold sin cos sinh cosh
atan arctan asinh arcsinh erf exp expm1 log log1p sqrt abs square clamp clamp_min clamp_max clip softmax log_softmax
softmin"""
_NORMALISATIONS = "batch_norm instance_norm group_norm layer_norm rms_norm normalize local_response_norm"
_DROPOUTS = "dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout"
# Such as a pooling of stride 1, which is a part of its stage as a module, too.
_RESIZES = """max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d lp_pool1d lp_pool2d lp_pool3d
adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d
interpolate upsample channel_shuffle"""
_COPIES = "contiguous clone detach to type float double half bfloat16"
_KEEP_UNITS = frozenset(f"{_ACTIVATIONS} {_NORMALISATIONS} {_DROPOUTS} {_RESIZES} {_COPIES}".split())
_RESHAPES = frozenset(["view", "reshape", "unflatten", "view_as", "reshape_as", "flatten", "squeeze"])
_NEW_AXES = frozenset(["unsqueeze", "getitem"])  # h[:, :, None, None]
_MOVES = frozenset(["permute", "transpose", "movedim", "moveaxis", "swapaxes", "swapdims"])
# What makes images of another size of a decoder's output.
_ARRANGES = frozenset(["pixel_shuffle", "pixel_unshuffle", "pad", "narrow", "getitem", *_RESIZES.split()])
_FOLLOWED = _KEEP_UNITS | _RESHAPES | _NEW_AXES | _ARRANGES
_MAY_HAND_ON = frozenset([*_COPIES.split(), *_DROPOUTS.split()])  # what they are given, where there is nothing to do


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
    return str(name).strip("_").removeprefix("special_")


def belongs(name: str, source: Tensor, output: Tensor) -> bool:
    """Tells whether a function's output is still the activation of the stage whose activation it was given.

    A nonlinearity is, and a reshape of one row of units (n, units) into channels (n, channels, *positions).
    """
    if name in _NEW_AXES:
        longer = output.ndim > source.ndim and output.shape[:2] == source.shape[:2]
        return longer and source.shape[2:].numel() == output.shape[2:].numel() == 1
    if source.shape == output.shape:
        return name in _KEEP_UNITS or name in _RESHAPES
    return name in _RESHAPES and source.ndim == 2 < output.ndim and output.shape[:1] == source.shape[:1]


def may_hand_on(name: str) -> bool:
    """Tells whether a function may return the very tensor that it is given, as `h.float()` of single precision does.

    Such a call is of no stage: others may read the tensor besides, before and after.
    """
    return name in _MAY_HAND_ON


def arranges(name: str, source: Tensor, output: Tensor) -> bool:
    """Tells whether a function only makes images of another size of what a decoder gives, as a crop does."""
    if name not in _ARRANGES or source.ndim != output.ndim or source.shape[0] != output.shape[0]:
        return False
    return source.shape[1] == output.shape[1] or name not in ("getitem", "narrow")  # one of several channels is no crop


class FunctionRecorder(TorchFunctionMode):
    """Records the calls of functions that may belong to a stage, and how often each tensor is used.

    Attributes:
        uses: how many calls were given a tensor, by the tensor's id; those that return it itself are none.
        parameters: the parameters that calls were given, by id.
        origins: what functions copied, and the copy, by the memory of the copy.
        moved: tensors whose axes a call, also one inside a leaf module, put in another order, by id.
        unversioned: tensors of a model's own inference mode, which have no version, that were written over, by id.
        inside: how many leaf modules are running, whose own calls are not recorded.
    """

    def __init__(self, record: Callable[[str, Tensor, Tensor, int | None], None]):
        super().__init__()
        self._record = record
        self.uses: dict[int, int] = {}
        self._used: list[Tensor] = []  # held: the id of one that is let go is soon another's
        self.parameters: dict[int, nn.Parameter] = {}
        self.origins: dict[int, tuple[Tensor, Tensor]] = {}
        self.moved: set[int] = set()
        self.unversioned: set[int] = set()
        self.inside = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        source = args[0] if args else (kwargs or {}).get("input")
        before = version_of(source) if isinstance(source, Tensor) else None
        result = func(*args, **(kwargs or {}))
        name = function_name(func)
        in_place = result is source and getattr(func, "__name__", "").endswith("_")  # as add_ and __iadd__
        if in_place and name not in _FOLLOWED and before is None:
            self._used.append(result)
            self.unversioned.add(id(result))
        if name in _MOVES and isinstance(source, Tensor):
            self._used.append(source)
            self.moved.add(id(source))
        if self.inside == 0 and _holds_tensor(result):
            for argument in _tensors(args, kwargs):
                if argument is not result:  # as of dropout in eval mode, which reads nothing
                    self.use(argument)
                if isinstance(argument, nn.Parameter):
                    self.parameters[id(argument)] = argument
            if isinstance(source, Tensor) and isinstance(result, Tensor):
                handed_on = result is source and may_hand_on(name) and version_of(result) == before
                if name in _FOLLOWED and not handed_on:
                    self._record(name, source, result, before)
                if name in _COPIES or name in _RESHAPES or name == "getitem":
                    self._copied(source, result)
        return result

    def use(self, tensor: Tensor) -> None:
        """Counts one more call that was given a tensor."""
        self._used.append(tensor)
        self.uses[id(tensor)] = self.uses.get(id(tensor), 0) + 1

    def _copied(self, source: Tensor, copy: Tensor) -> None:
        if storage_of(source) != storage_of(copy):
            self.origins[storage_of(copy)] = source, copy

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


def version_of(tensor: Tensor) -> int | None:
    """Returns a tensor's version, by which in-place operations are noticed, or None of an inference tensor."""
    return None if tensor.is_inference() else tensor._version


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
