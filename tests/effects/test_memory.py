"""That a sweep takes no more memory over ten times as many images: the quick ones of `benchmarks.memory`."""

import sys

import pytest
from benchmarks.memory import measure


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for the peak, as Linux tells it")
@pytest.mark.parametrize(
    ("sweep", "more"),
    [
        ("input_effects, factors", 24),  # kernel matrices of the images that codes are learned from, 4,000 at most
        ("mediation_effects, interventions", 1),  # a megabyte is nothing the allocator would account for
    ],
)
def test_memory_does_not_grow_with_the_number_of_images(sweep, more):
    few, many = (measure(sweep, images) for images in (100, 1000))
    assert many <= 1.1 * few + more
