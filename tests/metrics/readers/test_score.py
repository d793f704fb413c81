import math

import numpy as np
import pytest

from vaelens.data.factors import Factor
from vaelens.metrics.readers.score import score


def test_scores_are_those_on_paper():
    labels, read = np.array([0, 1, 2, 3, 4, 4, -1]), np.array([0, 2, 2, 3, 4, 0, 0])
    # Four of six right; steps 0 1 0 0 0 4. The best guess is 4 (2 of 6); within one step 3 (4 of 6).
    result = score(Factor("size", 5), labels, read)
    assert (result.images, result.accuracy, result.chance) == (6, 4 / 6, 2 / 6)
    assert (result.near, result.near_chance, result.error) == (5 / 6, 4 / 6, 5 / 6)
    assert result.skill == pytest.approx(0.5)
    assert result.near_skill == pytest.approx(0.5)
    assert result.trusted


def test_a_circle_is_measured_the_shorter_way_round():
    labels, read = np.array([0, 0, 5, 3]), np.array([5, 1, 0, 0])
    assert score(Factor("angle", 6, "circular"), labels, read).error == 6 / 4  # 1 1 1 3
    assert score(Factor("angle", 6), labels, read).error == 14 / 4  # 5 1 5 3


def test_one_step_off_will_do_where_values_have_an_order_only():
    labels = np.arange(20)
    beside = np.where(labels < 19, labels + 1, labels)
    assert score(Factor("place", 20), labels, beside).trusted
    assert not score(Factor("kind", 20, "categorical"), labels, beside).trusted


def test_one_step_off_will_not_do_where_every_guess_is_as_near():
    labels = np.array([0, 1, 2] * 4)
    result = score(Factor("size", 3), labels, np.ones(12, int))
    assert result.near == result.near_chance == 1
    assert math.isnan(result.near_skill)
    assert not result.trusted


def test_a_factor_without_held_out_labels_is_not_trusted():
    result = score(Factor("size", 3), np.array([-1, -1]), np.array([0, 1]))
    assert result.images == 0
    assert math.isnan(result.accuracy)
    assert not result.trusted
