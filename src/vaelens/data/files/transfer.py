"""The transfer of one file over HTTP, which goes on from the bytes that have come and tries again when cut off."""

import re
import time
from pathlib import Path
from typing import Any

import requests
from rich.progress import Progress

from vaelens.data.files.source import SourceFile

ATTEMPTS = 3  # at one address, without a byte coming in between
PAUSE = 1.0  # seconds before the second attempt; then twice as long each time
TIMEOUT = (10, 60)  # seconds for a connection, and for the next bytes
BLOCK = 2**16


class Transfer:
    """Pooch's downloader, which goes on from the part and gives it to Pooch when it is whole."""

    def __init__(self, part: Path, file: SourceFile, bar: Progress) -> None:
        self._part = part
        self._file = file
        self._bar = bar
        self._task = bar.add_task(file.name, total=file.size)

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        """Gets the whole file, as Pooch calls for it."""
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
        """Gets the bytes not there yet, and says whether the file is whole then."""
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
