"""That a sweep takes no more memory over ten times as many images: a quick one of `benchmarks.memory`."""

import sys

import pytest
from benchmarks.memory import measure


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for the peak, as Linux tells it")
def test_memory_does_not_grow_with_the_number_of_images():
    few, many = (measure("mediation_effects, interventions", images) for images in (100, 1000))
    assert many <= 1.1 * few + 1  # a megabyte is nothing the allocator would account for
