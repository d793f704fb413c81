"""What `vaelens train` and `vaelens quickstart` promise about their folder: odd folders, limits, kills."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import vaelens as vl
from vaelens.analysis.manifest import Manifest, write_manifest
from vaelens.cli import main
from vaelens.models.run_folder import checkpoint_path

SMALL = ["--dataset", "digits", "--latent-dim", "2", "--batch-size", "8", "--steps", "3"]


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def refused(capsys, *arguments):
    """The one sentence with which a command is refused."""
    assert run(*arguments) in (1, 2)
    printed = capsys.readouterr()
    assert len(printed.err.splitlines()) == 1, printed.err
    assert "Traceback" not in printed.err
    assert "fault of vaelens" not in printed.err
    return printed.err


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert run("train", *SMALL, "--out", folder) == 0
    return folder


@pytest.mark.parametrize(
    ("name", "text"),
    [("config.json", '{"_class_name": "AutoencoderKL"}'), ("model.safetensors", "weights"), ("logs/mine.txt", "words"),
     ("analysis/effects.nc", "effects"), ("tensorboard/events", "x"), ("checkpoints/best.ckpt", "x")],
)  # fmt: skip
def test_nothing_that_is_in_out_is_replaced_unasked(name, text, tmp_path, capsys):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    for command in (["train", *SMALL], ["quickstart"]):
        said = refused(capsys, *command, "--out", tmp_path)
        assert f"is not free: it holds {name.split('/')[0]}; go on with the run in it by resume=True (--resume)" in said
    assert contents(tmp_path) == {name: text.encode()}


def test_a_model_without_checkpoints_is_replaced_only_when_asked_for(trained, tmp_path, capsys):
    vl.VAE.from_pretrained(trained).save_pretrained(tmp_path)
    before = contents(tmp_path)
    assert "--overwrite" in refused(capsys, "train", *SMALL, "--model", "beta-vae", "--out", tmp_path)
    assert "there is nothing to resume" in refused(capsys, "train", *SMALL, "--resume", "--out", tmp_path)
    assert contents(tmp_path) == before
    (tmp_path / "README.md").write_text("my words")
    assert run("train", *SMALL, "--model", "beta-vae", "--overwrite", "--out", tmp_path) == 0
    assert vl.VAE.from_pretrained(tmp_path).objective == "beta-vae"
    assert (tmp_path / "README.md").read_text() == "my words"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "checkpoints", "config.json", "logs", "model.safetensors", "training.json"
    ]  # fmt: skip


def test_a_tilde_is_the_home_folder_and_an_empty_path_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert run("train", *SMALL, "--out", "~/run", "--tensorboard") == 0
    assert capsys.readouterr().out.endswith(f"model: {tmp_path}/home/run\n")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    names = {path.name for path in (tmp_path / "home" / "run").iterdir()}
    assert {"checkpoints", "logs", "tensorboard", "model.safetensors", "training.json"} <= names
    for command in ("train", "quickstart"):
        assert "--out is ''; expected the path" in refused(capsys, command, "--out", "")
    assert "MODEL is ''; expected the path" in refused(capsys, "analyse", "", "--dataset", "digits")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "a\0b"], "no file or folder can have a zero byte"),
        (["--out", os.fsdecode(b"caf\xe9")], "a name that is not UTF-8"),
        (["--out", "x" * 300], "cannot be written (File name too long)"),
        (["--out", "~nobody-of-that-name/run"], "there is no such home folder"),
        (["--out", "file"], "'file' is a file; give a folder"),
        (["--out", "file/run"], "lies under a file"),
        (["--out", "broken"], "cannot be written (File exists)"),
        (["--out", "run", "--root", ""], "--root is ''; expected the path"),
        (["--out", "run", "--resume", "--overwrite"], "were both asked for; give one of them"),
        (["--out", "run", "--batch-size", "1000000000"], "batch_size is 1000000000; expected at most 262144"),
        (["--out", "run", "--latent-dim", "1000000000"], "expected a whole number from 1 to 256"),
        (["--out", "run", "--model", "vq-vae", "--codes", "1000000000"], "expected a whole number from 2 to 65536"),
        (["--out", "run", "--steps", "1e3"], "Invalid value for '--steps'"),
        (["--out", "run", "--seed", "9" * 30], "expected a whole number from 0 to 9223372036854775807"),
        (["--out", "run", "--warm-up", "lr=" + "9" * 5000], "expected a name and a number of steps"),
        (["--out", "run", "--dataset", ""], "unknown dataset ''"),
    ],
)
def test_an_odd_option_is_one_sentence_and_leaves_nothing(arguments, message, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("broken").symlink_to("nowhere")
    assert message in refused(capsys, "train", *SMALL, *arguments)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "file"]


@pytest.mark.parametrize(("side", "cure"), [(48, "size=64"), (20, "size=28"), (200, "size=128")])
def test_an_image_size_that_ours_do_not_build_for_is_told_what_would_do(side, cure, tmp_path, capsys):
    from PIL import Image

    for k in range(3):
        Image.fromarray(np.full((side, side, 3), 20 * k, np.uint8)).save(tmp_path / f"{k}.png")
    command = ["train", "--dataset", "folder", "--root", tmp_path, "--steps", 1, "--batch-size", 2]
    said = refused(capsys, *command, "--out", tmp_path / "run")
    assert f"a folder of pictures takes {cure} (--dataset-option {cure}), or give encoder= and decoder= of your" in said
    assert run(*command, "--dataset-option", cure, "--out", tmp_path / "run") == 0


def test_other_images_of_the_same_number_are_not_resumed_on(tmp_path, capsys):
    for name, seed in (("one", 0), ("two", 1)):
        np.save(tmp_path / f"{name}.npy", np.random.default_rng(seed).integers(0, 256, (9, 1, 8, 8), dtype=np.uint8))
    command = ["train", "--dataset", "array", "--batch-size", 4, "--latent-dim", 2, "--out", tmp_path / "run"]
    assert run(*command, "--steps", 1, "--root", tmp_path / "one.npy") == 0
    capsys.readouterr()
    said = refused(capsys, *command, "--steps", 2, "--resume", "--root", tmp_path / "two.npy")
    assert "is of another run: it was made with data of the hash " in said


def test_the_record_has_the_threads_and_files_the_permissions_of_the_umask(tmp_path):
    import torch

    before = os.umask(0o027)
    try:
        assert run("train", *SMALL, "--out", tmp_path / "run") == 0
    finally:
        os.umask(before)
    assert json.loads((tmp_path / "run" / "training.json").read_text())["threads"] == torch.get_num_threads()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").rglob("*")}
    assert modes == {
        **dict.fromkeys(["checkpoints", "logs"], 0o750),
        **dict.fromkeys(["README.md", "config.json", "model.safetensors", "training.json", "metrics.csv"], 0o640),
        "last.safetensors": 0o640,
    }


COMMAND = [sys.executable, "-c", "from vaelens.cli import main; main()"]


@pytest.fixture
def begin():
    """Starts a command in a process of its own, which does not outlive the test."""
    begun = []

    def start(*arguments, **options):
        command = [*COMMAND, *map(str, arguments)]
        begun.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options))
        return begun[-1]

    yield start
    for process in begun:
        process.kill()
        process.communicate()


def test_a_run_says_where_to_go_on_in_words_of_the_command_line_and_has_its_folder_to_itself(begin, tmp_path, capsys):
    long = [*SMALL[:-1], "1000000", "--out", tmp_path]
    running = begin("train", *long, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while running.poll() is None and not checkpoint_path(tmp_path).exists():
        time.sleep(0.05)
    begun = time.monotonic()
    for option in ([], ["--resume"], ["--overwrite"]):
        assert "is being written by another process; wait until" in refused(capsys, "train", *long, *option)
    assert time.monotonic() - begun < 3
    running.send_signal(signal.SIGINT)
    _, said = running.communicate()
    assert running.returncode == 130
    *_, last = said.splitlines()
    assert "training was interrupted after " in last
    assert last.endswith(" by the same command with --resume")
    assert "resume=True" not in said

    log = tmp_path / "logs" / "metrics.csv"
    for stop, status in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        running = begin("train", *long, "--resume")
        log.parent.mkdir(exist_ok=True)
        log.write_text("of the run before")
        while running.poll() is None and not (log.exists() and log.read_text().count("\n") > 1):
            time.sleep(0.05)
        running.send_signal(stop)
        _, said = running.communicate()
        assert running.returncode == status
        if stop == signal.SIGTERM:
            assert said.splitlines()[-1].startswith("vaelens: training was interrupted after ")
            assert said.splitlines()[-1].endswith(" by the same command with --resume")
    assert "already at step" in refused(capsys, "train", *SMALL, "--out", tmp_path, "--resume")  # not locked any more
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "logs"]


@contextmanager
def file_size_limit(limit):
    """In this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_file_size_limit_is_one_sentence_and_what_was_there_is_whole(begin, tmp_path, capsys):
    out = tmp_path / "run"
    command = ["train", *SMALL[:-1], "4", "--out", out]
    assert run(*command[:-3], "3", "--out", out) == 0
    before = contents(out)
    limited = begin(
        *command, "--overwrite", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**10, 2**10))
    )
    _, said = limited.communicate()
    assert limited.returncode == 1
    with file_size_limit(5 * 2**20):
        assert run(*command, "--overwrite") == 1
    for told in (said, capsys.readouterr().err):
        sentence = "cannot be written (File too large); what was there before is as it was: make room"
        assert sentence in told.splitlines()[-1]
    assert {name: content for name, content in contents(out).items() if not name.startswith(".replacement")} == before


def test_output_that_cannot_be_printed_is_one_sentence_and_the_model_is_kept(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, "train", *SMALL, "--out", str(tmp_path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "vaelens: [Errno 28] No space left on device"
    assert vl.VAE.from_pretrained(tmp_path).latent_dim == 2


def test_quickstart_replaces_no_analysis_but_its_own(trained, tmp_path, capsys):
    (tmp_path / "analysis").mkdir()
    of_512 = {"seed": 0, "images": 512, "dataset": {"name": "sprites"}}
    for record in (
        of_512,
        of_512 | {"images": 256, "seed": 1},
        of_512 | {"images": 256, "dataset": {"name": "room"}},
        {},
    ):
        write_manifest(tmp_path / "analysis" / "manifest.json", Manifest(record, {}))
        before = (tmp_path / "analysis" / "manifest.json").read_bytes()
        assert "holds an analysis that quickstart did not make" in refused(capsys, "quickstart", "--out", tmp_path)
        assert (tmp_path / "analysis" / "manifest.json").read_bytes() == before
    (tmp_path / "analysis" / "manifest.json").write_text("[")
    assert "holds an analysis that quickstart did not make" in refused(capsys, "quickstart", "--out", tmp_path)
    assert "is of another run: it was made with" in refused(capsys, "quickstart", "--out", trained)
