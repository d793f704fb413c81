"""Sweeps on a device that is not the CPU: nothing is mixed up, the numbers are the same, and little is waited for."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def swept():
    """Of two devices, by sweep: the largest relative difference to the CPU, and how often the host waited in it."""
    command = [sys.executable, str(Path(__file__).with_name("sweeps.py"))]
    ran = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_sweeps_elsewhere_give_what_the_cpu_gives_and_wait_for_no_value(swept):
    found = swept[0]
    assert len(found) == 36
    assert max(difference for difference, _ in found.values()) < 1e-4  # layers take other forms there
    waits = {sweep: times for sweep, (_, times) in found.items()}
    for sweep in ("latent", "latent, shift", "latent, posterior", "latent, prior", "latent, over latents", "responses"):
        assert waits[f"vae: {sweep}"] == 0, sweep  # of 3 latents, 1 to 7 values each
    for sweep in ("patching", "mean ablation", "resample ablation"):
        assert waits[f"vae: {sweep}"] <= 4, sweep  # a wait for each site, of 355 units
    # Which of its images a value gives other codes is found out, and nothing beyond that.
    assert waits["vq-vae: latent"] <= 3 * 2
    assert waits["vq-vae: responses"] <= 3 * 7


def test_a_device_without_double_precision_will_do(swept):
    found = swept[1]
    assert max(difference for difference, _ in found.values()) < 1e-4
