"""The one sentence about a damaged file, whatever the parser that met it would have said."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vaelens.errors import VaelensError

# No compression in use here makes data more than 1,032 times smaller (deflate's limit), so that a header which
# promises more than that of its file's bytes lies, and is refused before anything is allocated for it.
MOST_PACKED = 1032
LABELS_LIMIT = 2**27  # bytes; labels are held in memory, unlike images


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a parser raises while it reads a file into a `VaelensError` that names the file.

    Only calls into parsers belong inside: of damaged bytes they raise almost anything.
    """
    try:
        yield
    except VaelensError:
        raise
    except FileNotFoundError as error:
        raise VaelensError(f"{str(path)!r} is not there") from error
    except PermissionError as error:
        raise VaelensError(f"{str(path)!r} may not be read by this user; change its permissions") from error
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise damaged(path, f"it does not read as {what} ({said})") from error


def damaged(path: Path, why: str) -> VaelensError:
    """Makes the error for a file that is not what it should be."""
    return VaelensError(f"{str(path)!r} is damaged or not the official file: {why}; get it anew")


def check_promise(path: Path, promised: int, packed: int) -> None:
    """Refuses a header that promises more bytes than a file of its size can hold."""
    if promised > MOST_PACKED * packed + 2**16:
        raise damaged(path, f"its header promises {promised:,} bytes, more than {packed:,} packed bytes can hold")


def check_rows(path: Path, count: int, most: int) -> None:
    """Refuses more rows than the official file has, so that what is converted is no larger than its images."""
    if count > most:
        raise damaged(path, f"it has {count:,} images, the official file {most:,}")


def check_labels_size(path: Path, promised: int) -> None:
    """Refuses labels too large to hold in memory."""
    if promised > LABELS_LIMIT:
        raise damaged(path, f"its labels take {promised:,} bytes, more than {LABELS_LIMIT:,}")
