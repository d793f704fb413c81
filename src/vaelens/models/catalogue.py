"""The catalogue of objectives: what each is called, its hyperparameters and their ranges, and where it comes from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType
from typing import Any

from torch import Tensor

from vaelens.errors import VaelensError, unknown
from vaelens.models import objectives


@dataclass(frozen=True)
class Hyperparameter:
    """A number an objective is given."""

    name: str
    default: float
    low: float
    """The least value allowed."""
    high: float
    """The greatest value allowed."""
    meaning: str
    """What it does, in one line."""

    def check(self, value: Any) -> float:
        """The value as a float.

        Raises:
            VaelensError: if it is no number or out of range.
        """
        if isinstance(value, bool) or not isinstance(value, Real):
            raise VaelensError(f"{self.name} is {value!r}; expected a number from {self.low:g} to {self.high:g}")
        number = float(value)
        if not math.isfinite(number) or not self.low <= number <= self.high:
            raise VaelensError(f"{self.name} is {number:g}; expected a number from {self.low:g} to {self.high:g}")
        return number


@dataclass(frozen=True)
class Objective:
    """A line of the catalogue."""

    name: str
    function: Callable[..., dict[str, Tensor]]
    """Takes a `ForwardPass` and the hyperparameters by name, gives the terms of the loss."""
    hyperparameters: tuple[Hyperparameter, ...]
    formula: str
    source: str
    """Authors and year."""

    def resolve(self, values: Any) -> dict[str, float]:
        """All hyperparameters: the values given, checked, and the defaults of the rest.

        Raises:
            VaelensError: if one is unknown or out of range.

        Example:
            >>> CATALOGUE["beta-vae"].resolve({})
            {'beta': 4.0}
        """
        if values is None:
            values = {}
        if not isinstance(values, Mapping):
            raise VaelensError(f"hyperparameters are {values!r}; expected a dictionary of numbers by name")
        known = [hyperparameter.name for hyperparameter in self.hyperparameters]
        for name in values:
            if name not in known:
                raise unknown(f"hyperparameter of {self.name}", name, known)
        return {h.name: h.check(values.get(h.name, h.default)) for h in self.hyperparameters}


CATALOGUE: Mapping[str, Objective] = MappingProxyType(
    {
        objective.name: objective
        for objective in (
            Objective("vae", objectives.vae, (), "R + KL", "Kingma & Welling 2014"),
            Objective(
                "beta-vae",
                objectives.beta_vae,
                (Hyperparameter("beta", 4.0, 0.0, 1000.0, "weight of the KL divergence; 1 is the plain VAE"),),
                "R + beta·KL",
                "Higgins et al. 2017",
            ),
        )
    }
)


def find_objective(name: Any) -> Objective:
    """The objective of that name.

    Raises:
        VaelensError: if there is none.

    Example:
        >>> find_objective("beta-vae").source
        'Higgins et al. 2017'
    """
    if not isinstance(name, str) or name not in CATALOGUE:
        raise unknown("model", name, CATALOGUE)
    return CATALOGUE[name]
