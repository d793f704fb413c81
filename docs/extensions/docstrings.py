"""Docstrings are read as plain text with code in single backticks.

A star or a bar of a formula is no markup, and the lines of an indented formula stay lines.
"""

import re
from typing import Any

from sphinx.application import Sphinx

_CODE = re.compile(r"(`+[^`]*`+)")
_SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Warns|Example|References):$")


def _literal(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    in_prose = True
    for k, line in enumerate(lines):
        in_prose &= not _SECTION.match(line)
        if not line.lstrip().startswith((">>>", "...")):
            parts = _CODE.split(line)
            parts[::2] = [re.sub(r"([*|])", r"\\\1", text) for text in parts[::2]]
            lines[k] = "".join(parts)
            if in_prose and line.startswith("    "):
                lines[k] = f"    | {lines[k].strip()}"


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the reader, before that of the docstrings' sections."""
    app.connect("autodoc-process-docstring", _literal, priority=400)
    return {"parallel_read_safe": True}
