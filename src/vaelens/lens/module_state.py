"""The state of a model's modules that a forward may change, noted before it and put back after it.

Noted are the attributes of every module, the buffers, parameters and modules it holds, generators of random numbers,
and whatever lies inside lists, dictionaries, sets and plain objects of the model's own package. Of tensors only those
that are known to be written in place are copied; whether another one was written is told by its version counter, in a
model's first runs by its values.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils.weak import WeakTensorKeyDictionary

from vaelens.lens.generators import generator_state, same_state, set_generator_state
from vaelens.lens.same_tensors import storage_of

_INTERNAL = frozenset(vars(nn.Module())) - {"training"}
_PLAIN = frozenset([type(None), bool, int, float, str])
_TORCH = "torch.nn.modules."
_UNCHANGING = _PLAIN | {tuple, torch.Size, torch.dtype}
_REGISTRIES = "_modules", "_non_persistent_buffers_set"  # which a forward that builds a part late writes to
_DEPTH = 4  # of containers inside containers

# Tensors that a forward of a model was seen to write in place, which are copied before each run, each with its version
# after its values were put back.
_written: WeakKeyDictionary[nn.Module, WeakTensorKeyDictionary] = WeakKeyDictionary()


class ModuleState:
    """What the modules of a model hold at one moment.

    Args:
        model: the model.
        copies: whether to copy every parameter, buffer and tensor attribute, so that one that is written in place can
            be restored although nothing is known of it yet; a model's first runs need it. Values are compared then:
            batch normalisation, and whatever writes to `.data`, leaves the version as it was.
    """

    def __init__(self, model: nn.Module, copies: bool = False):
        self._model = model
        self._modules = [
            (module, dict(vars(module)), dict(module._parameters), dict(module._buffers))
            for module in model.modules()
            if not isinstance(module, torch.jit.ScriptModule)
        ]
        self._packages = {type(module).__module__.partition(".")[0] for module, *_ in self._modules}
        # Each with a shallow copy of what is in it, and the module and attribute that it lies in.
        self._containers: list[tuple[Any, Any, tuple[nn.Module, str]]] = []
        self._arrays: list[tuple[np.ndarray, np.ndarray]] = []  # each with a copy, as they count no versions
        self._generators: list[tuple[Any, Any]] = []
        self._versions: list[tuple[Tensor, int]] = []
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}
        written = _written.get(model)
        seen: set[int] = set()
        for _, _, parameters, buffers in self._modules:
            for tensor in (*parameters.values(), *buffers.values()):
                self._note_tensor(tensor)
        for module, attributes, *_ in self._modules:
            of_torch = type(module).__module__.startswith(_TORCH)
            for name, value in attributes.items():
                # PyTorch's own layers keep nothing but what somebody else may have given them.
                if name not in _INTERNAL and (not of_torch or type(value) not in _UNCHANGING):
                    self._note(value, (module, name), seen, _DEPTH)
                elif name in _REGISTRIES and (value or not of_torch):
                    self._containers.append((value, _content(value, set()), (module, name)))
        if copies:
            for tensor, _ in self._versions:
                if not is_lazy(tensor):
                    self._copy(tensor)
        for tensor in () if written is None else list(written.keys()):
            self._copy(tensor)

    def restore(self) -> None:
        """Puts everything back as it was."""
        for module, attributes, parameters, buffers in self._modules:
            _restore_mapping(module._parameters, parameters)
            _restore_mapping(module._buffers, buffers)
            _restore_mapping(vars(module), attributes)
        for container, content, _ in self._containers:
            _restore_container(container, content)
        for generator, state in self._generators:
            set_generator_state(generator, state)
        for array, content in self._arrays:
            if not np.array_equal(array, content):
                array[...] = content
        for tensor, version in self._versions:
            if self._is_written(tensor, version):
                self._restore_values(tensor, counted=tensor._version != version)

    def drew(self) -> bool:
        """Tells whether a generator that the model holds has drawn."""
        return any(not same_state(state, generator_state(generator)) for generator, state in self._generators)

    def changed_names(self) -> list[str]:
        """Lists the dotted names of attributes and buffers that hold another object than they did, or other values."""
        written = {id(tensor) for tensor, version in self._versions if self._is_written(tensor, version)}
        prefixes = {module: f"{path}." if path else "" for path, module in self._model.named_modules()}
        names = []
        for module, attributes, _, buffers in self._modules:
            for now, before in ((vars(module), attributes), (module._buffers, buffers)):
                changed = [
                    name
                    for name, value in now.items()
                    if name not in before or before[name] is not value or id(value) in written
                ]
                names += [f"{prefixes[module]}{name}" for name in changed if name != "training"]
        names += [
            f"{prefixes[module]}{name}"
            for container, content, (module, name) in self._containers
            if not _same_content(container, content)
        ]
        return list(dict.fromkeys(names))

    def _note(self, value: Any, owner: tuple[nn.Module, str], seen: set[int], depth: int) -> None:
        if type(value) in _PLAIN or isinstance(value, nn.Module) or id(value) in seen:
            return
        if isinstance(value, Tensor):
            self._note_tensor(value)
        elif isinstance(value, np.ndarray):
            self._arrays.append((value, value.copy()))
        elif (state := generator_state(value)) is not None:
            self._generators.append((value, state))
        elif depth and (content := _content(value, self._packages)) is not None:
            seen.add(id(value))
            self._containers.append((value, content, owner))
            for inside in content.values() if isinstance(content, dict) else content:
                self._note(inside, owner, seen, depth - 1)

    def _note_tensor(self, tensor: Tensor | None) -> None:
        if isinstance(tensor, Tensor) and not tensor.is_inference():
            self._versions.append((tensor, tensor._version))

    def _is_written(self, tensor: Tensor, version: int) -> bool:
        copied = self._copies.get(id(tensor))
        return tensor._version != version or (copied is not None and not _same_values(tensor, copied[1]))

    def _copy(self, tensor: Tensor) -> None:
        with torch.no_grad():
            self._copies[id(tensor)] = tensor, tensor.detach().clone()

    def _restore_values(self, tensor: Tensor, counted: bool) -> None:
        """Writes a tensor's values back, and remembers to copy it before the next run.

        What was written past the version counter is put back past it, so that a loss computed before has its gradients.
        """
        written = _written.setdefault(self._model, WeakTensorKeyDictionary())
        written[tensor] = None
        if id(tensor) in self._copies:
            with torch.no_grad():
                values = self._copies[id(tensor)][1]
                if _same_kind(tensor, values):
                    (tensor if counted else tensor.data).copy_(values)
                else:  # whoever writes to `.data` may have put any other tensor there
                    tensor.data = values.clone()
            written[tensor] = tensor._version


def written_storages(model: nn.Module) -> set[int]:
    """Returns the memory of those of a model's tensors that a forward was seen to write in place."""
    return {storage_of(tensor) for tensor in list(_written.get(model, {}))}


def weights_watch(model: nn.Module) -> Callable[[], bool]:
    """Returns a function that tells whether a model's weights are others, or were written since, but by its forward."""
    written, weights = _written.get(model, {}), list(model.parameters())
    versions = [(weight, weight._version) for weight in weights if not (weight.is_inference() or weight in written)]

    def changed() -> bool:
        now = list(model.parameters())
        return (
            len(now) != len(weights)
            or not all(map(is_, now, weights))
            or any(
                weight._version != version and _written.get(model, {}).get(weight) != weight._version
                for weight, version in versions
            )
        )

    return changed


def _same_kind(tensor: Tensor, copied: Tensor) -> bool:
    return (tensor.shape, tensor.device, tensor.dtype) == (copied.shape, copied.device, copied.dtype)


def _same_values(tensor: Tensor, copied: Tensor) -> bool:
    """Tells whether the values are the same. On the meta device a tensor has none, and counts as the same."""
    if not _same_kind(tensor, copied):
        return False
    try:
        if torch.equal(tensor, copied):
            return True
        return tensor.is_floating_point() and torch.allclose(tensor, copied, rtol=0, atol=0, equal_nan=True)
    except (RuntimeError, NotImplementedError):
        return True


def _content(value: Any, packages: set[str]) -> Any:
    """Returns a shallow copy of what a container or a plain object holds, or None for anything else."""
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list | deque):
        return list(value)
    if isinstance(value, tuple):
        return value
    if isinstance(value, set):
        return set(value)
    kind = type(value)
    own = kind.__module__.partition(".")[0] in packages or kind.__module__ == "types"
    if own and hasattr(value, "__dict__") and not isinstance(value, type | Callable):
        return dict(vars(value))
    return None


def _same_content(container: Any, content: Any) -> bool:
    if isinstance(container, dict):
        return _same_mapping(container, content)
    if isinstance(container, list | deque):
        return len(container) == len(content) and all(a is b for a, b in zip(container, content, strict=True))
    if isinstance(container, tuple):
        return True
    if isinstance(container, set):
        return container == content
    return _same_mapping(vars(container), content)


def _same_mapping(mapping: dict, content: dict) -> bool:
    return (
        len(mapping) == len(content)
        and all(map(is_, mapping.values(), content.values()))
        and mapping.keys() == content.keys()
    )


def _restore_container(container: Any, content: Any) -> None:
    if _same_content(container, content):
        return
    if isinstance(container, OrderedDict):  # which notes its order beside what a dictionary holds
        OrderedDict.clear(container)
        OrderedDict.update(container, content)
    elif isinstance(container, dict):
        _restore_mapping(container, content)
    elif isinstance(container, list):
        list.__setitem__(container, slice(None), content)
    elif isinstance(container, deque):
        deque.clear(container)
        deque.extend(container, content)
    elif isinstance(container, set):
        set.clear(container)
        set.update(container, content)
    else:
        _restore_mapping(vars(container), content)


def _restore_mapping(mapping: dict, content: dict) -> None:
    if _same_mapping(mapping, content):
        return
    dict.clear(mapping)  # past whatever a subclass refuses
    dict.update(mapping, content)
