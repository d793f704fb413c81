"""A function of the user's that returns a lens, named as package.module:function."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaelens.cli.sources.reason import reason
from vaelens.errors import VaelensError, unknown

if TYPE_CHECKING:
    from vaelens.lens import Lens


def call(module: str, function: str) -> "Lens":
    """Imports a module, with the current folder on the path as Python itself has it, and calls its function.

    Raises:
        VaelensError: no such module or function, one that takes arguments or raises, or returns something else.
    """
    from vaelens.lens import Lens

    make = _imported(module, function)
    try:
        inspect.signature(make).bind()
    except TypeError as error:
        raise VaelensError(
            f"{module}:{function} takes arguments ({error}); expected a function that is called without any"
        ) from error
    try:
        lens = make()
    except (Exception, SystemExit) as error:
        raise VaelensError(f"{module}:{function} raised {_said(error)}; --debug shows where") from error
    if not isinstance(lens, Lens):
        raise VaelensError(
            f"{module}:{function} returned a {type(lens).__name__}; expected a lens: return vl.Lens(...)"
        )
    return lens


def _imported(module: str, function: str) -> Callable[[], Any]:
    if str(Path.cwd()) not in sys.path and "" not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        namespace = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):  # something that the module imports
            raise VaelensError(f"importing {module} failed: {_said(error)}; --debug shows where") from error
        raise VaelensError(
            f"there is no module {error.name!r}, neither installed nor in {str(Path.cwd())!r}; start vaelens in the "
            "folder that the module is in"
        ) from error
    except (Exception, SystemExit) as error:
        raise VaelensError(f"importing {module} failed: {_said(error)}; --debug shows where") from error
    if not hasattr(namespace, function):
        own = [name for name, value in vars(namespace).items() if inspect.isfunction(value) and name[0] != "_"]
        raise unknown(f"function of {module}", function, own)
    make = getattr(namespace, function)
    if not callable(make):
        raise VaelensError(
            f"{module}:{function} is a {type(make).__name__}; expected a function that returns a vl.Lens"
        )
    return make


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {reason(error)}" if str(error) else type(error).__name__
