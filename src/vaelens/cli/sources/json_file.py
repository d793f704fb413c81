"""The JSON file that tells what a folder's model is."""

import json
from pathlib import Path
from typing import Any

from vaelens.errors import VaelensError


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        VaelensError: a file that cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VaelensError(f"{str(path)!r} cannot be read as JSON ({error}); save the model again") from error
    if not isinstance(value, dict):
        raise VaelensError(f"{str(path)!r} holds no JSON object; save the model again")
    return value
