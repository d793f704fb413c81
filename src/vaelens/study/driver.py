"""The driver of a study, which hands cells to Dask's workers until every one is done or given up.

Dask carries work and nothing else: what is done is asked of the folder, so driver, scheduler and workers may die at any
moment, and several drivers may share a folder.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vaelens.errors import VaelensError
from vaelens.study.execution import Outcome, execute
from vaelens.study.folder import Named, StudyFolder
from vaelens.study.lease import Watch

_AGAIN = 5.0  # seconds until a cell that another holds is asked for again
_ERRORS = 10  # of a task around the work on its cell, after which the study ends: every cell may meet them
_LOOK = 0.5  # seconds between two looks at what the workers have done
_NEVER = 10**9  # deaths of workers after which Dask may call a task guilty: who is guilty, the folder knows

Event = Callable[[Named, Outcome], None]


@dataclass
class Tally:
    """How the cells of one run of a study ended.

    Attributes:
        outcomes: of each cell that ended, by its title.
        stopped: why the run ended before all cells did; empty where it did not.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    stopped: str = ""

    def count(self, *how: str) -> int:
        """Returns how many cells ended in one of these ways."""
        return sum(outcome.how in how for outcome in self.outcomes.values())


def in_turn(
    folder: StudyFolder, cells: Sequence[Named], root: Path | None, attempts: int, event: Event, *, wait: bool
) -> Tally:
    """Runs cells one after the other in this process.

    Args:
        folder: the study's.
        cells: what to run.
        root: where the files of datasets lie.
        attempts: how often a cell may fail by itself.
        event: is told how each attempt ended.
        wait: whether to wait for cells that others hold.
    """
    tally, watch, left = Tally(), Watch(), list(cells)
    while left:
        held = []
        for named in left:
            outcome = execute(folder, named, root, attempts, watch)
            while outcome.how == "failed" and not folder.why_given_up(named, attempts):
                event(named, outcome)
                outcome = execute(folder, named, root, attempts, watch)
            if outcome.how == "held" and wait:
                held.append(named)
                continue
            event(named, outcome)
            tally.outcomes[named.cell.title] = outcome
            if outcome.how == "full":
                tally.stopped = outcome.why
                return tally
        left = held
        if left:
            time.sleep(_AGAIN)
    return tally


def on_workers(
    client: Any,
    folder: StudyFolder,
    cells: Sequence[Named],
    root: Path | None,
    attempts: int,
    device: Literal["cpu", "cuda", "mps"],
    event: Event,
) -> Tally:
    """Runs cells on Dask's workers, each on one at a time.

    Args:
        client: of `distributed`.
        folder: the study's, at the same path for every worker.
        cells: what to run, first things first.
        root: where the files of datasets lie.
        attempts: how often a cell may fail by itself.
        device: what cells run on; each asks for one GPU where it is `cuda`.
        event: is told how each attempt ended.

    Raises:
        VaelensError: what every cell would meet, such as a folder that can't be written.
    """
    tally, later, running = Tally(), list[tuple[float, Named]](), dict[Any, Named]()
    errors = Counter[str]()
    resources = {"GPU": 1} if device == "cuda" else None

    def submit(named: Named, priority: int) -> None:
        future = client.submit(
            work, folder.path, named, root, attempts, pure=False, retries=0, priority=priority, resources=resources
        )
        running[future] = named

    for place, named in enumerate(cells):
        submit(named, -place)
    try:
        while running or later:
            if client.status == "closed":  # it tries for half a minute to reach its scheduler again
                raise VaelensError(
                    "the scheduler of the workers is gone; nothing is lost: start it again, and run the same command"
                )
            now = time.monotonic()
            for named in [named for when, named in later if when <= now]:
                submit(named, 0)
            later = [(when, named) for when, named in later if when > now]
            finished = [future for future in running if future.done()]
            for future in finished:
                named = running.pop(future)
                outcome = _outcome(future)
                if outcome.how == "full":
                    tally.stopped = outcome.why
                    event(named, outcome)
                    return tally
                is_error = outcome.how == "stopped" and future.status == "error"
                errors[named.name] += is_error
                if errors[named.name] >= _ERRORS:
                    raise VaelensError(
                        f"{named.cell.title} ended {_ERRORS} times before or after the work on it ({outcome.why}); see "
                        "that all workers have this version of vaelens and can write to the study's folder"
                    )
                failed_for_good = outcome.how == "failed" and folder.why_given_up(named, attempts)
                if outcome.how in ("held", "stopped") or (outcome.how == "failed" and not failed_for_good):
                    later.append((now + (_AGAIN if outcome.how == "held" or is_error else 0), named))
                else:
                    tally.outcomes[named.cell.title] = outcome
                if outcome.how != "held":
                    event(named, outcome)
            if not finished:
                time.sleep(_LOOK)
    finally:
        if client.status == "running":
            client.cancel(list(running), force=True)
    return tally


def work(path: Path, named: Named, root: Path | None, attempts: int) -> Outcome:
    """Works on one cell, as a task of Dask.

    Raises:
        VaelensError: the worker does not see the study's folder.
    """
    if not (path / "study.yaml").exists():
        raise VaelensError(f"a worker does not see the study's folder {str(path)!r}; share it under the same path")
    from vaelens.lens.memory import keep_freed_memory  # PyTorch is imported where a cell is worked on

    keep_freed_memory(even_where_set=True)
    return execute(StudyFolder(path), named, root, attempts, _watch)


_watch = Watch()  # what this worker has seen of leases, over all of its tasks


def _outcome(future: Any) -> Outcome:
    """Reads how a task ended. One whose worker died or was closed counts as stopped.

    Raises:
        VaelensError: what the task raised: every cell would meet it.
    """
    from distributed import KilledWorker

    if future.cancelled() or future.status == "lost":
        return Outcome("stopped", "its worker was closed")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, VaelensError):
        raise error
    if isinstance(error, KilledWorker):
        return Outcome("stopped", "its worker died")
    return Outcome("stopped", f"{type(error).__name__}: {error}")


@contextmanager
def workers(count: int, scheduler: str | None, device: str) -> Iterator[Any]:
    """Starts workers of one cell each on this machine, or joins those of a scheduler, inside a `with`.

    Args:
        count: how many, where they are started here.
        scheduler: the address of one that runs, such as tcp://10.0.0.1:8786; None to start workers here.
        device: what cells run on.

    Raises:
        VaelensError: distributed is not installed, or there is no such scheduler.
    """
    try:
        import dask.config
        from distributed import Client, LocalCluster
    except ModuleNotFoundError as error:
        raise VaelensError(
            "workers need distributed: pip install '.[study]' in the clone of vaelens; or run cells one by one, --cell"
        ) from error
    settings = {
        "distributed.scheduler.allowed-failures": _NEVER,
        "distributed.comm.timeouts.connect": "30s",
        "distributed.admin.large-graph-warning-threshold": "1GB",
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    }
    with dask.config.set(settings):
        if scheduler is not None:
            try:
                client = Client(scheduler, timeout="30s")
            except (OSError, ValueError, TimeoutError) as error:
                raise VaelensError(
                    f"there is no scheduler at {scheduler!r} ({' '.join(str(error).split())[:120]}); start one with "
                    "dask scheduler, and give the address that it prints"
                ) from error
            with client:
                yield client
            return
        cluster = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            memory_limit=0,  # what a cell takes is its own matter: no worker is paused or killed for it
            resources={"GPU": 1} if device == "cuda" else None,
            dashboard_address="127.0.0.1:0",
            silence_logs=50,
        )
        with cluster, Client(cluster) as client:
            yield client
