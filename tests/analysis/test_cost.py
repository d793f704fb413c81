import pytest

from vaelens.analysis.cost import measure


class Machine:
    """Work on a clock of its own: `once` seconds the first time, then `fixed` and `each` for an image, in ten steps."""

    def __init__(self, fixed, each, once=0.0):
        self.fixed, self.each, self.once = fixed, each, once
        self.now, self.runs = 0.0, []

    def clock(self):
        return self.now

    def run(self, images, moved):
        self.runs.append(images)
        self.now += self.fixed + (self.once if len(self.runs) == 1 else 0.0)
        for step in range(1, 11):
            self.now += self.each * images / 10
            moved(step, 10)


def test_a_cost_is_told_from_a_few_images():
    machine = Machine(fixed=0.5, each=0.25, once=3.0)
    cost = measure(machine.run, (2, 100), patience=60, clock=machine.clock)
    assert (cost.fixed, cost.each, cost.is_cut) == (pytest.approx(0.5), pytest.approx(0.25), False)
    assert cost.seconds(100) == pytest.approx(25.5)
    assert machine.runs[:2] == [2, 2]  # the first pays for what is done once
    assert machine.now <= 60


def test_what_takes_too_long_is_ended_and_judged_by_how_far_it_was():
    machine = Machine(fixed=0.0, each=50.0, once=7.0)
    cost = measure(machine.run, (2, 100), patience=15, clock=machine.clock)
    assert cost.is_cut
    assert cost.seconds(100) == pytest.approx(5000)
    assert machine.runs == [2]
    assert machine.now == 7 + 20  # two steps: of one alone nothing can be told


def test_what_is_ended_is_judged_by_more_images_too_where_they_cost_little():
    machine = Machine(fixed=0.0, each=0.0)
    step = lambda images: 0.02 + 0.0001 * images  # noqa: E731 - of a hundred steps

    def run(images, moved):
        machine.runs.append(images)
        for k in range(1, 101):
            machine.now += step(images)
            moved(k, 100)

    cost = measure(run, (2, 500), patience=1, clock=machine.clock)
    assert machine.runs == [2, 32]
    assert cost.is_cut
    assert cost.seconds(500) == pytest.approx(100 * step(500))
    assert machine.now < 2.1


def test_where_there_is_time_for_two_images_alone_they_tell_it():
    machine = Machine(fixed=0.0, each=1.0)
    cost = measure(machine.run, (2, 100), patience=5, clock=machine.clock)
    assert (cost.fixed, cost.each) == (0.0, pytest.approx(1.0))
    assert machine.runs == [2, 2]


def test_no_more_images_are_tried_than_there_are():
    machine = Machine(fixed=0.1, each=0.001)
    assert measure(machine.run, (2, 3), patience=60, clock=machine.clock).seconds(3) == pytest.approx(0.103)
    assert max(machine.runs) == 3
