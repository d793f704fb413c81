"""The work of an analysis on a clock of its own: parts that take a time for each image and do nothing."""

from contextlib import suppress
from dataclasses import dataclass

import pandas as pd
import pytest
import xarray as xr

import vaelens as vl
from vaelens.analysis import work
from vaelens.analysis.cost import Cost
from vaelens.analysis.done import Done
from vaelens.analysis.part import PARTS, Late, Part
from vaelens.analysis.plan import Told, more_time
from vaelens.analysis.subject import Subject

FULL = {"latent": 64, "modes": 32, "recoded": 32, "responses": 32}
SITES = ("latent", "encoder.0", "decoder.0", "encoder.1")


@dataclass
class Machine:
    """Parts that take `each` seconds an image, patching for each site, and `slower` times as long when it counts."""

    each: float
    slower: float = 1.0
    now: float = 0.0

    def clock(self):
        return self.now

    def parts(self, subject, measured):
        parts = {name: self.part(name, full) for name, full in FULL.items()}

        def patched(share, moved):
            self.now += self.slower * self.each * share.images * share.pieces
            return xr.Dataset()

        def patched_until(share, moved):
            done = []
            with suppress(Late):
                for site in SITES[: share.pieces]:
                    for _ in range(share.images):
                        self.now += self.slower * self.each
                        moved(0, 1)
                    done.append(site)
            return xr.Dataset(coords={"site": ("unit", done or ["latent"])})

        costs = (Cost(0.0, self.each),) * len(SITES)
        parts["patching"] = Part("patching", 16, patched, "pairs", SITES, lambda *_: costs, patched_until)
        return parts, {name: "not on this machine" for name in PARTS if name not in parts}

    def part(self, name, full):
        def run(share, moved):
            for step in range(1, 11):
                self.now += (self.slower if share.images > 4 else 1.0) * self.each * share.images / 10
                moved(step, 10)
            return xr.Dataset(attrs={"images": share.images})

        return Part(name, full, run)


class Nothing(Subject):
    """What is analysed: its parts never look at it."""

    seed = 0

    def __init__(self):
        pass

    def checks(self):
        return {}


@pytest.fixture
def worked(monkeypatch):
    """Works on a machine for some minutes; returns the analysis."""
    monkeypatch.setattr(work, "score_table", lambda parts, seed: pd.DataFrame())

    def run(machine, minutes=None, names=tuple(PARTS), progress=False):
        monkeypatch.setattr(work, "parts_of", machine.parts)
        done = Done({"seed": 0}, None)
        working = work.Work(Nothing(), names, done, Told(progress), machine.clock)
        working.run(minutes, machine.now, progress)
        return working.finish()

    return run


def test_without_a_time_every_part_is_whole(worked):
    machine = Machine(each=1.0)
    taken = worked(machine).provenance["parts"]
    assert {name: part["taken"] for name, part in taken.items()} == FULL | {"patching": 16}
    assert taken["patching"]["sites"] == 4
    assert machine.now == pytest.approx(sum(FULL.values()) + 16 * 4)


@pytest.mark.parametrize("minutes", [1.5, 2, 3])
@pytest.mark.parametrize("slower", [0.8, 1.0, 1.3, 2.0])
def test_it_ends_in_the_time_given_with_every_part(worked, minutes, slower):
    machine = Machine(each=1.0, slower=slower)
    analysis = worked(machine, minutes)
    assert machine.now == pytest.approx(60 * minutes, rel=0.2)
    taken = analysis.provenance["parts"]
    assert taken.keys() == {*FULL, "patching"}
    assert all(8 <= part["taken"] <= part["of"] for part in taken.values())
    assert "every part would be whole" in analysis.provenance["more_time"]


def test_parts_that_were_cut_short_for_nothing_are_made_again(worked, capsys):
    machine = Machine(each=1.0, slower=0.05)  # measured while the machine was busy
    analysis = worked(machine, minutes=2, progress=True)
    taken = analysis.provenance["parts"]
    assert {name: part["taken"] for name, part in taken.items()} == FULL | {"patching": 16}
    assert taken["patching"]["sites"] == 4
    assert "more_time" not in analysis.provenance
    assert machine.now < 120
    assert "they are made again, whole" in capsys.readouterr().err


def test_where_the_time_does_not_suffice_the_least_is_done(worked):
    machine = Machine(each=10.0)
    taken = worked(machine, minutes=0.1).provenance["parts"]
    assert {part["taken"] for part in taken.values()} == {8}
    assert taken["patching"]["sites"] == 1


def test_what_more_time_would_bring_is_said():
    taken = {
        "latent": {"counted": "images", "taken": 16, "of": 64},
        "patching": {"counted": "pairs", "taken": 8, "of": 8, "sites": 3, "of_sites": 37},
        "pictures": {"counted": "", "taken": 1, "of": 1},
    }
    assert more_time(taken, 840) == (
        "in about 14.0 min every part would be whole; now: latent 16 of 64 images; patching 3 of 37 sites"
    )
    assert more_time({"pictures": taken["pictures"]}, 840) == ""


def test_the_estimate_comes_first_and_a_line_as_each_part_ends(worked, capsys):
    worked(Machine(each=1.0), minutes=1, names=("latent", "patching"), progress=True)
    estimate, *lines, more = capsys.readouterr().err.splitlines()
    assert estimate.startswith("vaelens: the analysis will take up to about ")
    assert "patching" in estimate
    assert {line.split(":")[1].strip() for line in lines} == {"latent", "patching"}
    assert lines[-1].endswith("; 2 of 2 parts")
    assert more.startswith("vaelens: with more time: in about ")


def test_nothing_is_said_to_who_did_not_ask(worked, capsys):
    worked(Machine(each=1.0), minutes=2)
    assert capsys.readouterr().err == ""


def test_parts_that_can_not_be_made_are_refused_with_the_reason(worked):
    with pytest.raises(vl.VaelensError, match=r"no part that was asked for can be made \(swap: not on this machine\)"):
        worked(Machine(each=1.0), names=("swap",))
    left_out = worked(Machine(each=1.0), names=("latent",)).provenance["left_out"]
    assert left_out["swap"] == "not on this machine"
    assert left_out["modes"] == "it was not asked for"
