"""Downloads of official files: every known address in turn, resumed where they stopped, kept only if whole.

What has come lies in the folder `incoming` of the dataset's folder, so that a download that was killed goes on, and
nothing there is ever read as data. Pooch holds each file against its hash; the transfer is our own, since Pooch's own
begins anew every time.
"""

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pooch
import requests

from vaelens.data.files.condition import fault, known, listed
from vaelens.data.files.places import data_root, how_to_get
from vaelens.data.files.progress import byte_bar
from vaelens.data.files.sources import Source, SourceFile, source_of
from vaelens.errors import VaelensError

ATTEMPTS = 3  # at one address, without a byte coming in between
PAUSE = 1.0  # seconds before the second attempt; then twice as long each time
TIMEOUT = (10, 60)  # seconds for a connection, and for the next bytes
BLOCK = 2**16


def fetch(name: Any, root: Any = None, variant: Any = None, tell: Callable[[str], None] = print) -> list[Path]:
    """Download a dataset's official files into `root/<name>/`, unless they are there.

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
    found = [known(name, need, place) for need in needs]
    missing = [need.forms[0] for need, there in zip(needs, found, strict=True) if not there]
    by_hand = [file.name for file in missing if source.agreement or not file.addresses]
    if by_hand:
        raise VaelensError(f"{listed(by_hand)} of {name} can't be downloaded here: {how_to_get(name, place, variant)}")
    for there in found:
        if there:
            tell(f"{there} is there already, and whole")
    return [there or _download(need.forms[0], place / name, tell) for need, there in zip(needs, found, strict=True)]


def _total(source: Source, variant: str | None) -> str:
    files = [need.forms[0] for need in source.needed(variant)]
    sizes = [_size(file) for file in files]
    if not any(sizes):
        most = sum(file.most or 0 for file in files)
        return f"at most {most:,} bytes" if most else "its size is not known beforehand"
    return f"{'' if all(sizes) else 'at least '}{sum(size or 0 for size in sizes):,} bytes"


def _size(file: SourceFile) -> int | None:
    """The file's bytes, as recorded, or as a server says."""
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
    """What went wrong at this address; None if the file came whole and lies beside the part."""
    resumed = part.exists()
    try:
        with byte_bar(file.size) as bar:
            transfer: Any = _Transfer(part, file, bar)
            hashed = file.hash if file.hash and not file.hash.startswith("git:") else None
            came = Path(pooch.retrieve(address, hashed, file.name, part.parent, downloader=transfer))
        problem = None if hashed else fault(came, file)
        if problem:
            came.unlink()
    except requests.RequestException as error:
        return _brief(error)
    except OSError as error:
        raise VaelensError(f"{file.name} can't be written: {error.strerror or error}; {_next(part)}") from error
    except ValueError as error:  # Pooch's word for a wrong hash, and ours for a wrong size
        problem = "what came is altered" if "hash" in str(error) else str(error)
    # What was there before may have been another file's beginning: once more, from the first byte.
    return _attempt(address, file, part) if problem and resumed and not part.exists() else problem


class _Transfer:
    """Pooch's downloader: goes on from the part, and gives it to Pooch when it is whole."""

    def __init__(self, part: Path, file: SourceFile, bar: Any) -> None:
        self._part = part
        self._file = file
        self._bar = bar
        self._task = bar.add_task(file.name, total=file.size)

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        failed = 0
        while True:
            before = self._have()
            try:
                if self._go_on(url):
                    self._part.replace(output_file)
                    return
                error: requests.RequestException = requests.ConnectionError("it ended early")
            except requests.RequestException as raised:
                if raised.response is not None and raised.response.status_code < 500:
                    raise
                error = raised
            failed = 0 if self._have() > before else failed + 1
            if failed >= ATTEMPTS:
                raise error
            time.sleep(PAUSE * 2**failed if failed else 0)

    def _have(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _go_on(self, url: str) -> bool:
        """Get the bytes not there yet; whether the file is whole then."""
        have = self._have()
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
            span = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", answer.headers.get("Content-Range", ""))
            if answer.status_code == 416:  # there are no more bytes: all have come, or too many
                if span and span[2] == str(have):
                    return True
                self._part.unlink()
                return False
            answer.raise_for_status()
            resumed = answer.status_code == 206 and span is not None and span[1] == str(have)
            if answer.status_code == 206 and not resumed:
                self._part.unlink(missing_ok=True)
                return False
            length = answer.headers.get("Content-Length", "")
            total = int(length) + (have if resumed else 0) if length.isdecimal() else None
            if self._file.size is not None and total not in (None, self._file.size):
                raise ValueError(f"it has {total:,} bytes there, expected {self._file.size:,}")
            self._bar.update(self._task, total=total, completed=have if resumed else 0)
            with self._part.open("ab" if resumed else "wb") as opened:
                for block in answer.iter_content(BLOCK):
                    opened.write(block)
                    self._bar.advance(self._task, len(block))
        return total is None or self._have() == total


def _sweep(incoming: Path) -> None:
    """Remove what Pooch leaves behind when it is killed."""
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
