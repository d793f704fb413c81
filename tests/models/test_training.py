import copy
import math
import os
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import safetensors
import torch
from lightning.pytorch import Callback

from vaelens.errors import VaelensError, VaelensWarning
from vaelens.models import ImageSource, build_model, tensor_file, train
from vaelens.models.batches import Batches, TensorImages
from vaelens.models.checkpoints import load_checkpoint
from vaelens.models.posterior import kl_per_latent
from vaelens.observation import Observation

SHAPE = (3, 16, 16)  # inner convolutions with channels on both sides, so that their memory layout matters
IMAGES = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0))
SHORT = {"steps": 12, "batch_size": 8, "log_every": 4, "checkpoint_every": 5, "progress": False, "device": "cpu"}


def new_model(seed=0, **arguments):
    return build_model(**{"name": "beta-vae", "image_shape": SHAPE, "latent_dim": 3, "seed": seed} | arguments)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of these tiny layers, two are slower
    yield
    torch.set_num_threads(threads)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


class Interrupted(TensorImages):
    """Raises at one batch, as Ctrl-C would."""

    at, calls = 0, 0

    def images_at(self, indices):
        type(self).calls += len(indices) == SHORT["batch_size"]  # the data's fingerprint is of more and fewer images
        if type(self).calls == self.at:
            raise KeyboardInterrupt
        return super().images_at(indices)


def interrupted_at(batch):
    # the first batch is also looked at before training starts
    return type("Interrupted", (Interrupted,), {"at": batch + 2, "calls": 0})(IMAGES)


def test_training_is_adam_on_the_loss():
    # doubles, as Adam divides by the gradient's own size, so that rounding shows where that is tiny
    model, reference = new_model().double(), new_model().double()
    result = train(model, IMAGES, **SHORT | {"log_every": 1})
    optimizer = torch.optim.Adam(reference.parameters(), lr=1e-3)
    losses = []
    for batch in Batches(TensorImages(IMAGES), Observation.image(SHAPE), 8, seed=0, start=0, stop=12):
        images = batch.images.double()
        mu, logvar = reference.encode(images)
        noise = torch.randn(mu.shape, generator=torch.Generator().manual_seed(batch.noise_seed), dtype=mu.dtype)
        logits = reference.logits(mu + torch.exp(0.5 * logvar) * noise)
        bernoulli = torch.nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="sum") / 8
        loss = bernoulli + 4 * kl_per_latent(mu, logvar).sum() / 8
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    for parameter, expected in zip(model.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(parameter, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(result.history["loss"], losses, rtol=1e-5)


def test_the_loss_of_a_learnable_set_falls():
    halves = torch.zeros(2, *SHAPE)
    halves[0, :, :4] = halves[1, :, 4:] = 1.0
    result = train(new_model(name="vae"), halves, steps=100, batch_size=16, log_every=50, progress=False)
    # knowing nothing of the image costs 64 log 2 = 44 nats; knowing which of the two it is, log 2
    assert result.terms["loss"] < 22


def test_a_seed_fixes_everything_and_another_changes_it():
    one, again, other = new_model(), new_model(), new_model()
    first, second = train(one, IMAGES, **SHORT), train(again, IMAGES, **SHORT)
    train(other, IMAGES, **SHORT, seed=1)
    assert same(one, again)
    pd.testing.assert_frame_equal(first.history, second.history)
    assert not same(one, other)


def test_a_batch_depends_on_seed_and_step_alone():
    source = TensorImages(IMAGES)
    whole = list(Batches(source, Observation.image(SHAPE), 8, seed=2, start=0, stop=6))
    rest = list(Batches(source, Observation.image(SHAPE), 8, seed=2, start=4, stop=6))
    for one, other in zip(whole[4:], rest, strict=True):
        assert torch.equal(one.images, other.images)
        assert one.noise_seed == other.noise_seed
    assert not torch.equal(whole[0].images, whole[1].images)


def test_the_result_says_what_was_done():
    result = train(new_model(), IMAGES, **SHORT | {"steps": 10})
    assert result.steps == 10
    assert list(result.history.index) == [4, 8, 10]
    latents = ["kl_0", "kl_1", "kl_2"]
    terms = ["loss", "reconstruction", "kl", "squared_error", "active_latents"]
    assert set(result.history.columns) == {*terms, *latents}
    last = result.history.iloc[-1]
    assert result.terms == last[terms].to_dict()
    assert result.kl_per_latent == list(last[latents])
    assert sum(result.kl_per_latent) == pytest.approx(result.terms["kl"])
    assert list(result.history["active_latents"]) == list((result.history[latents] > 0.01).sum(axis=1))
    assert result.device == "cpu"
    np.testing.assert_allclose(result.history["loss"], result.history["reconstruction"] + 4 * result.history["kl"])


def test_a_resumed_run_ends_as_an_uninterrupted_one_to_the_bit(tmp_path):
    whole, parted = new_model(), new_model(seed=7)  # what it was drawn from does not matter: the checkpoint does
    expected = train(whole, IMAGES, **SHORT, folder=tmp_path / "whole")
    train(new_model(), IMAGES, **SHORT | {"steps": 7}, folder=tmp_path / "parted")
    found = train(parted, IMAGES, **SHORT, folder=tmp_path / "parted", resume=True)
    assert same(whole, parted)
    pd.testing.assert_frame_equal(found.history, expected.history)
    logs = [pd.read_csv(tmp_path / name / "logs" / "metrics.csv") for name in ("whole", "parted")]
    pd.testing.assert_frame_equal(*logs)
    assert list(logs[0]["step"]) == [4, 8, 12]
    one, other = (load_checkpoint(tmp_path / name / "checkpoints" / "last.safetensors") for name in ("whole", "parted"))
    for parameter, state in one.optimizers[0].items():
        assert all(torch.equal(tensor, other.optimizers[0][parameter][name]) for name, tensor in state.items())


@pytest.mark.parametrize(("batch", "kept"), [(3, 3), (5, 5), (9, 9)])
def test_an_interruption_keeps_a_checkpoint_and_says_how_to_go_on(tmp_path, batch, kept):
    whole, parted = new_model(), new_model()
    train(whole, IMAGES, **SHORT)
    with pytest.raises(KeyboardInterrupt, match=rf"after {batch} of 12 steps; go on from step {kept} .*resume=True"):
        train(parted, interrupted_at(batch), **SHORT, folder=tmp_path)
    train(parted, IMAGES, **SHORT, folder=tmp_path, resume=True)
    assert same(whole, parted)


def test_an_interruption_amid_an_update_falls_back_to_the_last_whole_step(tmp_path):
    class Interrupt(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == 7:
                raise KeyboardInterrupt

    whole, parted = new_model(), new_model()
    train(whole, IMAGES, **SHORT)
    with pytest.raises(KeyboardInterrupt, match="after 7 of 12 steps; go on from step 5"):
        train(parted, IMAGES, **SHORT, folder=tmp_path, callbacks=[Interrupt()])
    train(parted, IMAGES, **SHORT, folder=tmp_path, resume=True)
    assert same(whole, parted)


def test_an_interruption_without_a_folder_says_that_nothing_was_saved():
    with pytest.raises(KeyboardInterrupt, match="after 2 of 12 steps; nothing was saved"):
        train(new_model(), interrupted_at(2), **SHORT)


def test_a_finished_run_resumed_is_left_as_it_is(tmp_path):
    model = new_model()
    expected = train(model, IMAGES, **SHORT, folder=tmp_path)
    again = new_model(seed=3)
    found = train(again, IMAGES, **SHORT, folder=tmp_path, resume=True)
    assert same(model, again)
    assert found.terms == expected.terms


def test_everything_is_afterwards_as_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = new_model()
    model.eval()
    model.decoder.train()
    torch.manual_seed(0)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()  # noqa: NPY002
    flags = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    filters = list(warnings.filters)
    with torch.no_grad(), pytest.raises(KeyboardInterrupt):
        train(model, interrupted_at(3), **SHORT)
    train(model, IMAGES, **SHORT)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]  # noqa: NPY002
    assert (torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()) == flags
    assert warnings.filters == filters
    assert [part.training for part in (model, model.encoder, model.decoder)] == [False, False, True]
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())
    assert not list(tmp_path.iterdir())


def test_it_is_quiet_unless_asked(capfd, tmp_path):
    train(new_model(), IMAGES, **SHORT, folder=tmp_path)
    assert capfd.readouterr() == ("", "")
    train(new_model(), IMAGES, **SHORT | {"progress": True})
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "12/12" in shown.err
    assert "Lightning" not in shown.err


def test_a_folder_holds_the_log_and_one_checkpoint(tmp_path):
    train(new_model(), IMAGES, **SHORT, folder=tmp_path / "run")
    files = sorted(str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file())
    assert files == ["run/checkpoints/last.safetensors", "run/logs/metrics.csv"]


def test_a_dataset_is_anything_that_gives_images_by_index():
    class Dataset:
        def __len__(self):
            return len(IMAGES)

        def images_at(self, indices):
            assert indices.dtype == np.int64
            return IMAGES[indices]

    assert isinstance(Dataset(), ImageSource)
    one, other = new_model(), new_model()
    train(one, IMAGES, **SHORT)
    train(other, Dataset(), **SHORT)
    assert same(one, other)


def test_callbacks_see_the_terms_of_each_step():
    seen = []

    class Listener(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            seen.append(outputs["kl"].item())

    result = train(new_model(), IMAGES, **SHORT, callbacks=[Listener()])
    assert len(seen) == 12
    assert np.mean(seen[-4:]) == pytest.approx(result.terms["kl"])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (IMAGES * 255, r"range from 0\.\d+ to 25\d(\.\d+)?, expected \[0, 1\]; for 0\.\.255 use x / 255"),
        (IMAGES - 0.5, r"range from -0\.\d+ to 0\.\d+, expected \[0, 1\]"),
        (torch.full_like(IMAGES, math.nan), "contain NaN or infinite values"),
        (IMAGES.double(), "images of torch.float64; expected torch.float32"),
        (torch.rand(9, 1, 32, 32), r"\(8, 1, 32, 32\) for a batch; this model expects \(8, 3, 16, 16\)"),
        (IMAGES[:0], "data holds no images"),
        ([1, 2], "data is of type list; expected a float32 tensor"),
        (IMAGES.to_sparse(), "data is a tensor of torch.float32, torch.sparse_coo; expected a dense float32 tensor"),
        (IMAGES.to("meta"), r"data is a tensor without values \(meta\); expected a dense"),
        (torch.tensor(1.0), "expected a dense float32 tensor"),
    ],
)
def test_wrong_images_are_refused_and_nothing_is_written(images, message, tmp_path):
    with pytest.raises(VaelensError, match=message):
        train(new_model(), images, **SHORT, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"steps": 0}, "steps is 0; expected a whole number from 1 to 1000000000000"),
        ({"steps": 10**30}, "steps is 1000000000000000000000000000000; expected a whole number from 1"),
        ({"steps": 1.5}, "steps is 1.5; expected"),
        ({"batch_size": -3}, "batch_size is -3; expected"),
        ({"log_every": 0}, "log_every is 0; expected"),
        ({"checkpoint_every": True}, "checkpoint_every is True; expected"),
        ({"lr": 0}, "lr is 0; expected a learning rate above 0 and at most 1"),
        ({"lr": math.nan}, "lr is nan; expected"),
        ({"lr": "fast"}, "lr is 'fast'; expected"),
        ({"lr": 10**400}, "lr is 1000000.*; expected"),
        ({"seed": -1}, "seed is -1; expected"),
        ({"device": "tpu"}, "device 'tpu' was asked for; this machine has cpu"),
        ({"resume": True}, "resume=True needs the folder"),
        ({"overwrite": True}, "overwrite=True needs the folder"),
        ({"folder": ""}, "folder is ''; expected the path"),
        ({"folder": 3}, "folder is 3; expected the path"),
        ({"model": "vae"}, "train expects a vaelens VAE, not str"),
        ({"callbacks": [print]}, "a callback of type builtin_function_or_method; expected Lightning's Callback"),
        ({"logger": "csv"}, "a logger of type str; expected Lightning's Logger"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(VaelensError, match=message):
        train(**{"model": new_model(), "data": IMAGES, **SHORT} | arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="cuda is here")
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(VaelensError, match="device 'cuda' was asked for; this machine has cpu"):
        train(new_model(), IMAGES, **SHORT | {"device": "cuda"})


def poison(at, part):
    """A callback that spoils a part of the model after that many steps."""

    class Poison(Callback):
        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            if batch_idx == at - 1:
                with torch.no_grad():
                    next(pl_module.step.model.get_submodule(part).parameters()).fill_(math.nan)

    return Poison()


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_lost_loss_stops_with_step_and_cause_and_keeps_the_last_good_checkpoint(tmp_path, part):
    path = tmp_path / "checkpoints" / "last.safetensors"
    message = (
        rf"lost at step 8 \(loss nan.*the {part}'s output was the first .*learning rate, 0.001, .* try 0.0001; "
        f"the checkpoint of step 5, from before, is in '{path}'"
    )
    with pytest.raises(VaelensError, match=message):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path, callbacks=[poison(7, part)])
    kept = load_checkpoint(path)
    assert kept.step == 5
    assert all(torch.isfinite(tensor).all() for tensor in kept.weights.values())


@pytest.mark.parametrize("end", [10, 12])  # where a checkpoint is due, and at the end of the run
def test_weights_lost_by_the_last_update_are_not_saved(tmp_path, end):
    class Lose(Callback):
        def on_before_optimizer_step(self, trainer, pl_module, optimizer):
            if trainer.global_step == end - 1:
                pl_module.step.model.decoder[0].weight.grad.fill_(math.nan)

    message = (
        rf"weights were lost at step {end}: the loss was finite, its gradient was not .*decoder.* step {end // 6 * 5}"
    )
    with pytest.raises(VaelensError, match=message):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path, callbacks=[Lose()])
    kept = load_checkpoint(tmp_path / "checkpoints" / "last.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in kept.weights.values())


def test_a_module_of_the_user_s_own_that_divides_by_zero_is_named():
    class Careless(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = torch.nn.Linear(math.prod(SHAPE), 6)

        def forward(self, x):
            return self.dense(x.flatten(1) / x.flatten(1).std(1, keepdim=True))

    halves = torch.cat([IMAGES, torch.zeros(40, *SHAPE)])
    model = new_model(encoder=Careless())
    with pytest.raises(
        VaelensError, match=r"lost at step 1 .*learning rate is not the cause: your encoder, .*Careless"
    ):
        train(model, halves, **SHORT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda model: model.to("meta"), "encoder.conv0.weight is on the meta device, without values"),
        (
            lambda model: model.to(torch.float8_e4m3fn),
            r"encoder.conv0.weight is of torch.float8_e4m3fn; expected weights",
        ),
    ],
)
def test_weights_that_nothing_computes_with_are_neither_trained_nor_saved(change, message, tmp_path):
    with pytest.raises(VaelensError, match=message):
        train(change(new_model()), IMAGES, **SHORT, folder=tmp_path / "run")
    with pytest.raises(VaelensError, match=r"without values; there is nothing to write|does not compute with"):
        change(new_model()).save_pretrained(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_are_refused_and_nothing_is_written(tmp_path):
    model = new_model()
    torch.nn.init.constant_(model.decoder[0].weight, math.nan)
    with pytest.raises(VaelensError, match=r"the model's decoder.* holds NaN or infinity"):
        train(model, IMAGES, **SHORT, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


PRESSING = """
import os, signal, sys, torch
from vaelens.models import build_model, train
from vaelens.observation import Observation
from lightning.pytorch import Callback

class Press(Callback):  # amid step 7, after the forward pass has changed the codebook
    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self.number = batch_idx
    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        if self.number == 6 and optimizer is trainer.optimizers[0]:
            os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
torch.set_num_threads(1)
images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
train(eval(sys.argv[1]), images, folder=sys.argv[2], callbacks=[Press()], **eval(sys.argv[3]))
"""


def test_ctrl_c_lets_the_step_end_and_the_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    arguments = {"name": "factor-vae", "image_shape": (1, 8, 8), "latent_dim": 4}  # the one with two optimizers
    command = [sys.executable, "-c", PRESSING, f"build_model(**{arguments})", str(tmp_path / "parted"), repr(SHORT)]
    stopped = subprocess.run(command, check=False, capture_output=True, text=True)
    assert stopped.returncode != 0
    said = "TrainingInterrupted: training was interrupted after 7 of 12 steps; go on from step 7 with folder="
    assert stopped.stderr.endswith(f"{said}'{tmp_path}/parted', resume=True\n")
    assert load_checkpoint(tmp_path / "parted" / "checkpoints" / "last.safetensors").step == 7

    images = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found = train(build_model(**arguments), images, **SHORT, folder=tmp_path / "parted", resume=True)
    expected = train(build_model(**arguments), images, **SHORT, folder=tmp_path / "whole")
    pd.testing.assert_frame_equal(found.history, expected.history)
    logs = [(tmp_path / folder / "logs" / "metrics.csv").read_text() for folder in ("parted", "whole")]
    assert logs[0] == logs[1]
    one, other = (
        load_checkpoint(tmp_path / folder / "checkpoints" / "last.safetensors") for folder in ("parted", "whole")
    )
    assert len(one.optimizers) == 2
    for mine, yours in ((one.weights, other.weights), (one.discriminator, other.discriminator)):
        assert list(mine) == list(yours)
        assert all(torch.equal(tensor, yours[key]) for key, tensor in mine.items())
    for mine, yours in zip(one.optimizers, other.optimizers, strict=True):
        assert all(torch.equal(t, yours[number][key]) for number in mine for key, t in mine[number].items())


def test_an_application_s_own_handler_of_ctrl_c_is_left_alone():
    pressed = []

    class Press(Callback):
        def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
            if batch_idx == 3:
                os.kill(os.getpid(), signal.SIGINT)

    def handle(signal_number, frame):
        pressed.append(signal_number)

    before = signal.signal(signal.SIGINT, handle)
    try:
        assert train(new_model(), IMAGES, **SHORT, callbacks=[Press()]).steps == 12
        assert signal.getsignal(signal.SIGINT) is handle
    finally:
        signal.signal(signal.SIGINT, before)
    assert pressed == [signal.SIGINT]


def test_a_thread_trains_as_the_main_one():
    one, other, handler = new_model(), new_model(), signal.getsignal(signal.SIGINT)
    train(one, IMAGES, **SHORT)
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, other, IMAGES, **SHORT).result().steps == 12
    assert same(one, other)
    assert signal.getsignal(signal.SIGINT) is handler


def test_an_interruption_before_the_first_step_can_be_gone_on_from(tmp_path):
    whole, parted = new_model(), new_model()
    train(whole, IMAGES, **SHORT)
    with pytest.raises(KeyboardInterrupt, match="after 0 of 12 steps; go on from step 0"):
        train(parted, interrupted_at(0), **SHORT, folder=tmp_path)
    train(parted, IMAGES, **SHORT, folder=tmp_path, resume=True)
    assert same(whole, parted)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    folder = tmp_path_factory.mktemp("begun")
    train(new_model(), IMAGES, **SHORT | {"steps": 5}, folder=folder)
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "is of another run: it was made with seed 0, not 1"),
        ({"batch_size": 4}, "made with batch_size 8, not 4"),
        ({"lr": 1e-2}, "made with lr 0.001, not 0.01"),
        ({"model": new_model(latent_dim=4)}, "made with model .*'latent_dim': 3"),
        ({"data": IMAGES[:30]}, "images 40, not 30"),
        ({"steps": 3}, "already at step 5; ask for at least as many steps, not 3"),
        ({"resume": False}, "is not free: it holds checkpoints, logs; go on with the run in it by resume=True"),
    ],
)
def test_another_run_is_neither_resumed_nor_overwritten(changes, message, begun):
    before = (begun / "checkpoints" / "last.safetensors").read_bytes()
    with pytest.raises(VaelensError, match=message):
        train(**{"model": new_model(), "data": IMAGES, **SHORT, "folder": begun, "resume": True} | changes)
    assert (begun / "checkpoints" / "last.safetensors").read_bytes() == before


def test_other_threads_are_told_and_stand_in_the_record(tmp_path):
    assert train(new_model(), IMAGES, **SHORT | {"steps": 2}, folder=tmp_path).threads == 1
    threads = load_checkpoint(tmp_path / "checkpoints" / "last.safetensors").conditions["threads"]
    assert threads == 1
    torch.set_num_threads(2)
    try:
        with pytest.warns(VaelensWarning, match=r"was made with threads 1, not 2: .*; set OMP_NUM_THREADS, or device"):
            assert train(new_model(), IMAGES, **SHORT | {"steps": 3}, folder=tmp_path, resume=True).threads == 2
    finally:
        torch.set_num_threads(1)


def test_a_run_is_replaced_when_asked_for_and_whole_until_then(tmp_path):
    train(new_model(), IMAGES, **SHORT, folder=tmp_path)
    (tmp_path / "logs" / "mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    message = f"go on from step 7 with folder='{tmp_path}', resume=True"
    with pytest.raises(KeyboardInterrupt, match=message):
        train(new_model(), interrupted_at(7), **SHORT, folder=tmp_path, overwrite=True, seed=1)
    assert {path: path.read_bytes() for path in before} == before
    whole, parted = new_model(), new_model()
    train(whole, IMAGES, **SHORT, seed=1)
    train(parted, IMAGES, **SHORT, folder=tmp_path, resume=True, seed=1)
    assert same(whole, parted)
    files = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert files == ["checkpoints/last.safetensors", "logs/metrics.csv"]
    assert load_checkpoint(tmp_path / "checkpoints" / "last.safetensors").run["seed"] == 1


def test_two_runs_in_one_folder_are_refused_in_another_thread_too(tmp_path):
    class Second(Callback):
        def on_train_start(self, trainer, pl_module):
            with ThreadPoolExecutor() as pool:
                trial = pool.submit(train, new_model(), IMAGES, **SHORT, folder=tmp_path, resume=True)
                refused.append(trial.exception())

    refused = []
    train(new_model(), IMAGES, **SHORT, folder=tmp_path, callbacks=[Second()])
    assert "is being written by another process" in str(refused[0])


def test_a_folder_without_room_is_refused_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(VaelensError, match=r"has 1,000,000 bytes free; checkpoints and model need [\d,]+: make room"):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_batch_of_more_than_a_gibibyte_of_images_is_refused():
    message = "batch_size is 1000000000; expected at most 349525, as the images of a batch may take 1 GiB"
    with pytest.raises(VaelensError, match=message):
        train(new_model(), IMAGES, **SHORT | {"batch_size": 10**9})


@pytest.mark.parametrize(("step", "kept"), [(0, None), (4, 0), (10, 5)])
def test_a_disk_that_is_full_is_one_sentence_and_what_was_saved_is_whole(step, kept, tmp_path, monkeypatch):
    saved, written = [], tensor_file.safetensors.torch.save_file

    def save_file(tensors, path, **options):
        if len(saved) * 5 >= step:
            path.write_bytes(b"half")
            raise safetensors.SafetensorError("Error: I/O error: No space left on device (os error 28)")
        saved.append(written(tensors, path, **options))

    monkeypatch.setattr(tensor_file.safetensors.torch, "save_file", save_file)
    full = r"checkpoints' cannot be written \(No space left on device\); what was there before is as it was"
    with pytest.raises(VaelensError, match=full):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path / "run")
    monkeypatch.undo()
    assert (tmp_path / "run").exists() == (kept is not None)
    if kept is not None:
        whole, parted = new_model(), new_model()
        assert load_checkpoint(tmp_path / "run" / "checkpoints" / "last.safetensors").step == kept
        train(whole, IMAGES, **SHORT)
        train(parted, IMAGES, **SHORT, folder=tmp_path / "run", resume=True)
        assert same(whole, parted)


def test_a_log_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    def save(self):
        if self.metrics:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("lightning.pytorch.loggers.csv_logs.ExperimentWriter.save", save)
    with pytest.raises(VaelensError, match=r"cannot be written \(No space left on device\)"):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path)


def test_nothing_or_a_damaged_checkpoint_to_resume_is_an_error(tmp_path):
    with pytest.raises(VaelensError, match=r"there is nothing to resume: no .*last.safetensors"):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path, resume=True)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "last.safetensors").write_bytes(b"pickle")
    with pytest.raises(VaelensError, match="is damaged"):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path, resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(VaelensError, match="is a file; give a folder"):
        train(new_model(), IMAGES, **SHORT, folder=tmp_path / "file")


def test_no_buffer_takes_gradients_after_a_training_that_took_none_before():
    model = build_model("vq-vae", image_shape=(1, 8, 8), latent_dim=4, codes=8)
    assert not any(buffer.requires_grad for buffer in model.buffers())

    train(model, torch.rand(16, 1, 8, 8), steps=3, batch_size=4, progress=False, device="cpu")

    assert not any(buffer.requires_grad for buffer in model.buffers())
    assert copy.deepcopy(model.double()).training == model.training  # a copy of a cast, as of a move from a GPU
