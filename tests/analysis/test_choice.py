import pytest

from vaelens.analysis.choice import Need, Share, choose, total
from vaelens.analysis.cost import Cost

PATCHING = Need(16, 8, (Cost(0, 1.0), Cost(0, 2.0), Cost(0, 3.0)))  # three sites
NEEDS = {"latent": Need(64, 8, (Cost(2.0, 0.5),)), "patching": PATCHING, "pictures": Need(1, 1, (Cost(0, 1.0),))}
ALL = 2 + 64 * 0.5 + 16 * 6 + 1  # seconds


def test_with_time_for_all_all_is_done():
    shares = choose(NEEDS, ALL)
    assert shares == {name: need.whole for name, need in NEEDS.items()}
    assert total(NEEDS, shares) == ALL


@pytest.mark.parametrize("seconds", [130, 110, 90, 75])
def test_every_part_takes_the_same_fraction_of_its_images(seconds):
    shares = choose(NEEDS, seconds)
    assert shares["latent"].images / 64 == pytest.approx(max(shares["patching"].images / 16, 0.125), abs=1 / 16)
    assert shares["patching"].pieces == 3
    assert seconds - 7 < total(NEEDS, shares) <= seconds


def test_none_takes_fewer_than_it_needs():
    shares = choose(NEEDS, 2 + 8 * 0.5 + 8 * 6 + 1)
    assert (shares["latent"], shares["patching"]) == (Share(8, 1), Share(8, 3))


def test_sites_are_left_out_from_the_end_where_fewer_images_do_not_suffice():
    shares = choose(NEEDS, 32)
    assert shares["patching"] == Share(8, 2)  # 24 seconds; with the third site it is 48
    assert shares["latent"].images == 10
    assert total(NEEDS, shares) <= 32
    shares = choose(NEEDS, 20)
    assert (shares["patching"], shares["latent"]) == (Share(8, 1), Share(18, 1))  # the rest goes to images


def test_what_costs_next_to_nothing_is_done_whole():
    needs = NEEDS | {"reconstruction": Need(64, 8, (Cost(0, 0.001),))}
    assert choose(needs, 32)["reconstruction"] == Share(64, 1)
    assert choose(needs, 1.0)["reconstruction"] == Share(8, 1)


def test_the_least_is_done_where_no_time_suffices():
    shares = choose(NEEDS, -5.0)
    assert shares == {"latent": Share(8, 1), "patching": Share(8, 1), "pictures": Share(1, 1)}
