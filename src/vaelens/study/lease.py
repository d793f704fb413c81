"""A lease on a cell, whose holder works on the cell and shows by a heartbeat that it is alive.

A lease is a file that is created exclusively, so that of several processes, on one machine or on many that share a
disk, one gets it. Nobody compares clocks: a holder on the same machine is asked for by its process number and by the
ticks after which it began, one on another machine is given up when its heartbeat has not changed for `PATIENCE` seconds
on the observer's own steady clock. A holder that was given up by mistake loses nothing but its work: see
`StudyFolder.finish`.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

BEAT = 5.0  # seconds between heartbeats
PATIENCE = 60.0  # seconds without one after which a holder elsewhere is given up


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Attributes:
        token: of this claim alone.
        machine: host and process namespace, within which a process number means something.
        process: its number.
        started: when the process began by the clock, by which another of the same number is told apart where nothing
            better is known.
        beat: how many heartbeats there were.
        begun: after which start of the machine and how many ticks the process began; empty where the system does not
            say, and in leases of before.
    """

    token: str
    machine: str
    process: int
    started: float
    beat: int = 0
    begun: str = ""


@dataclass
class Watch:
    """What an observer has seen of leases that others hold, of each the last heartbeat and when it was new."""

    seen: dict[str, tuple[int, float]] = field(default_factory=dict)

    def is_gone(self, holder: Holder) -> bool:
        """Tells whether the holder of a lease is dead, or has not been heard of for long."""
        if holder.machine == _machine():
            return not _runs(holder)
        beat, since = self.seen.get(holder.token, (-1, 0.0))
        now = time.monotonic()
        if holder.beat != beat:
            self.seen[holder.token] = holder.beat, now
            return False
        return now - since > PATIENCE


def claim(path: Path, watch: Watch) -> Holder | None:
    """Takes the lease where nobody holds it, or its holder is gone.

    Args:
        path: the lease's file.
        watch: what this process has seen of leases.

    Returns:
        The new holder; None where another has it.
    """
    holder = read(path)
    if holder is None and path.exists():  # cut off by a full disk, in a version of the file system that allows it
        holder = Holder(f"damaged {path.name}", "", 0, 0.0)
    if holder is not None:
        if not watch.is_gone(holder):
            return None
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            path.rename(aside)
        except FileNotFoundError:  # another was faster
            return None
        taken = read(aside)
        if taken is not None and taken.token != holder.token:  # of a third, who was faster than this rename
            with suppress(FileExistsError):
                os.link(aside, path)
            aside.unlink()
            return None
        aside.unlink()
    process = psutil.Process()
    mine = Holder(uuid.uuid4().hex[:12], _machine(), process.pid, process.create_time(), begun=_begun(process.pid))
    return mine if _create(path, mine) else None


def read(path: Path) -> Holder | None:
    """Reads who holds a lease. None where nobody does, or the file does not say."""
    try:
        holder = Holder(**json.loads(path.read_text(encoding="utf-8")))
        texts, counts = (holder.token, holder.machine, holder.begun), (holder.process, holder.beat)
        fits = all(isinstance(text, str) for text in texts) and all(type(count) is int for count in counts)
        return holder if fits and holder.process >= 0 and isinstance(holder.started, int | float) else None
    except (OSError, ValueError, TypeError):
        return None


def release(path: Path, holder: Holder) -> None:
    """Gives the lease back, if it is still this holder's."""
    current = read(path)
    if current is not None and current.token == holder.token:
        path.unlink(missing_ok=True)


@contextmanager
def heartbeat(path: Path, holder: Holder) -> Iterator[threading.Event]:
    """Renews the lease every few seconds inside a `with`, and yields an event that is set when it is lost."""
    lost, stop = threading.Event(), threading.Event()

    def beat() -> None:
        current = holder
        while not stop.wait(BEAT):
            on_disk = read(path)
            if on_disk is None or on_disk.token != holder.token:
                lost.set()
                return
            current = replace(current, beat=current.beat + 1)
            with suppress(OSError):  # a full disk: the next beat may get through
                _write(path.with_name(f".{path.name}.{holder.token}"), current).replace(path)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield lost
    finally:
        stop.set()
        thread.join()


def _create(path: Path, holder: Holder) -> bool:
    """Creates the file with its content in one step, unless there is one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = _write(path.with_name(f".{path.name}.{holder.token}"), holder)
    try:
        os.link(whole, path)
    except FileExistsError:
        return False
    finally:
        whole.unlink(missing_ok=True)
    return True


def _write(path: Path, holder: Holder) -> Path:
    path.write_text(json.dumps(asdict(holder)), encoding="utf-8")
    return path


def _machine() -> str:
    """Identifies this machine and, in a container, its own numbering of processes."""
    with suppress(OSError):
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"  # noqa: PTH116 - a link to nothing
    return socket.gethostname()


def _begun(process: int) -> str:
    """Tells when a process began, by what a step of the clock does not change. Empty where the system does not say.

    That is the start of the machine, by its name, and the ticks from there (field 22 of /proc/PID/stat).
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        # The name of the program, in brackets, may hold anything; what follows is fields 3 and on.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return f"{boot}/{int(fields[19])}"
    except (OSError, ValueError, IndexError):
        return ""


def _runs(holder: Holder) -> bool:
    try:
        process = psutil.Process(holder.process)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        begun = _begun(holder.process) if holder.begun else ""
        return begun == holder.begun if begun else abs(process.create_time() - holder.started) < 1
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
