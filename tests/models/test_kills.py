"""Runs killed at their most delicate moments go on to the same bits, and leave nothing unfinished behind."""

import os
import signal
import subprocess
import sys

import pytest
import torch

from vaelens.models import build_model, train
from vaelens.models.run_folder import checkpoint_path, is_begun

SHORT = {"steps": 7, "batch_size": 4, "log_every": 2, "checkpoint_every": 3, "progress": False, "device": "cpu"}

MOMENTS = [  # what is called for which time
    ("safetensors.torch.save_file", 1),
    ("safetensors.torch.save_file", 2),
    ("os.fsync", 2),
    ("pathlib.Path.replace", 1),
    ("pathlib.Path.replace", 3),
    ("lightning.pytorch.loggers.csv_logs.ExperimentWriter.save", 4),
    ("torch.optim.Adam.step", 5),
]

KILLED = """
import os, pathlib, pkgutil, signal, sys
import torch
import vaelens.models.lightning_loop
from vaelens.models import build_model, train

def kill_at(name, time):
    owner, _, function = name.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    whole, calls = getattr(owner, function), 0
    def counted(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == time:
            if function == "save_file":
                pathlib.Path(arguments[1]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **options)
    setattr(owner, function, counted)

torch.set_num_threads(1)
images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
for folder, (name, time) in zip(sys.argv[3:], eval(sys.argv[1])):
    child = os.fork()
    if child == 0:
        kill_at(name, time)
        train(build_model("vae", (1, 8, 8), latent_dim=2), images, folder=folder, **eval(sys.argv[2]))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path):
    folders = [tmp_path / str(number) for number in range(len(MOMENTS))]
    command = [sys.executable, "-W", "ignore", "-c", KILLED, repr(MOMENTS), repr(SHORT), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS)
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    whole = build_model("vae", (1, 8, 8), latent_dim=2)
    train(whole, images, **SHORT, folder=tmp_path / "whole")
    files = {path.relative_to(tmp_path / "whole"): path.read_bytes() for path in (tmp_path / "whole").rglob("*.*")}
    for folder, moment in zip(folders, MOMENTS, strict=True):
        parted = build_model("vae", (1, 8, 8), latent_dim=2)
        train(parted, images, **SHORT, folder=folder, resume=is_begun(folder))
        for parameter, expected in zip(parted.parameters(), whole.parameters(), strict=True):
            assert torch.equal(parameter, expected), moment
        assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")} == files, moment
    assert checkpoint_path(tmp_path / "whole").relative_to(tmp_path / "whole") in files
