"""The rendering of pages from templates, with what all of them share, and the writing of them."""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaelens.errors import VaelensError
from vaelens.report import figures, palette
from vaelens.report.numerals import NOTHING, number
from vaelens.writing import write_whole


def rendered(template: str, **values: Any) -> bytes:
    """Renders a template, with the palette, the plotting library and `number` at hand."""
    environment = Environment(
        loader=PackageLoader("vaelens.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shared = {"palette": palette, "font": Markup(palette.FONT), "library": Markup(figures.library()), "number": number}
    return environment.get_template(template).render(**shared, **values).encode()


def write_page(content: bytes, path: Any) -> Path:
    """Writes a page. Missing folders are made, and a page that is there is replaced at once when the new one is whole.

    Raises:
        VaelensError: a path that is a folder or can't be written.
    """
    if not isinstance(path, str | Path) or not str(path):
        raise VaelensError(f"path is {path!r}; expected the file to write, such as 'report.html'")
    path, is_folder = Path(path).expanduser(), False
    with suppress(OSError):  # a name that is too long, as writing will say
        is_folder = path.is_dir()
    if is_folder:
        raise VaelensError(f"{str(path)!r} is a folder; give the file to write, {str(path / 'report.html')!r}")
    write_whole(path, content)
    return path


def columns(*names: str) -> list[dict[str, Any]]:
    """Describes the columns of a template's table, where a star marks those of numbers."""
    return [{"name": name.removeprefix("*"), "number": name.startswith("*")} for name in names]


def p_value(p: float) -> str:
    """Writes a p-value.

    Example:
        >>> p_value(0.0321), p_value(1e-9), p_value(float("nan"))
        ('0.032', '< 0.001', '—')
    """
    return NOTHING if not math.isfinite(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"
