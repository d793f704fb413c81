"""Linear layers in faster forms: channels last, transposed convolutions as others, and the update of a few units.

All are exact but for rounding. Which form wins hangs on the machine; `choice.py` measures it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from vaelens.lens.incremental.steps import Step

LINEAR, CONVOLUTION, TRANSPOSED = "linear", "convolution", "transposed convolution"
FORMS = PLAIN, CHANNELS_LAST, SUB_PIXEL, SCATTERED = "plain", "channels last", "sub-pixel", "scattered"

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


@dataclass(eq=False)
class Layer:
    """A linear layer: a step, with its weights where the model has them.

    Attributes:
        kind: linear, convolution or transposed convolution.
        data: the step that it is applied to.
        weight: reads its weights.
        bias: reads its bias, or gives None.
        options: stride, padding and the like, by name.
        form: how it is computed.
    """

    kind: str
    data: Step
    weight: Callable[[], Tensor]
    bias: Callable[[], Tensor | None]
    options: dict[str, Any]
    form: str = PLAIN
    _prepared: tuple[Any, Tensor, Tensor | None] | None = field(default=None, repr=False)

    @property
    def axes(self) -> int:
        """How many axes the data has for one image where columns are its first."""
        return 1 if self.kind == LINEAR else 3

    @property
    def forms(self) -> tuple[str, ...]:
        """The forms that it can take."""
        if self.kind == LINEAR:
            return (PLAIN,)
        return FORMS if self._splits() else (PLAIN, CHANNELS_LAST)

    def __call__(self, values: Any) -> Tensor:
        """Its value, in place of its step's call."""
        return self.apply(values[self.data])

    def apply(self, data: Tensor) -> Tensor:
        """(n, inputs, …) to (n, outputs, …)."""
        if self.form == PLAIN:
            return self._operation(data, self.weight(), self.bias())
        weight, bias = self._in_form()
        data = data.contiguous(memory_format=torch.channels_last)
        if self.form == CHANNELS_LAST:
            return self._operation(data, weight, bias)
        phases = self._convolved(data, weight, bias) if self.form == SUB_PIXEL else self._scattered(data, weight, bias)
        return self._interleaved(phases, data)

    @property
    def updatable(self) -> bool:
        """Whether the change by some of its inputs can be computed by itself."""
        return self.options.get("groups", 1) == 1

    def update(self, change: Tensor, columns: Tensor | slice | list[int]) -> Tensor:
        """What a change of some inputs adds to the output, without the bias.

        Args:
            change: (m, columns) or (m, columns, height, width).
            columns: which inputs they are.
        """
        weight = self.weight()[columns] if self.kind == TRANSPOSED else self.weight()[:, columns]
        if self.form != PLAIN and self.kind != LINEAR:
            weight, change = (t.contiguous(memory_format=torch.channels_last) for t in (weight, change))
        return self._operation(change, weight, None)

    def _operation(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.kind == LINEAR:
            return functional.linear(data, weight, bias)
        if self.kind == CONVOLUTION:
            return functional.conv2d(data, weight, bias, **self.options)
        return functional.conv_transpose2d(data, weight, bias, **self.options)

    def forget(self) -> None:
        """Have the weights put in form anew when they are next used."""
        self._prepared = None

    def _in_form(self) -> tuple[Tensor, Tensor | None]:
        """Weights and bias as the form wants them, made anew when the model's own have changed."""
        weight, bias = self.weight(), self.bias()
        state = (self.form, *(_state(tensor) for tensor in (weight, bias)))
        if self._prepared is None or self._prepared[0] != state:
            made, with_bias = self._split(weight, bias) if self.form == SUB_PIXEL else (weight, bias)
            if self.form != SCATTERED:
                made = made.contiguous(memory_format=torch.channels_last)
            self._prepared = state, made, with_bias
        return self._prepared[1:]

    # A transposed convolution with stride s and a kernel of s · m taps: out[s·u + r − p] = Σ_t in[u − t] w[r + s·t], so
    # each remainder r is a convolution with m taps of its own; their outputs are interleaved and p is cut off. Where
    # the outputs are too few for a fast convolution, all products in[v] w[r + s·t] are made by one matrix product, and
    # summed.

    def _splits(self) -> bool:
        if self.kind != TRANSPOSED or self.options.get("groups", 1) != 1:
            return False
        strides, dilations = _pair(self.options["stride"]), _pair(self.options["dilation"])
        kernel, extra, cut = (
            self.weight().shape[2:],
            _pair(self.options["output_padding"]),
            _pair(self.options["padding"]),
        )
        return (
            strides[0] == strides[1] > 1
            and dilations == (1, 1)
            and kernel[0] == kernel[1]
            and kernel[0] % strides[0] == 0
            and all(more <= less for more, less in zip(extra, cut, strict=True))
        )

    def _split(self, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        stride = _pair(self.options["stride"])[0]
        inputs, outputs, size, _ = weight.shape
        taps = size // stride
        by_phase = weight.detach().reshape(inputs, outputs, taps, stride, taps, stride).flip(2, 4)
        made = by_phase.permute(1, 3, 5, 0, 2, 4).reshape(outputs * stride**2, inputs, taps, taps)
        return made, None if bias is None else bias.detach().repeat_interleave(stride**2)

    def _convolved(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The phases (n, outputs, s, s, h + m − 1, w + m − 1), by a convolution."""
        stride = _pair(self.options["stride"])[0]
        phases = functional.conv2d(data, weight, bias, padding=weight.shape[-1] - 1)
        return phases.unflatten(1, (-1, stride, stride))

    def _scattered(self, data: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The same, by a product and its sums."""
        stride = _pair(self.options["stride"])[0]
        inputs, outputs, size, _ = weight.shape
        taps, (height, width) = size // stride, data.shape[2:]
        flat = data.permute(0, 2, 3, 1).flatten(1, 2).transpose(1, 2)  # (n, inputs, h · w), not copied
        # Of one matrix with many, matmul would make one product, and copy it to turn its axes.
        products = torch.bmm(weight.reshape(inputs, -1).t().expand(len(data), -1, -1), flat)
        products = products.view(-1, outputs, taps, stride, taps, stride, height, width).transpose(3, 4)
        precise = torch.promote_types(products.dtype, torch.float32)
        shape = (len(data), outputs, stride, stride, height + taps - 1, width + taps - 1)
        if bias is None:
            phases = products.new_zeros(shape, dtype=precise)
        else:
            phases = bias.to(precise).view(-1, 1, 1, 1, 1).expand(shape).contiguous()
        for a in range(taps):
            for b in range(taps):
                phases[..., a : a + height, b : b + width] += products[:, :, a, b]
        return phases.to(products.dtype)

    def _interleaved(self, phases: Tensor, data: Tensor) -> Tensor:
        """The output, of which row s·u + r − p is row u of phase r."""
        _, outputs, stride, _, _, _ = phases.shape
        cut, extra = _pair(self.options["padding"]), _pair(self.options["output_padding"])
        size = self.weight().shape[-1]
        height, width = (
            (side - 1) * stride - 2 * p + size + more for side, p, more in zip(data.shape[2:], cut, extra, strict=True)
        )
        layout = torch.contiguous_format if outputs == 1 else torch.channels_last
        whole = torch.empty(
            (len(data), outputs, height, width), dtype=phases.dtype, device=phases.device, memory_format=layout
        )
        for r in range(stride):
            rows, up = _phase(r, stride, cut[0], height)
            for t in range(stride):
                columns, along = _phase(t, stride, cut[1], width)
                whole[:, :, rows, columns] = phases[:, :, r, t, up, along]
        return whole


def _phase(remainder: int, stride: int, cut: int, size: int) -> tuple[slice, slice]:
    """Which of `size` rows of the output a phase gives, and from which of its own."""
    first = -(-(cut - remainder) // stride)  # the first row of the phase that is not cut off
    start = first * stride + remainder - cut
    return slice(start, size, stride), slice(first, first + len(range(start, size, stride)))


def layer_of(step: Step) -> Layer | None:
    """The linear layer that a step is; None for anything else, and for layers with tricks of their own."""
    if step.module is not None:
        return _module_layer(step.module, step)
    if step.call not in _OPERATIONS:
        return None
    kind, names = _OPERATIONS[step.call]
    given = dict(zip(("input", "weight", "bias", *names), step.args, strict=False)) | step.kwargs
    data, weight, bias = (given.pop(name, None) for name in ("input", "weight", "bias"))
    if not isinstance(data, Step) or not (isinstance(weight, Step) and weight.state):
        return None
    if not (bias is None or (isinstance(bias, Step) and bias.state)) or any(
        isinstance(v, Step) for v in given.values()
    ):
        return None
    options = _complete(kind, given)
    return Layer(kind, data, _read(weight), (lambda: None) if bias is None else _read(bias), options)


def _module_layer(module: nn.Module, step: Step) -> Layer | None:
    kind = _MODULES.get(type(module))  # not of a subclass, which may do more
    if kind is None or is_parametrized(module) or len(step.args) != 1 or step.kwargs:
        return None
    if module._forward_hooks or module._forward_pre_hooks or getattr(module, "padding_mode", "zeros") != "zeros":
        return None
    names = next((names for other, names in _OPERATIONS.values() if other == kind), ())
    options = {name: getattr(module, name) for name in names}
    return Layer(kind, step.args[0], lambda: _tensor(module.weight), lambda: module.bias, options)  # pyright: ignore


def _read(step: Step) -> Callable[[], Tensor]:
    """Reads the parameter that a step reads."""
    return lambda: _tensor(step({}))


def _tensor(value: Any) -> Tensor:
    assert isinstance(value, Tensor), "a layer's weights are a tensor"
    return value


def _complete(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if kind == LINEAR:
        return {}
    defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
    return defaults | ({"output_padding": 0} if kind == TRANSPOSED else {}) | given


def _pair(value: Any) -> tuple[int, int]:
    values = (value,) * 2 if isinstance(value, int) else tuple(value)
    return (values[0], values[-1])


def _state(tensor: Tensor | None) -> tuple[int, int] | None:
    """Changes when a tensor's numbers do, or another is put in its place."""
    if tensor is None:
        return None
    return (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version)
