"""The work of an analysis, done part by part, within a time if one is given."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from vaelens.analysis.choice import Need, Share, choose
from vaelens.analysis.cost import Clock, Moved
from vaelens.analysis.done import Done
from vaelens.analysis.manifest import plain
from vaelens.analysis.part import PARTS, Late, Part
from vaelens.analysis.parts import parts_of
from vaelens.analysis.plan import Told, amount, described, duration, estimate_line, more_time, shortened
from vaelens.analysis.record import Analysis
from vaelens.analysis.scores import score_table
from vaelens.analysis.subject import Subject
from vaelens.errors import VaelensError
from vaelens.progress import reporting

Progress = bool | Callable[[int, int], Any]

CONDITIONAL_ON = (
    "Intervals are about other images under this one trained model: images are resampled, training is not, and a model "
    "trained again differs by more."
)
_HUNDREDTHS = 100  # that a part's progress is told in
_TRIAL = 0.1  # of the time, for finding out what the parts cost
_REST = 0.05  # of the time, for the scores and the report
_SURELY = 1.25  # times the time that all parts would take, for making all of them again
_SHORT_TRIAL = 0.3  # seconds for a part, where no time is given


class Work:
    """The parts of one analysis, done one after the other.

    Args:
        subject: what is analysed.
        names: of the parts that are asked for.
        done: what is done already.
        told: takes lines on how far it is.
        clock: tells the time.
    """

    def __init__(self, subject: Subject, names: Sequence[str], done: Done, told: Told, clock: Clock) -> None:
        self._subject, self._done, self._told, self._clock = subject, done, told, clock
        parts, missing = parts_of(subject, done.effects)
        self._parts: dict[str, Part] = {name: part for name, part in parts.items() if name in names}
        self._missing = {name: missing.get(name, "it was not asked for") for name in PARTS if name not in self._parts}
        if not self._parts:
            reasons = "; ".join(f"{name}: {self._missing[name]}" for name in names)
            raise VaelensError(f"no part that was asked for can be made ({reasons}); ask for others")

    def run(self, minutes: float | None, begin: float, progress: Progress) -> None:
        """Does what is not done yet.

        Args:
            minutes: how long all parts may take, with what was spent on them before; or None.
            begin: when the clock began to count.
            progress: as in `analyse`.
        """
        done, clock, before = self._done, self._clock, self._done.spent
        left = {name: part for name, part in self._parts.items() if name not in done.parts}
        if done.parts:
            self._told.say(f"going on: {len(done.parts)} of {len(self._parts)} parts are done")
        if "checks" not in done.provenance:
            done.checked(self._subject.checks())
        seconds = math.inf if minutes is None else (1 - _REST) * 60 * minutes - before
        needs = self._measured(left, seconds) if minutes is not None or progress is True else {}
        self._do(left, needs, seconds, begin, progress, before)
        if minutes is not None and self._in_little_time(seconds - (clock() - begin)):
            self._told.say("there is time for all of every part after all; they are made again, whole")
            self._do(self._parts, {}, math.inf, begin, progress, before)

    def _do(
        self,
        left: Mapping[str, Part],
        needs: Mapping[str, Need],
        seconds: float,
        begin: float,
        progress: Progress,
        before: float,
    ) -> None:
        """Does parts and keeps each, as much of it as there is time for.

        Args:
            left: the parts.
            needs: what each costs; without it all are done whole.
            seconds: that there are from `begin` on; infinite where no time is given.
            begin: when the clock began to count.
            progress: as in `analyse`.
            before: seconds that were spent before.
        """
        done, clock = self._done, self._clock
        with reporting(progress, _HUNDREDTHS * max(len(left), 1), "analysing") as report:
            order = _order(left, needs, seconds)
            for number, name in enumerate(order):
                part, share = left[name], left[name].whole
                if needs:
                    ahead = {other: needs[other] for other in order[number:]}
                    shares = choose(ahead, seconds - (clock() - begin))
                    share = shares[name]
                    if number == 0:
                        self._told.say(estimate_line(left, needs, shares))
                moved = report.part(_HUNDREDTHS, f"analysing: {name}")
                started = clock()
                if math.isinf(seconds) or part.run_until is None:
                    dataset = part.run(share, moved)
                else:
                    dataset = part.run_until(share, self._limited(moved, begin + seconds))
                    share = Share(share.images, len(set(dataset["site"].values.tolist())))
                moved(1, 1)  # some parts say nothing of their progress
                took = clock() - started
                longer = needs[name].seconds(part.whole) / max(needs[name].seconds(share), 1e-9) if needs else 1.0
                note = {"share": described(part, share), "seconds_for_all": took * longer}
                done.keep(name, dataset, note, before + clock() - begin)
                so_far = f"{len(done.parts)} of {len(self._parts)} parts"
                self._told.step(f"{name}: {amount(part, share)}, {duration(took)}; {so_far}")

    def _in_little_time(self, seconds: float) -> bool:
        """Tells whether parts were cut short that could all be made whole in less than the time that is left.

        What a part costs is measured on a few images, and much too high where another program was busy just then.
        """
        notes = [part.note for part in self._done.parts.values()]
        if not all("seconds_for_all" in note for note in notes):
            return False
        cut = shortened({name: part.note["share"] for name, part in self._done.parts.items()})
        return bool(cut) and _SURELY * sum(note["seconds_for_all"] for note in notes) < seconds

    def _limited(self, moved: Moved, end: float) -> Moved:
        """Tells how far a part is, and ends it at a time."""

        def told(done: float, total: float) -> None:
            moved(done, total)
            if self._clock() > end:
                raise Late

        return told

    def _measured(self, parts: Mapping[str, Part], seconds: float) -> dict[str, Need]:
        """Measures what each part costs."""
        patience = _SHORT_TRIAL if math.isinf(seconds) else max(_TRIAL * seconds, 1.0) / max(len(parts), 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is warned of here is warned of again when it counts
            return {name: part.need(patience, self._clock) for name, part in parts.items()}

    def finish(self) -> Analysis:
        """Makes the whole analysis of its parts, and keeps it."""
        done = self._done
        effects = {name: done.effects[name] for name in self._parts}
        notes = {name: done.parts[name].note for name in self._parts}
        taken = {name: note["share"] for name, note in notes.items()}
        provenance = {**done.configuration, "parts": taken, "left_out": self._missing}
        provenance |= {"conditional_on": CONDITIONAL_ON, "threads": torch.get_num_threads()}
        provenance["checks"] = done.provenance["checks"]
        if all("seconds_for_all" in note for note in notes.values()):
            cut = more_time(taken, sum(note["seconds_for_all"] for note in notes.values()))
        else:  # parts of an analysis that was finished before
            cut = done.provenance.get("more_time", "")
        if cut:
            provenance["more_time"] = cut
            self._told.say(f"with more time: {cut}")
        analysis = Analysis(effects, score_table(effects, self._subject.seed), plain(provenance))
        done.finish(analysis)
        return analysis


def _order(parts: Mapping[str, Part], needs: Mapping[str, Need], seconds: float) -> list[str]:
    """Orders the parts, within a time the longest last, which is then cut to the time that is really left."""
    if math.isinf(seconds):
        return list(parts)
    # Whatever averages over active latents takes them from the latent part; the last two look at other parts.
    last = ("pictures", "controls")
    return sorted(parts, key=lambda name: (name != "latent", name in last, needs[name].seconds(parts[name].whole)))
