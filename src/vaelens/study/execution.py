"""The work on one cell, which loads the dataset, trains a model, analyses it, and moves everything to its place.

It can be killed at any moment. Whoever takes the cell up goes on from the last checkpoint and the last whole part of
the analysis, and ends with the same numbers.
"""

import errno
import json
import os
import platform
import shutil
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from vaelens.errors import VaelensError
from vaelens.study.folder import Named, StudyFolder
from vaelens.study.lease import Holder, Watch, claim, heartbeat, read, release
from vaelens.study.pulse import Pulse

ROOM = 2**26  # bytes that must be free before a cell begins, where none is done whose size is known

How = Literal["done", "done before", "held", "failed", "given up", "full", "stopped"]


@dataclass(frozen=True)
class Outcome:
    """How the work on a cell ended.

    Attributes:
        how: `done`; `done before`, by another; `held` by another; `failed` by itself; `given up`, after failures
            before; `full`, where a disk or quota is; `stopped`, by Ctrl-C or a signal.
        why: what happened, in a sentence, where it is not done.
        seconds: how long this attempt took.
    """

    how: How
    why: str = ""
    seconds: float = 0.0


def execute(folder: StudyFolder, named: Named, root: Path | None, attempts: int, watch: Watch) -> Outcome:
    """Works on a cell until it is done, unless it is, another has it, or it was given up.

    Args:
        folder: the study's.
        named: the cell.
        root: where the files of datasets lie; the usual place by default.
        attempts: how often it may fail by itself.
        watch: what this process has seen of leases.

    Returns:
        How it ended; errors of the cell are recorded in the folder, not raised.

    Raises:
        KeyboardInterrupt: Ctrl-C; the lease is given back first.
        SystemExit: likewise, of a signal.
        VaelensError: its place holds a cell that was made otherwise, or nothing can be written where leases lie.
    """
    from vaelens.analysis.threads import on_threads  # PyTorch is imported where a cell is worked on

    begun = time.monotonic()
    if folder.is_done(named):
        return Outcome("done before")
    left = read(folder.claim_of(named))
    try:
        holder = claim(folder.claim_of(named), watch)
    except OSError as error:
        return _unclaimed(folder, named, error)
    if holder is None:
        return Outcome("held")
    try:
        if left is not None:  # a holder that is gone
            folder.note(
                named, left.token, {"how": "died", "place": folder.progress(named).get("place", "the beginning")}
            )
        why = folder.why_given_up(named, attempts)
        if why:
            return Outcome("given up", why)
        if folder.is_done(named):  # while the lease was taken
            return Outcome("done before")
        _check_room(folder, named)
        with heartbeat(folder.claim_of(named), holder) as lost, on_threads(named.cell.configuration["threads"]):
            counted = _work(folder, named, holder, root, lost.is_set)
        return Outcome("done" if counted else "done before", seconds=time.monotonic() - begun)
    except Exception as error:  # whatever a model, a disk or the memory of this machine comes up with
        why = " ".join(str(error).split())
        if not isinstance(error, VaelensError):
            why = f"{type(error).__name__}: {why}" if why else type(error).__name__
        if _is_full(error):
            return Outcome("full", why, time.monotonic() - begun)
        ending = {
            "how": "failed",
            "why": why,
            "place": folder.progress(named).get("place", "the beginning"),
            "traceback": "".join(traceback.format_exception(error))[-20_000:],
        }
        with suppress(VaelensError):
            folder.note(named, holder.token, ending)
        return Outcome("failed", why, time.monotonic() - begun)
    finally:
        release(folder.claim_of(named), holder)


def _work(folder: StudyFolder, named: Named, holder: Holder, root: Path | None, lost: Callable[[], bool]) -> bool:
    """Trains and analyses in the claim's own folder, and moves it to its place."""
    import vaelens as vl  # what follows needs PyTorch, which plans and tables do without

    cell, work = named.cell.configuration, folder.work_of(named, holder.token)
    pulse = Pulse(work / "progress.json", lost)
    begun = time.monotonic()
    pulse.tell("the data")
    ds = dataset(cell["dataset"]["name"], json.dumps(cell["dataset"]["options"], sort_keys=True), root)
    if data_hash(ds) != named.data:
        raise VaelensError(f"{named.cell.dataset} is no longer the data that the study was begun with; bring it back")
    trained = _trained(ds, cell, work / "model", pulse)
    seconds = {"training": time.monotonic() - begun}
    pulse.tell("the analysis")
    how = cell["analysis"]
    asked = {"n": how["images"], "seed": how["seed"], "skip": list(how["skip"])}
    asked |= {"score_intervals": how["score_intervals"], "circuits": how["circuits"]}
    vl.analyse(vl.Lens(trained, progress=False), ds, folder=work / "analysis", progress=pulse.analysing, **asked)
    seconds["analysis"] = time.monotonic() - begun - seconds["training"]
    shutil.rmtree(work / "model" / "checkpoints", ignore_errors=True)
    pulse.path.unlink(missing_ok=True)
    origin = {"seconds": seconds, "machine": platform.node(), "system": platform.platform(), "processor": _processor()}
    record = {"cell": named.name, **named.record, "made": origin}
    (work / "cell.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return folder.finish(named, work)


def _trained(ds: Any, cell: Mapping[str, Any], folder: Path, pulse: Pulse) -> Any:
    """Trains the cell's model, from its last checkpoint where there is one, or loads it where it is trained."""
    import vaelens as vl
    from vaelens.models.run_folder import is_begun
    from vaelens.models.run_record import save_run

    if (folder / "training.json").exists():
        return vl.VAE.from_pretrained(folder)
    asked = cell["model"]
    model = vl.build_model(
        asked["name"],
        ds.image_shape,
        asked["latent_dim"],
        asked["likelihood"],
        seed=cell["seed"],
        **asked["hyperparameters"],
    )
    from vaelens.study.training_pulse import TrainingPulse  # imports Lightning

    how = cell["training"]
    decays = [vl.CosineDecay("lr", how["steps"])] if how["lr_decay"] == "cosine" else []
    result = vl.train(
        model,
        ds,
        steps=how["steps"],
        batch_size=how["batch_size"],
        lr=how["lr"],
        held_out=min(how["held_out"], len(ds) // 5),
        seed=cell["seed"],
        device=cell["device"],
        folder=folder,
        resume=is_begun(folder),
        callbacks=[TrainingPulse(pulse, how["steps"]), *decays],
        progress=False,
    )
    save_run(model, folder, result, decays, lr=how["lr"])
    return model


@lru_cache(maxsize=2)
def dataset(name: str, options: str, root: Path | None) -> Any:
    """Loads a dataset once for several cells.

    Args:
        name: in the catalogue.
        options: as JSON.
        root: where its files lie.
    """
    import vaelens as vl

    return vl.load_dataset(name, root=root, **json.loads(options))


def data_hash(ds: Any) -> str:
    """Hashes a dataset's images."""
    from vaelens.models.fingerprint import fingerprint

    return fingerprint(ds)


def _check_room(folder: StudyFolder, named: Named) -> None:
    """Refuses to begin a cell that the disk has no room for."""
    done = next(folder.done(), None)
    size = sum(path.stat().st_size for path in done.rglob("*") if path.is_file()) if done is not None else 0
    needed, free = max(ROOM, 4 * size), shutil.disk_usage(folder.path).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{str(folder.path)!r} has {free / 2**20:,.0f} MiB free and {named.cell.title} may need "
            f"{needed / 2**20:,.0f}; make room, and run the study again to go on",
        )


def _unclaimed(folder: StudyFolder, named: Named, error: OSError) -> Outcome:
    """Says why a cell could not be claimed. A full disk stops the study, and so does a folder that can't be written.

    Raises:
        VaelensError: every cell would meet the same.
    """
    why = f"{str(folder.claim_of(named).parent)!r} can't be written ({error.strerror or error})"
    if _is_full(error):
        return Outcome("full", why)
    raise VaelensError(f"{why}, so no cell can be claimed; see that it is a folder you may write to") from error


def _is_full(error: BaseException | None) -> bool:
    """Tells whether a full disk or quota is behind an error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def _processor() -> str:
    return platform.processor() or platform.machine() or f"{os.cpu_count()} cores"
