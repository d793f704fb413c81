"""Linear layers in faster forms.

These are channels last, transposed convolutions as one product, and the update of a few units. All are exact but for
rounding. `choice.py` says which layer takes which.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from vaelens.lens.incremental.steps import Step
from vaelens.lens.incremental.transposed import Splitting, splitting

LINEAR, CONVOLUTION, TRANSPOSED = "linear", "convolution", "transposed convolution"
FORMS = PLAIN, CHANNELS_LAST, SCATTERED = "plain", "channels last", "scattered"

_aten = torch.ops.aten
# By the operation: the kind, and the names of its arguments after data, weight and bias.
_OPERATIONS: dict[Any, tuple[str, tuple[str, ...]]] = {
    functional.linear: (LINEAR, ()),
    _aten.linear.default: (LINEAR, ()),
    **dict.fromkeys(
        (functional.conv2d, _aten.conv2d.default, _aten.conv2d.padding),
        (CONVOLUTION, ("stride", "padding", "dilation", "groups")),
    ),
    **dict.fromkeys(
        (functional.conv_transpose2d, _aten.conv_transpose2d.input),
        (TRANSPOSED, ("stride", "padding", "output_padding", "groups", "dilation")),
    ),
}
_MODULES = {nn.Linear: LINEAR, nn.Conv2d: CONVOLUTION, nn.ConvTranspose2d: TRANSPOSED}
_FORWARDS = frozenset(module.__module__ for module in _MODULES)


@dataclass(eq=False)
class Layer:
    """A linear layer, which is a step with its weights where the model has them.

    Attributes:
        kind: linear, convolution or transposed convolution.
        data: the step that it is applied to.
        weight: reads its weights.
        bias: reads its bias, or gives None.
        options: stride, padding and the like, by name.
        form: how it is computed.
        module: the module that it is, if it is one.
    """

    kind: str
    data: Step
    weight: Callable[[], Tensor]
    bias: Callable[[], Tensor | None]
    options: dict[str, Any]
    form: str = PLAIN
    module: nn.Module | None = None
    _prepared: tuple[Any, Callable[[Tensor], Tensor]] | None = field(default=None, repr=False)

    @property
    def axes(self) -> int:
        """How many axes the data of one image has where its columns are the first."""
        return 1 if self.kind == LINEAR else 3

    @property
    def outputs(self) -> int:
        """How many units come out of it."""
        weight = self.weight()
        return weight.shape[1] * self.options.get("groups", 1) if self.kind == TRANSPOSED else len(weight)

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that it can take."""
        if self.kind == LINEAR:
            return (PLAIN,)
        return (PLAIN, CHANNELS_LAST) if self._splitting is None else FORMS

    def __call__(self, values: Any) -> Tensor:
        """Computes its value, in place of its step's call."""
        return self.apply(values[self.data])

    def apply(self, data: Tensor) -> Tensor:
        """Maps data (n, inputs, …) to (n, outputs, …)."""
        if self.form == PLAIN:
            return self._operation(data, self.weight(), self.bias())
        return self._in_form()(_channels_last(data))

    @property
    def outdated(self) -> bool:
        """Whether its module has been set to do something else since, as with another stride or padding."""
        return self.module is not None and _options_of(self.module, self.kind) != self.options

    @property
    def updatable(self) -> bool:
        """Whether the change by some of its inputs can be computed by itself."""
        return self.options.get("groups", 1) == 1

    def update(self, change: Tensor, columns: Tensor | slice | list[int]) -> Tensor:
        """Computes what a change of some inputs adds to the output, without the bias.

        Args:
            change: (m, columns) or (m, columns, height, width).
            columns: which inputs they are.
        """
        weight = self.weight()[columns] if self.kind == TRANSPOSED else self.weight()[:, columns]
        if self.form != PLAIN and self.kind != LINEAR:
            weight, change = _channels_last(weight), _channels_last(change)
        return self._operation(change, weight, None)

    def _operation(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.kind == LINEAR:
            return functional.linear(data, weight, bias)
        if self.kind == CONVOLUTION:
            return functional.conv2d(data, weight, bias, **self.options)
        return functional.conv_transpose2d(data, weight, bias, **self.options)

    def forget(self) -> None:
        """Discards the weights in form, so that they are laid out anew when they are next used."""
        self._prepared = None

    @property
    def _splitting(self) -> Splitting | None:
        return splitting(self.weight(), self.options) if self.kind == TRANSPOSED else None

    def _in_form(self) -> Callable[[Tensor], Tensor]:
        """Returns what it does in its form, with weights laid out anew when the model's own have changed."""
        weight, bias = self.weight(), self.bias()
        state = (self.form, *(_state(tensor) for tensor in (weight, bias)))
        prepared = self._prepared
        if prepared is None or prepared[0] != state:
            prepared = self._prepared = state, self._laid_out(weight, bias)
        return prepared[1]

    def _laid_out(self, weight: Tensor, bias: Tensor | None) -> Callable[[Tensor], Tensor]:
        if self.form == CHANNELS_LAST:
            last = weight.contiguous(memory_format=torch.channels_last)
            return lambda data: self._operation(data, last, bias)
        split = self._splitting
        assert split is not None, "only what falls into phases is scattered"
        prepared = split.prepared(weight, bias)
        return lambda data: split.apply(data, prepared)


def _channels_last(values: Tensor) -> Tensor:
    """Lays out values (n, channels, h, w) with the channels last in memory.

    A single channel lies there the same either way, and a layer would return its result channels first, to be turned
    by the next layer: its strides have to say that it is meant to be last.
    """
    last = values.contiguous(memory_format=torch.channels_last)
    _, channels, height, width = last.shape
    return last if channels > 1 else last.as_strided(last.shape, (height * width, 1, width, 1))


def layer_of(step: Step) -> Layer | None:
    """Returns the linear layer that a step is, or None for anything else and for a layer that may do more than that."""
    if step.module is not None:
        return _module_layer(step.module, step)
    if step.call not in _OPERATIONS:
        return None
    kind, names = _OPERATIONS[step.call]
    arguments = dict(zip(("input", "weight", "bias", *names), step.args, strict=False)) | step.kwargs
    data, weight, bias = (arguments.pop(name, None) for name in ("input", "weight", "bias"))
    if not isinstance(data, Step) or not (isinstance(weight, Step) and weight.state):
        return None
    if not (bias is None or (isinstance(bias, Step) and bias.state)) or any(
        isinstance(argument, Step) for argument in arguments.values()
    ):
        return None
    options = _complete(kind, arguments)
    return Layer(kind, data, _read(weight), (lambda: None) if bias is None else _read(bias), options)


def _module_layer(module: nn.Module, step: Step) -> Layer | None:
    kind = _MODULES.get(type(module))  # not of a subclass, which may do more
    if kind is None or is_parametrized(module) or len(step.args) != 1 or step.kwargs:
        return None
    options = _options_of(module, kind)
    if module._forward_hooks or module._forward_pre_hooks or options is None:  # it may do more, too
        return None
    weight, bias = (lambda: _tensor(module.weight)), (lambda: module.bias)
    return Layer(kind, step.args[0], weight, bias, options, module=module)  # pyright: ignore[reportArgumentType]


def _options_of(module: nn.Module, kind: str) -> dict[str, Any] | None:
    """Reads a layer's stride, padding and the like, or returns None where it does something else than PyTorch's."""
    forward = getattr(type(module).forward, "__globals__", {})  # also where a decorator has given it PyTorch's name
    if forward.get("__name__") not in _FORWARDS or not {"forward", "_conv_forward"}.isdisjoint(vars(module)):
        return None
    if getattr(module, "padding_mode", "zeros") != "zeros":
        return None
    names = next((names for other, names in _OPERATIONS.values() if other == kind), ())
    return {name: getattr(module, name) for name in names}


def _read(step: Step) -> Callable[[], Tensor]:
    """Returns a function that reads the parameter of a step."""
    return lambda: _tensor(step({}))


def _tensor(value: Any) -> Tensor:
    assert isinstance(value, Tensor), "a layer's weights are a tensor"
    return value


def _complete(kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if kind == LINEAR:
        return {}
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return defaults | ({"output_padding": 0} if kind == TRANSPOSED else {}) | arguments


def _state(tensor: Tensor | None) -> tuple[int, int] | None:
    """Returns what changes when a tensor's numbers do, or another is put in its place."""
    if tensor is None:
        return None
    return (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
