"""A second device, on any machine: tensors that lie elsewhere, refuse to meet those of the CPU, and say what waits.

Every operation is carried out by the CPU, on what a tensor of this device holds. A tensor of the CPU beside one from
elsewhere is refused, as a GPU refuses it. What makes the host wait for a GPU is counted: a number read, a copy to the
host, an index whose length is found out.
"""

import collections
import contextlib

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

_setup_privateuseone_for_python_backend("elsewhere")
ELSEWHERE = torch.device("elsewhere", 0)
waits = collections.Counter()

# What takes tensors of the CPU beside those of a GPU: copies, and indices.
_MEETS = {"copy_", "_to_copy", "index", "index_put", "index_put_", "_index_put_impl_"}
_FINDS_OUT = {"nonzero", "masked_select", "_unique2", "unique_dim", "_local_scalar_dense", "is_nonzero", "equal"}


class ElsewhereTensor(torch.Tensor):
    """A tensor that lies elsewhere."""

    without_doubles = False

    @staticmethod
    def __new__(cls, contents):
        if cls.without_doubles and contents.dtype == torch.float64:
            raise TypeError("there is no double precision elsewhere")
        wrapper = torch.Tensor._make_wrapper_subclass(
            cls,
            contents.size(),
            strides=contents.stride(),
            storage_offset=contents.storage_offset(),
            dtype=contents.dtype,
            device=ELSEWHERE,
        )
        wrapper.contents = contents
        return wrapper

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        return _carried_out(operation, args, kwargs or {})

    def untyped_storage(self):
        return self.contents.untyped_storage()

    __torch_function__ = torch._C._disabled_torch_function_impl


class _Everywhere(TorchDispatchMode):
    """Operations that are given no tensor, and are told to make one elsewhere."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        return _carried_out(operation, args, kwargs or {})


def _contents(value):
    return value.contents if isinstance(value, ElsewhereTensor) else value


def _mapped(function, value):
    """A value, or what a list or tuple holds, mapped."""
    if isinstance(value, list | tuple):
        return type(value)(_mapped(function, element) for element in value)
    return function(value)


def _tensors(values):
    for value in values:
        if isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, torch.Tensor):
            yield value


def _carried_out(operation, args, kwargs):
    name = operation.overloadpacket.__name__
    tensors = list(_tensors((*args, *kwargs.values())))
    elsewhere = [tensor for tensor in tensors if isinstance(tensor, ElsewhereTensor)]
    on_cpu = [tensor for tensor in tensors if not isinstance(tensor, ElsewhereTensor) and tensor.ndim > 0]
    if elsewhere and on_cpu and name not in _MEETS:
        raise RuntimeError(f"{operation}: tensors of elsewhere beside tensors of the CPU")
    device = kwargs.get("device")
    leaves = bool(elsewhere) and device is not None and torch.device(device).type != "elsewhere"
    if device is not None and torch.device(device).type == "elsewhere":
        kwargs = kwargs | {"device": torch.device("cpu")}
        stays = True
    else:
        stays = bool(elsewhere) and not leaves and name not in ("_local_scalar_dense", "is_nonzero", "equal")
    if _waits(name, args, kwargs, elsewhere, on_cpu, leaves, stays):
        waits[name] += 1
    result = operation(*_mapped(_contents, args), **{key: _mapped(_contents, value) for key, value in kwargs.items()})
    if name == "copy_":
        return args[0]
    if not stays:
        return result
    arguments = {id(tensor.contents): tensor for tensor in elsewhere}  # changed in place: the tensor that it was

    def wrapped(value):
        if not isinstance(value, torch.Tensor):
            return value
        return arguments[id(value)] if id(value) in arguments else ElsewhereTensor(value)

    return _mapped(wrapped, result)


def _waits(name, args, kwargs, elsewhere, on_cpu, leaves, stays):
    """Whether the host waits until a GPU has come so far."""
    if name == "_to_copy":
        return leaves or (stays and not elsewhere and not kwargs.get("non_blocking"))
    if name == "copy_":
        return bool(elsewhere) and (bool(on_cpu) and not (len(args) > 2 and args[2]))
    masks = [tensor for tensor in (*elsewhere, *on_cpu) if tensor.dtype == torch.bool]
    if name in ("index", "index_put_", "_index_put_impl_") and elsewhere:
        return any(mask is not args[0] for mask in masks)
    return bool(elsewhere) and name in _FINDS_OUT


def _empty(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return ElsewhereTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy(source, into, non_blocking=False):
    waits["copy_"] += not non_blocking
    _contents(into).copy_(_contents(source))
    return into


# What PyTorch calls past the mode, where Python numbers become a tensor of the device.
_library = torch.library.Library("aten", "IMPL")
_library.impl("empty_strided", _empty, "PrivateUse1")
_library.impl("_copy_from", _copy, "PrivateUse1")


@contextlib.contextmanager
def reachable():
    """While it lasts, tensors can be made elsewhere."""
    tensor, as_tensor, new_tensor = torch.tensor, torch.as_tensor, torch.Tensor.new_tensor

    def placed(make):
        def placing(data, *args, device=None, **kwargs):
            if isinstance(data, ElsewhereTensor):
                return data.to(device or data.device, kwargs.get("dtype") or data.dtype)
            tensor = make(data, *args, **kwargs)
            return tensor if device is None else tensor.to(device)

        return placing

    torch.tensor, torch.as_tensor = placed(tensor), placed(as_tensor)
    torch.Tensor.new_tensor = lambda self, data: tensor(data, dtype=self.dtype).to(self.device)
    try:
        with _Everywhere():
            yield
    finally:
        torch.tensor, torch.as_tensor, torch.Tensor.new_tensor = tensor, as_tensor, new_tensor
