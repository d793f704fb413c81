"""The bounds of a sweep, in which the model stays one and the same."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from vaelens.lens import Lens

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def one_sweep(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Makes a function of one lens, or of several, a sweep, which begins by comparing steps with the model.

    The model may have been changed since the last one. Where its weights change while one runs, that is an error.
    """

    @functools.wraps(function)
    def swept(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        given = args[0] if args else kwargs.get("lens")
        lenses = given if isinstance(given, list | tuple) else [given]
        ends = [lens.engine.parts.begin() for lens in lenses if isinstance(lens, Lens)]
        result = function(*args, **kwargs)  # which says what is no lens
        for end in ends:
            end()
        return result

    return swept
