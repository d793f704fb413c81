"""The place of the README that holds this script's output."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def write(output: str, page: Path = README) -> None:
    """Replace what lies between the two markers of a page.

    Raises:
        ValueError: a page without the markers, one after the other.
    """
    text = page.read_text(encoding="utf-8")
    before, begun, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not begun or not ended:
        raise ValueError(f"{page} has no place for the output: it needs the lines {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{output.strip()}\n\n{END}{after}", encoding="utf-8")
