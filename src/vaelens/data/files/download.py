"""Downloads of official files, which try every known address, resume where they stopped and are kept only if whole.

What has come lies in the folder `incoming` of the dataset's folder, so that a download that was killed goes on, and
nothing there is ever read as data. Pooch compares each file with its hash; the transfer is our own, since Pooch's own
begins anew every time.
"""

import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pooch
import requests

from vaelens.data.annotations import Name, PathLike
from vaelens.data.files.condition import fault, listed, whole
from vaelens.data.files.places import data_root, how_to_get
from vaelens.data.files.progress import byte_bar
from vaelens.data.files.source import Source, SourceFile
from vaelens.data.files.sources import source_of
from vaelens.data.files.transfer import TIMEOUT, Transfer
from vaelens.errors import VaelensError


def fetch(
    name: Name, root: PathLike | None = None, variant: Name | None = None, tell: Callable[[str], None] = print
) -> list[Path]:
    """Downloads a dataset's official files into `root/<name>/`, unless they are there.

    Args:
        name: The dataset.
        root: The folder that datasets are kept in; see `load_dataset`.
        variant: The variant, where there are several; the first by default.
        tell: Is given sentences: licence, size and citation before anything is downloaded, then what was done.

    Returns:
        Where the files are.

    Raises:
        VaelensError: If there is no such dataset or variant, its terms must be agreed to by a person, a file that is
            there is not the official one, or no address gave the file. What has come is kept, and gone on from.
    """
    source, place = source_of(name), data_root(root)
    if variant is None and source.variants:
        variant = source.variants[0]
    needs = source.needed(variant)
    tell(f"{name}{f' ({variant})' if variant else ''}: licence {source.licence}; {_total(source, variant)}")
    tell(f"cite: {source.citation}")
    present = [whole(name, need, place) for need in needs]
    missing = [need.forms[0] for need, path in zip(needs, present, strict=True) if not path]
    by_hand = [file.name for file in missing if source.agreement or not file.addresses]
    if by_hand:
        raise VaelensError(f"{listed(by_hand)} of {name} can't be downloaded here: {how_to_get(name, place, variant)}")
    for path in present:
        if path:
            tell(f"{path} is there already, and whole")
    return [path or _download(need.forms[0], place / name, tell) for need, path in zip(needs, present, strict=True)]


def _total(source: Source, variant: str | None) -> str:
    files = [need.forms[0] for need in source.needed(variant)]
    sizes = [_size(file) for file in files]
    if not any(sizes):
        most = sum(file.most or 0 for file in files)
        return f"at most {most:,} bytes" if most else "its size is not known beforehand"
    return f"{'' if all(sizes) else 'at least '}{sum(size or 0 for size in sizes):,} bytes"


def _size(file: SourceFile) -> int | None:
    """Looks up the file's bytes, as recorded or as a server says."""
    if file.size is None:
        for address in file.addresses:
            with contextlib.suppress(requests.RequestException, ValueError):
                answer = requests.head(address, allow_redirects=True, timeout=TIMEOUT)
                if answer.ok:
                    return int(answer.headers.get("Content-Length", ""))
    return file.size


def _download(file: SourceFile, folder: Path, tell: Callable[[str], None]) -> Path:
    incoming = folder / "incoming" / file.name
    incoming.mkdir(parents=True, exist_ok=True)
    part, target = incoming / f"{file.name}.part", folder / file.name
    have = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(incoming).free
    if file.size is not None and free < file.size - have:
        raise VaelensError(f"{file.name} needs {file.size - have:,} bytes, {str(folder)!r} has {free:,}; make room")
    pooch.get_logger().setLevel(logging.WARNING)
    lock = filelock.FileLock(incoming / f"{file.name}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise VaelensError(f"another process is downloading {file.name} into {str(folder)!r}; wait for it") from error
    try:
        _sweep(incoming)
        _try_each(file, part, tell)
        (incoming / file.name).replace(target)
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"the download of {file.name} was interrupted; {_next(part)}") from stop
    finally:
        lock.release()
        if not part.exists():
            shutil.rmtree(incoming, ignore_errors=True)
            with contextlib.suppress(OSError):
                incoming.parent.rmdir()  # unless another download is under way
    return target


def _try_each(file: SourceFile, part: Path, tell: Callable[[str], None]) -> None:
    failures = []
    for address in file.addresses:
        tell(f"downloading {address}" + (f", from byte {part.stat().st_size:,} on" if part.exists() else ""))
        failure = _attempt(address, file, part)
        if failure is None:
            return
        failures.append(f"{address}: {failure}")
    raise VaelensError(f"{file.name} could not be downloaded ({'; '.join(failures)}); {_next(part)}")


def _attempt(address: str, file: SourceFile, part: Path) -> str | None:
    """Tries an address, and says what went wrong, or None if the file came whole and lies beside the part."""
    resumed = part.exists()
    try:
        with byte_bar(file.size) as bar:
            transfer: Any = Transfer(part, file, bar)
            hashed = file.hash if file.hash and not file.hash.startswith("git:") else None
            downloaded = Path(pooch.retrieve(address, hashed, file.name, part.parent, downloader=transfer))
        problem = None if hashed else fault(downloaded, file)
        if problem:
            downloaded.unlink()
    except requests.RequestException as error:
        return _brief(error)
    except OSError as error:
        raise VaelensError(f"{file.name} can't be written: {error.strerror or error}; {_next(part)}") from error
    except ValueError as error:  # Pooch's word for a wrong hash, and ours for a wrong size
        problem = "what came is altered" if "hash" in str(error) else str(error)
    # What was there before may have been another file's beginning: once more, from the first byte.
    return _attempt(address, file, part) if problem and resumed and not part.exists() else problem


def _sweep(incoming: Path) -> None:
    """Removes what Pooch leaves behind when it is killed."""
    for path in incoming.iterdir():
        if path.suffix not in (".part", ".lock") and path.is_file():
            with contextlib.suppress(OSError):
                path.unlink()


def _next(part: Path) -> str:
    if part.exists():
        return f"{part.stat().st_size:,} bytes are kept in {str(part)!r}: run the same command again to go on"
    return "nothing was kept; try again later, or give the file to `vaelens data import`"


def _brief(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    return "no answer in time" if isinstance(error, requests.Timeout) else "the connection fails"
