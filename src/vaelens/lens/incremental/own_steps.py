"""Steps that are PyTorch's own, which in eval mode assign nothing and draw from its random state alone."""

from collections.abc import Iterable

import torch
from torch import nn

from vaelens.lens.incremental.steps import Step

_LAYERS = "torch.nn.modules."
_FUNCTIONS = frozenset(["torch", "_operator", "math", "builtins", __name__.partition(".")[0]])
_OPERATIONS = frozenset(["aten", "prims"])
# These choose a kernel by settings of the process, which are the whole model's to set.
_CHOOSING = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder)


def own_modules(steps: Iterable[Step]) -> tuple[nn.Module, ...] | None:
    """Returns the modules that steps call where all are PyTorch's own, or None where one may do anything else.

    Example:
        >>> relu, own = nn.ReLU(), type("Own", (nn.ReLU,), {})()
        >>> own_modules([Step("x"), Step("relu", relu, module=relu), Step("exp", torch.exp)])
        (ReLU(),)
        >>> own_modules([Step("x"), Step("own", own, module=own)]) is None
        True
    """
    modules: dict[nn.Module, None] = {}
    for step in steps:
        if step.module is not None:
            if not _is_layer(step.module):
                return None
            modules[step.module] = None
        elif step.call is not None and not step.state and not _is_function(step.call):
            return None
    return tuple(modules)


def _is_layer(module: nn.Module) -> bool:
    own = type(module).__module__.startswith(_LAYERS) and not isinstance(module, _CHOOSING)
    return own and "forward" not in vars(module)  # one that is put in its place may do anything


def _is_function(call: object) -> bool:
    if isinstance(call, torch._ops.OpOverload):
        return call.namespace in _OPERATIONS
    return (getattr(call, "__module__", None) or "").partition(".")[0] in _FUNCTIONS
