"""The schema of a result, which is a table of its variables with their dimensions, units, ranges and meanings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from vaelens.observation import Observation

ENDS = ("_low", "_high")  # of an interval
SLACK = 1e-6  # by which rounding may carry a value out of its range, relative to the range's end

ANY = (-math.inf, math.inf)
POSITIVE = (0.0, math.inf)
SHARE = (0.0, 1.0)


@dataclass(frozen=True)
class Variable:
    """One variable of a result.

    Attributes:
        name: as the Dataset holds it.
        dims: its dimensions.
        units: what it is measured in; "1" for a pure number.
        bounds: the least and the largest value that it can take.
        meaning: what it says, in a few words.
        interval: whether `<name>_low` and `<name>_high`, a 95 % interval, stand beside it.
        when: the condition under which a result has it; "" for always.
    """

    name: str
    dims: tuple[str, ...]
    units: str
    bounds: tuple[float, float]
    meaning: str
    interval: bool = True
    when: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        """The names that it takes in a Dataset, those of its interval's ends included."""
        return (self.name, *(self.name + end for end in ENDS)) if self.interval else (self.name,)


class Schema(Mapping[str, Variable]):
    """The variables of one kind of result, as a mapping from their names, those of intervals' ends included.

    Args:
        variables: in the order in which they are explained.
    """

    def __init__(self, *variables: Variable):
        self.variables = variables
        self._by_column = {column: variable for variable in variables for column in variable.columns}

    def __getitem__(self, column: str) -> Variable:
        return self._by_column[column]

    def __iter__(self):
        return iter(self._by_column)

    def __len__(self) -> int:
        return len(self._by_column)

    def dataset(self, variables: Mapping[str, tuple[Any, Any]], coords: Mapping[str, Any]) -> xr.Dataset:
        """Builds a Dataset of variables, (dimensions, values) by name, that says what each is.

        The ends of intervals are cut to what the variable can be.
        """
        columns: dict[str, xr.Variable] = {}
        for name, (dims, values) in variables.items():
            variable = self[name]
            assert tuple(dims) == variable.dims, f"{name} has dimensions {tuple(dims)}, not {variable.dims}"
            if name != variable.name:
                values = np.clip(values, *variable.bounds)
            columns[name] = xr.Variable(variable.dims, values, self.attributes(name))
        return xr.Dataset(columns, coords)

    def of(self, observation: Observation) -> "Schema":
        """Adapts the schema to observations of another kind than images, with their axes, units and words."""
        if observation.is_image:
            return self
        images = Observation.image((1, 1, 1)).axes
        return Schema(
            *(
                replace(
                    variable,
                    dims=(*variable.dims[:-3], *observation.axes) if variable.dims[-3:] == images else variable.dims,
                    units=observation.worded(variable.units),
                    meaning=observation.worded(variable.meaning),
                    interval=variable.interval or variable.name == "effect_map",
                )
                for variable in self.variables
            )
        )

    def attributes(self, column: str) -> dict[str, str]:
        """Returns the `long_name` and `units` of a variable, or of one end of its interval."""
        variable = self[column]
        end = {"_low": ", lower end of the 95 % interval", "_high": ", upper end of the 95 % interval"}
        return {"long_name": variable.meaning + end.get(column[len(variable.name) :], ""), "units": variable.units}

    def faults(self, effects: xr.Dataset) -> list[str]:
        """Lists everything in which a result departs from the schema, one sentence each."""
        faults = [f"{name} is not in the schema" for name in effects.data_vars if name not in self]
        for variable in self.variables:
            present = [column for column in variable.columns if column in effects]
            if len(present) not in (0, len(variable.columns)) or (not present and not variable.when):
                faults.append(f"{variable.name} should have {', '.join(variable.columns)}; there are {present}")
            for column in present:
                faults += self._faults_of(column, effects[column])
        return faults

    def _faults_of(self, column: str, values: xr.DataArray) -> list[str]:
        variable = self[column]
        faults = []
        if values.dims != variable.dims:
            faults.append(f"{column} has dimensions {values.dims}, not {variable.dims}")
        if values.attrs != self.attributes(column):
            faults.append(f"{column} says {values.attrs}, not {self.attributes(column)}")
        low, high = variable.bounds
        numbers = values.values[np.isfinite(values.values)]
        slack = SLACK * max([abs(end) for end in variable.bounds if math.isfinite(end)], default=0) + 1e-9
        if numbers.size and (numbers.min() < low - slack or numbers.max() > high + slack):
            faults.append(f"{column} goes from {numbers.min()} to {numbers.max()}, out of {variable.bounds}")
        return faults
