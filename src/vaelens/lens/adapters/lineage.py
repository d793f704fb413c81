"""The classes of a package that a model descends from, told by their names without importing the package."""

from collections.abc import Collection

from torch import nn


def lineage(model: object, package: str) -> tuple[str, ...]:
    """Lists by name the classes of a package that a model is an instance of, the nearest first. Empty for none.

    Example:
        >>> lineage(nn.Conv2d(1, 1, 1), "torch"), lineage(nn.Conv2d(1, 1, 1), "diffusers")
        (('Conv2d', '_ConvNd', 'Module'), ())
    """
    return tuple(kind.__name__ for kind in type(model).__mro__ if _package(kind) == package)


def overridden(model: nn.Module, package: str, methods: Collection[str]) -> str | None:
    """Returns the first of some methods that a class outside the package defines anew, or None where there is none."""
    for method in methods:
        definer = next((kind for kind in type(model).__mro__ if method in vars(kind)), None)
        if definer is not None and _package(definer) != package:
            return method
    return None


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]
