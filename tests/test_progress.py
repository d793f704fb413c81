import io

import pytest
from rich.console import Console

import vaelens as vl
from vaelens import progress
from vaelens.progress import check_progress, reporting


def calls():
    seen = []
    return seen, lambda done, total: seen.append((done, total))


def test_a_function_is_told_whole_numbers_that_never_fall_and_end_at_the_total():
    seen, told = calls()
    with reporting(told, 3, "work") as report:
        for _ in range(9):
            report.advance(1 / 3)
    assert seen == [(1, 3), (2, 3), (3, 3)]
    seen, told = calls()
    with reporting(told, 5, "work") as report:
        report.advance(9)  # more than there is
    assert seen == [(5, 5)]
    seen, told = calls()
    with reporting(told, 5, "work"):
        pass
    assert seen == [(5, 5)]


def test_a_part_moves_the_whole_by_its_share():
    seen, told = calls()
    with reporting(told, 30, "work") as report:
        for name in ("one", "two"):
            with reporting(report.part(10, name), 4, name) as inner:
                inner.advance(2)
        third = report.part(10, "three")
        third(1, 1)
    assert seen == [(5, 30), (10, 30), (15, 30), (20, 30), (30, 30)]


def test_work_that_fails_is_not_reported_as_done():
    seen, told = calls()

    def work():
        with reporting(told, 4, "work") as report:
            report.advance(2)
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        work()
    assert seen == [(2, 4)]


@pytest.mark.parametrize("given", ["yes", 1, None, 0.5])
def test_anything_else_is_refused(given):
    with pytest.raises(
        vl.VaelensError, match=r"progress is .*; expected True for a bar, False for none, or a function"
    ):
        check_progress(given)


@pytest.fixture
def terminal(monkeypatch):
    """Standard error as a terminal, or not, and a clock that is moved by hand."""

    def build(is_terminal):
        written, clock = io.StringIO(), [0.0]
        monkeypatch.setattr(
            progress, "Console", lambda stderr: Console(file=written, force_terminal=is_terminal, width=80)
        )
        monkeypatch.setattr(progress, "monotonic", lambda: clock[0])
        return written, clock

    return build


def test_a_bar_comes_after_two_seconds_and_goes_also_when_interrupted(terminal):
    written, clock = terminal(True)

    def work():
        with reporting(True, 4, "counting") as report:
            clock[0] = 1.9
            report.advance(1)
            assert written.getvalue() == ""
            clock[0] = 2.1
            report.advance(1)
            assert "counting" in written.getvalue()
            assert "50%" in written.getvalue()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        work()
    assert written.getvalue().endswith("\x1b[2K")  # the line is wiped


def test_a_bar_is_not_drawn_over_another(terminal):
    written, clock = terminal(True)
    with reporting(True, 2, "outer") as outer:
        clock[0] = 3.0
        outer.advance(1)
        with reporting(True, 2, "inner") as inner:
            clock[0] = 6.0
            inner.advance(1)
        outer.advance(1)
    assert "outer" in written.getvalue()
    assert "inner" not in written.getvalue()
    with reporting(True, 2, "later") as later:
        clock[0] = 9.0
        later.advance(1)
    assert "later" in written.getvalue()


@pytest.mark.parametrize(("given", "is_terminal"), [(True, False), (False, True)])
def test_nothing_is_shown_where_none_was_asked_for_or_nobody_looks(terminal, given, is_terminal):
    written, clock = terminal(is_terminal)
    with reporting(given, 4, "counting") as report:
        clock[0] = 9.0
        report.advance(2)
    assert written.getvalue() == ""
