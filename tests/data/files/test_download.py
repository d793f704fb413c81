"""Downloads from a server on this machine that does what servers do: drops, redirects, refuses, lies."""

import hashlib
import http.server
import os
import re
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import filelock
import numpy as np
import pytest

from vaelens.data.files import transfer
from vaelens.data.files.download import fetch
from vaelens.data.files.sources import SOURCES, Need, Source, SourceFile
from vaelens.errors import VaelensError

DATA = np.random.default_rng(0).bytes(3_000_000)
DROP = 2**20  # bytes, after which some connections end
SHA256 = f"sha256:{hashlib.sha256(DATA).hexdigest()}"
GIT = f"git:{hashlib.sha1(b'blob 3000000' + bytes(1) + DATA).hexdigest()}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Each path is a way to serve the data; `seen` keeps every request's path and Range."""

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.server.seen.append((self.path, self.headers.get("Range")))
        self.answer(body=True)

    def answer(self, body):
        path, span = self.path, re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        data = DATA
        if path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/good")
            self.end_headers()
            return
        if path in ("/missing", "/busy"):
            self.send_error(404 if path == "/missing" else 503)
            return
        if path == "/wrong-byte":
            data = DATA[:1_234_567] + bytes([DATA[1_234_567] ^ 1]) + DATA[1_234_568:]
        if path == "/page":
            data = b"<html>this file has moved</html>"
        start = int(span[1]) if span and path != "/no-range" else 0
        if span and start >= len(data):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(data)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if path != "/no-length":
            self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if not body:
            return
        if path == "/drops" and start < 2_500_000:
            self.wfile.write(data[start : start + DROP])  # and closes: fewer bytes than promised
        elif path == "/dies":
            self.wfile.write(data[start:DROP])
        elif path == "/slow":
            for at in range(start, len(data), 100_000):
                self.wfile.write(data[at : at + 100_000])
                self.wfile.flush()
                time.sleep(0.05)
        else:
            self.wfile.write(data[start:])

    def log_message(self, *arguments):
        """Says nothing."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that was killed is no error here."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(transfer, "PAUSE", 0.01)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.seen = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield SimpleNamespace(seen=running.seen, base=f"http://127.0.0.1:{running.server_port}")
        running.shutdown()
        thread.join()


@pytest.fixture
def offered(monkeypatch, server):
    """Offers one file at these paths of the server."""

    def offer(*paths, hash=SHA256, size=3_000_000, **terms):
        file = SourceFile("a.bin", tuple(f"{server.base}{path}" for path in paths), size, hash)
        source = Source((Need((file,)),), "CC0", "Nobody. Bytes. 2001", "https://example.org/bytes", **terms)
        monkeypatch.setitem(SOURCES, "bytes", source)

    return offer


def fetched(root):
    """Fetches; returns what was said."""
    said = []
    assert fetch("bytes", root, tell=said.append) == [root / "bytes" / "a.bin"]
    assert (root / "bytes" / "a.bin").read_bytes() == DATA
    assert [path.name for path in (root / "bytes").iterdir()] == ["a.bin"]  # nothing else is left
    return said


@pytest.mark.parametrize("path", ["/good", "/moved", "/drops", "/no-length", "/no-range"])
@pytest.mark.parametrize("hash", [SHA256, GIT, f"md5:{hashlib.md5(DATA).hexdigest()}"])
def test_the_right_file_comes_whatever_the_way(tmp_path, offered, path, hash):
    offered(path, hash=hash, size=None if hash == GIT else len(DATA))
    said = fetched(tmp_path)
    assert said[0] == ("bytes: licence CC0; 3,000,000 bytes" if path != "/no-length" or hash != GIT else
                       "bytes: licence CC0; its size is not known beforehand")  # fmt: skip
    assert said[1] == "cite: Nobody. Bytes. 2001"
    assert said[2].startswith("downloading http://127.0.0.1")


def test_a_dropped_connection_goes_on_where_it_stopped(tmp_path, offered, server):
    offered("/drops")
    fetched(tmp_path)
    assert server.seen == [("/drops", None), ("/drops", f"bytes={DROP}-"), ("/drops", f"bytes={2 * DROP}-")]


@pytest.mark.parametrize("first", ["/missing", "/busy", "/wrong-byte", "/page", "/dies"])
def test_the_next_address_is_tried(tmp_path, offered, server, first):
    offered(first, "/good")
    fetched(tmp_path)
    assert server.seen[-1] == ("/good", f"bytes={DROP}-" if first == "/dies" else None)


def test_no_address_at_all_names_each_and_keeps_what_came(tmp_path, offered, server):
    offered("/missing", "/wrong-byte", "/dies")
    with pytest.raises(VaelensError) as caught:
        fetch("bytes", tmp_path, tell=str)
    part = tmp_path / "bytes" / "incoming" / "a.bin" / "a.bin.part"
    assert str(caught.value) == (
        f"a.bin could not be downloaded ({server.base}/missing: the server answers 404 Not Found; "
        f"{server.base}/wrong-byte: what came is altered; {server.base}/dies: the connection fails); "
        f"1,048,576 bytes are kept in {str(part)!r}: run the same command again to go on"
    )
    assert part.read_bytes() == DATA[:DROP]
    assert not (tmp_path / "bytes" / "a.bin").exists()
    offered("/good")
    said = fetched(tmp_path)
    assert said[2] == f"downloading {server.base}/good, from byte 1,048,576 on"
    assert server.seen[-1] == ("/good", f"bytes={DROP}-")


def test_a_wrong_beginning_is_thrown_away_and_the_file_had_anew(tmp_path, offered):
    for beginning in (b"x" * 1000, DATA + b"more", bytes(len(DATA))):
        incoming = tmp_path / "bytes" / "incoming" / "a.bin"
        incoming.mkdir(parents=True)
        (incoming / "a.bin.part").write_bytes(beginning)
        offered("/good")
        fetched(tmp_path)
        (tmp_path / "bytes" / "a.bin").unlink()


def test_a_server_without_ranges_starts_anew(tmp_path, offered, server):
    incoming = tmp_path / "bytes" / "incoming" / "a.bin"
    incoming.mkdir(parents=True)
    (incoming / "a.bin.part").write_bytes(DATA[:500_000])
    offered("/no-range")
    fetched(tmp_path)
    assert server.seen == [("/no-range", "bytes=500000-")]


def test_a_wrong_file_is_not_kept(tmp_path, offered):
    offered("/wrong-byte")
    with pytest.raises(VaelensError, match=r"what came is altered\); nothing was kept; try again later"):
        fetch("bytes", tmp_path, tell=str)
    assert not list(tmp_path.rglob("*.bin"))
    offered("/page")
    with pytest.raises(VaelensError, match="it has 32 bytes there, expected 3,000,000"):
        fetch("bytes", tmp_path, tell=str)


def test_two_downloads_of_a_file_do_not_meet(tmp_path, offered):
    offered("/good")
    incoming = tmp_path / "bytes" / "incoming" / "a.bin"
    incoming.mkdir(parents=True)
    with filelock.FileLock(incoming / "a.bin.lock"):
        with pytest.raises(VaelensError, match=r"another process is downloading a.bin into '.*bytes'; wait for it"):
            fetch("bytes", tmp_path, tell=str)
        assert incoming.exists()
    fetched(tmp_path)


def test_an_interrupted_download_says_how_to_go_on(tmp_path, offered, monkeypatch):
    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    offered("/good")
    with monkeypatch.context() as patch:
        patch.setattr(transfer.Transfer, "_go_on", interrupted)
        with pytest.raises(KeyboardInterrupt, match=r"the download of a.bin was interrupted; nothing was kept"):
            fetch("bytes", tmp_path, tell=str)
    fetched(tmp_path)


def test_nothing_is_downloaded_twice_nor_overwritten(tmp_path, offered, server):
    offered("/good")
    fetched(tmp_path)
    server.seen.clear()
    assert fetched(tmp_path)[2] == f"{tmp_path / 'bytes' / 'a.bin'} is there already, and whole"
    assert server.seen == []
    (tmp_path / "bytes" / "a.bin").write_bytes(DATA[:-1])
    with pytest.raises(VaelensError, match=r"is truncated: it has 2,999,999 of 3,000,000 bytes; move it away, then"):
        fetch("bytes", tmp_path, tell=str)
    assert (tmp_path / "bytes" / "a.bin").read_bytes() == DATA[:-1]


def test_terms_that_a_person_must_agree_to_are_told(tmp_path, offered, server):
    said = []
    offered("/good", agreement=True)
    with pytest.raises(VaelensError, match=r"a.bin of bytes can't be downloaded here: its terms must be agreed to"):
        fetch("bytes", tmp_path, tell=said.append)
    assert said == ["bytes: licence CC0; 3,000,000 bytes", "cite: Nobody. Bytes. 2001"]
    assert server.seen == []


def test_unknown_names_and_variants(tmp_path):
    with pytest.raises(VaelensError, match=r"unknown dataset that is read from files 'shape3d'; .* 'shapes3d'\? The"):
        fetch("shape3d", tmp_path)
    with pytest.raises(VaelensError, match="unknown variant 'tiny'; known: toy, realistic, real, real_complex"):
        fetch("mpi3d", tmp_path, "tiny")
    with pytest.raises(VaelensError, match=r"mpi3d_real_complex.npz of mpi3d can't be downloaded here: get it from"):
        fetch("mpi3d", tmp_path, "real_complex", tell=str)


def test_a_killed_fetch_goes_on(tmp_path, server):
    code = (
        "import sys; from vaelens.data.files.sources import *; from vaelens.cli import main\n"
        f"file = SourceFile('a.bin', ('{server.base}/slow',), {len(DATA)}, '{SHA256}')\n"
        "SOURCES['bytes'] = Source((Need((file,)),), 'CC0', 'Nobody', 'https://example.org')\n"
        f"main(['data', 'fetch', 'bytes', '--root', {str(tmp_path)!r}])"
    )
    part = tmp_path / "bytes" / "incoming" / "a.bin" / "a.bin.part"
    killed = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 500_000) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    have = part.stat().st_size
    assert 500_000 < have < len(DATA)
    assert not (tmp_path / "bytes" / "a.bin").exists()
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"file: {tmp_path / 'bytes' / 'a.bin'}"
    assert server.seen[-1] == ("/slow", f"bytes={have}-")
    assert (tmp_path / "bytes" / "a.bin").read_bytes() == DATA
    assert [path.name for path in (tmp_path / "bytes").iterdir()] == ["a.bin"]
