"""The rendering of pages from templates, with what all of them share, and the writing of them."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vaelens.errors import VaelensError
from vaelens.report import figures, palette
from vaelens.report.numerals import number
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
    """Writes a page. Missing folders are made; a page that is there is replaced at once when the new one is whole.

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
