"""A cell of a study, which is one model trained on one dataset from one seed, and analysed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LONG = 16  # hexadecimal digits of a name


@dataclass(frozen=True)
class Cell:
    """What one cell is to do.

    Attributes:
        dataset: what its dataset is called in the study.
        model: what its model is called in the study.
        seed: of first weights, batches and noise.
        configuration: everything in the plan that determines its numbers, of types that JSON holds.
    """

    dataset: str
    model: str
    seed: int
    configuration: Mapping[str, Any]

    @property
    def path(self) -> Path:
        """Where its results lie, in the folder of the study."""
        return Path("runs") / self.dataset / self.model / str(self.seed)

    @property
    def title(self) -> str:
        """How it is spoken of."""
        return f"{self.dataset}/{self.model}/{self.seed}"

    def name(self, data: str, version: str) -> str:
        """Returns the cell's name, a hash of all that its numbers depend on.

        Args:
            data: the data's hash.
            version: the package's.

        Example:
            >>> cell = Cell("sprites", "vae", 0, {"seed": 0})
            >>> cell.name("a3", "0.1") == cell.name("a3", "0.1"), cell.name("a3", "0.1") == cell.name("b4", "0.1")
            (True, False)
        """
        return hash_of(self.record(data, version))

    def record(self, data: str, version: str) -> dict[str, Any]:
        """Records all that its numbers depend on."""
        return {"configuration": dict(self.configuration), "data": data, "vaelens": version}


def hash_of(record: Mapping[str, Any]) -> str:
    """Hashes a record of plain values, in whatever order its fields stand."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_LONG]


def differences(before: Mapping[str, Any], now: Mapping[str, Any], within: str = "") -> list[str]:
    """Lists the fields in which two records differ, nested ones by their path.

    Example:
        >>> differences({"training": {"steps": 100}, "data": "a"}, {"training": {"steps": 200}, "data": "a"})
        ['training.steps was 100 and is 200']
    """
    changed = []
    for field in sorted({*before, *now}):
        first, second = before.get(field), now.get(field)
        path = f"{within}{field}"
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            changed += differences(first, second, f"{path}.")
        elif first != second:
            changed.append(f"{path} was {_shown(first)} and is {_shown(second)}")
    return changed


def _shown(value: Any) -> str:
    return "not there" if value is None else json.dumps(value, ensure_ascii=False)[:80]
