"""Which annotations the tests execute: all but those of the public functions and classes.

These say to an editor what is expected, and refuse everything else themselves, in a sentence that a test looks for.
"""

import ast
from pathlib import Path

from beartype import BeartypeConf, beartype

_STUB = Path(__file__).parent.parent / "src" / "vaelens" / "__init__.pyi"
_PUBLIC = {
    alias.asname or alias.name
    for node in ast.parse(_STUB.read_text()).body
    if isinstance(node, ast.ImportFrom)
    for alias in node.names
} | {"Coding", "Facts"}  # of which Lens is made
_CONF = BeartypeConf(is_pep484_tower=True)


def checked(function):
    """Execute a function's annotations with beartype, unless it is public."""
    name, _, inside = function.__qualname__.partition(".")
    public = (name in _PUBLIC and not inside.startswith("_")) or (inside == "__init__" and name in _PUBLIC)
    return function if public else beartype(function, conf=_CONF)
