"""Which files of a folder a study wrote, so that none of a user's own is replaced under the same name."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vaelens.errors import VaelensError


def refuse_others(folder: Path, own: Mapping[str, Sequence[str]]) -> None:
    """Refuses to replace files that no study wrote.

    Args:
        folder: where files are to be written.
        own: their names, each with the columns (of a table) or the fields (of a list of records in JSON) that a study's
            file of that name has.

    Raises:
        VaelensError: a file of such a name is there, and lacks them.
    """
    others = [name for name, fields in own.items() if (folder / name).exists() and not _has(folder / name, fields)]
    if others:
        raise VaelensError(
            f"{str(folder)!r} holds {', '.join(others)}, which {'is' if len(others) == 1 else 'are'} none of a study's "
            "results; give another folder, or move what is there away"
        )


def _has(path: Path, fields: Sequence[str]) -> bool:
    with suppress(OSError, ValueError, TypeError, NotImplementedError):
        if path.suffix == ".parquet":
            from pyarrow import parquet

            there = parquet.read_schema(path).names
        elif path.suffix == ".json":
            there = set.intersection(*(set(record) for record in json.loads(path.read_text(encoding="utf-8"))))
        else:
            with path.open(encoding="utf-8") as file:
                there = file.readline().strip().split(",")
        return set(fields) <= set(there)
    return False
