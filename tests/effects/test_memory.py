"""That a sweep takes no more memory over ten times as many images: the quick ones of `benchmarks.memory`."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel is asked for the peak, as Linux tells it")
@pytest.mark.parametrize(
    "sweep", ["input_effects, factors", "path_effects", "mediation_effects, images", "mediation_effects, interventions"]
)
def test_memory_does_not_grow_with_the_number_of_images(sweep):
    command = [sys.executable, "-m", "benchmarks.memory", "--sweeps", sweep, "--over", "300", "3000"]
    table = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    few, many = (float(cell) for cell in table.splitlines()[-1].split("|")[2:4])
    assert many <= 1.1 * few + 1, table  # a megabyte is nothing the allocator would account for
