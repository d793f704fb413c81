"""The place of a page that holds a script's output."""

from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def write(output: str, page: Path = README, place: str = "benchmarks") -> None:
    """Replace what lies between the two markers of a place in a page.

    Raises:
        ValueError: a page without the markers, one after the other.
    """
    begin, end = (marker.replace("benchmarks", place) for marker in (BEGIN, END))
    text = page.read_text(encoding="utf-8")
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page} has no place for the output: it needs the lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{output.strip()}\n\n{end}{after}", encoding="utf-8")
