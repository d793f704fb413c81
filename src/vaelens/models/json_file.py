"""The JSON file that tells what a folder's model is."""

import json
from pathlib import Path
from typing import Any

from vaelens.errors import VaelensError

_LONGEST = 2**20  # bytes; a model's takes some thousand


def read_json(path: Path) -> dict[str, Any]:
    """Reads the object in a JSON file.

    Raises:
        VaelensError: if the file cannot be read, is longer than 1 MiB, or holds something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        if len(content) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST:,} bytes")
        value = json.loads(content.decode("utf-8"))
    except RecursionError as error:
        raise VaelensError(f"{str(path)!r} is nested too deeply to be a config; save the model again") from error
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise VaelensError(f"{str(path)!r} cannot be read as JSON ({reason}); save the model again") from error
    if not isinstance(value, dict):
        raise VaelensError(f"{str(path)!r} holds no JSON object; save the model again")
    return value
