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

MODELS = {"vae": {}, "factor-vae": {}, "vq-vae": {"codes": 32, "decay": 0.8, "revival": 0.5}}  # whose codes die often
MOMENTS = [  # of which model, what is called for which time
    ("vae", "safetensors.torch.save_file", 1),
    ("vae", "safetensors.torch.save_file", 2),
    ("vae", "os.fsync", 2),
    ("vae", "pathlib.Path.replace", 1),
    ("vae", "pathlib.Path.replace", 3),
    ("vae", "lightning.pytorch.loggers.csv_logs.ExperimentWriter.save", 4),
    ("vae", "torch.optim.Adam.step", 5),
    ("factor-vae", "torch.optim.Adam.step", 10),  # that of the discriminator, which comes second
    ("vq-vae", "torch.optim.Adam.step", 5),
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
models = eval(sys.argv[3])
for folder, (model, name, time) in zip(sys.argv[4:], eval(sys.argv[1])):
    child = os.fork()
    if child == 0:
        kill_at(name, time)
        model = build_model(model, (1, 8, 8), latent_dim=2, **models[model])
        train(model, images, folder=folder, **eval(sys.argv[2]))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork")
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bits(tmp_path):
    folders = [tmp_path / str(number) for number in range(len(MOMENTS))]
    arguments = [*map(repr, (MOMENTS, SHORT, MODELS)), *map(str, folders)]
    command = [sys.executable, "-W", "ignore", "-c", KILLED, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS)
    images = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def trained(name, folder, resume=False):
        """The weights, and the bytes of all files by their names."""
        model = build_model(name, (1, 8, 8), latent_dim=2, **MODELS[name])
        train(model, images, **SHORT, folder=folder, resume=resume)
        return model.state_dict(), {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}

    whole = {name: trained(name, tmp_path / name) for name in MODELS}
    for folder, (name, *moment) in zip(folders, MOMENTS, strict=True):
        weights, files = trained(name, folder, resume=is_begun(folder))
        assert all(torch.equal(tensor, whole[name][0][key]) for key, tensor in weights.items()), moment
        assert files == whole[name][1], moment
    assert checkpoint_path(tmp_path / "vae").relative_to(tmp_path / "vae") in whole["vae"][1]
