"""Small pieces of HTML with everything escaped, tables and pictures, for what notebooks show of our records."""

import base64
import html
import io
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Writes a table, the first cell of a row its name.

    Example:
        >>> table(["site", "units"], [["<a>", 3]])
        '<table><thead><tr><th>site</th><th>units</th></tr></thead><tbody><tr><th>&lt;a&gt;</th><td>3</td></tr></tbody></table>'
    """
    titles = "".join(f"<th>{text(cell)}</th>" for cell in head)
    lines = ("".join([f"<th>{text(row[0])}</th>", *(f"<td>{text(cell)}</td>" for cell in row[1:])]) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def text(value: object) -> str:
    """Escapes a value's text."""
    return html.escape(str(value))


def data_uri(pixels: UInt8[np.ndarray, "h w 3"]) -> str:
    """Packs RGB pixels into the address of a PNG that needs no file."""
    packed = io.BytesIO()
    Image.fromarray(pixels).save(packed, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
