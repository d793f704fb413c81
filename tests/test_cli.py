import json
import re
import subprocess
import sys
import threading
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
import typer

import vaelens as vl
from vaelens.analysis.shares import shares
from vaelens.cli import app, main
from vaelens.report import sentences
from vaelens.writing import sole_writer


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


@pytest.fixture(autouse=True)
def _few_codes(monkeypatch):
    """Scores take most of an analysis's time."""
    few = {"scored": 64, "predicted": 64}
    monkeypatch.setattr("vaelens.analysis.parts.shares", lambda *given: replace(shares(*given), **few))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "digits"
    assert run("train", "--dataset", "digits", "--steps", 12, "--latent-dim", 3, "--out", folder) == 0
    return folder


def test_training_leaves_a_model_and_how_it_was_made(trained):
    model = vl.VAE.from_pretrained(trained)
    assert (model.objective, model.latent_dim, model.image_shape) == ("vae", 3, (1, 32, 32))
    record = json.loads((trained / "training.json").read_text())
    assert (record["steps"], record["seed"], record["dataset"]["name"]) == (12, 0, "digits")
    assert record["terms"]["loss"] == pytest.approx(record["terms"]["reconstruction"] + record["terms"]["kl"])


def test_training_ends_with_where_the_model_is(tmp_path, capsys):
    assert run("train", "--dataset", "digits", "--model", "beta-vae", "--beta", 2, "--steps", 2, "--out", tmp_path) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"model: {tmp_path}"
    assert vl.VAE.from_pretrained(tmp_path).hyperparameters == {"beta": 2.0}


def test_a_training_resumes_to_the_weights_of_an_uninterrupted_one(trained, tmp_path):
    common = ("--dataset", "digits", "--latent-dim", 3, "--out", tmp_path)
    assert run("train", *common, "--steps", 5) == 0
    assert run("train", *common, "--steps", 12, "--resume") == 0
    assert (tmp_path / "model.safetensors").read_bytes() == (trained / "model.safetensors").read_bytes()


def test_analysing_leaves_analysis_and_report_and_says_where(trained, tmp_path, capsys):
    out = tmp_path / "analysis"
    assert run("analyse", trained, "--images", 8, "--out", out) == 0  # on what it was trained on
    printed = capsys.readouterr().out.splitlines()
    assert all(line.startswith("· ") for line in printed[:-2])
    assert 1 <= len(printed[:-2]) <= 5
    assert printed[-2:] == [f"analysis: {out}", f"report: {out / 'report.html'}"]
    assert (out / "report.html").read_text().startswith("<!DOCTYPE html>")
    assert vl.Analysis.load(out).provenance["dataset"]["name"] == "digits"
    report = (out / "report.html").read_bytes()
    command = ("analyse", trained, "--dataset", "digits", "--images", 8, "--out", out)
    assert run(*command) == 1
    assert "holds this very analysis and its report already; give another --out, or --over" in capsys.readouterr().err
    assert run(*command, "--seed", 1) == 1
    assert "holds another analysis, with seed 0, not 1; give another folder" in capsys.readouterr().err
    (out / "report.html").unlink()  # as if it had been cut off before the report
    assert run(*command) == 0
    assert (out / "report.html").read_bytes() == report
    next((out / "effects").glob("pictures-*.nc")).unlink()
    assert run(*command) == 0
    assert (out / "report.html").read_bytes() == report


def test_parts_are_chosen_and_each_line_is_there_as_it_ends(trained, tmp_path, capsys):
    out = tmp_path / "analysis"
    chosen = ("--only", "latent,modes", "--only", "pictures", "--skip", "modes", "--minutes", 1)
    assert run("analyse", trained, "--dataset", "digits", "--images", 8, "--out", out, *chosen, "--json") == 0
    assert list(vl.Analysis.load(out).effects) == ["latent", "pictures"]
    printed, analysis = capsys.readouterr(), vl.Analysis.load(out)
    told = json.loads(printed.out)
    assert told["analysis"] == str(out)
    assert told["report"] == str(out / "report.html")
    assert told["scores"]["ces"]["value"] == analysis.scores.value["ces"]
    assert told["sentences"] == sentences(analysis)
    estimate, *lines = printed.err.splitlines()
    assert estimate.startswith("vaelens: the analysis will take up to about ")
    assert [line.split(":")[1].strip() for line in lines] == ["latent", "pictures"]


@pytest.mark.parametrize("name", ["report.html", "scores.csv"])
def test_files_of_these_names_that_are_no_analysis_are_not_replaced(name, trained, tmp_path, capsys):
    (tmp_path / name).write_text("mine")
    assert run("analyse", trained, "--dataset", "digits", "--images", 8, "--out", tmp_path) == 1
    assert "and no analysis; give another" in capsys.readouterr().err
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_no_command_and_a_mistyped_one_are_said_plainly(capsys):
    assert run() == 2
    assert capsys.readouterr().err.endswith("vaelens: no command given. See vaelens --help.\n")
    assert run("analyze") == 2
    assert "Did you mean 'analyse'? See vaelens --help." in capsys.readouterr().err


def test_one_writer_at_a_time(trained, tmp_path, capsys):
    with sole_writer(tmp_path / "analysis"):
        thread = threading.Thread(
            target=lambda: run("analyse", trained, "--dataset", "digits", "--out", tmp_path / "analysis")
        )
        thread.start()
        thread.join()
    assert "is being written by another process; wait until it has ended" in capsys.readouterr().err


def test_a_reader_is_trained_on_request_and_what_it_reads_is_told(trained, tmp_path, capsys, monkeypatch):
    whole = vl.factor_reader
    monkeypatch.setattr(vl, "factor_reader", lambda ds, **options: whole(ds, steps=100, **options))
    out = tmp_path / "analysis"
    assert run("analyse", trained, "--dataset", "digits", "--images", 8, "--out", out, "--reader", "--verbose") == 0
    printed = capsys.readouterr().out
    assert "how it was made" in printed
    assert "FactorReader of digits" in printed
    assert vl.Analysis.load(out).effects["read"].factor.values.tolist() == ["label"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--dataset", "digit"], "unknown dataset 'digit'; known: sprites, "),
        (["train", "--model", "betavae"], "unknown model 'betavae'; known: vae, beta-vae,"),
        (["train", "--beta", "2"], "unknown hyperparameter of vae 'beta'; known: none"),
        (["train", "--model", "vq-vae", "--beta", "2"], "'beta'; known: codes, commitment, decay, revival"),
        (
            ["train", "--model", "annealed-vae", "--annealing-steps", "0"],
            "annealing_steps is 0; expected a whole number",
        ),
        (["train", "--model", "annealed-vae", "--annealing-steps", "1.5"], "Invalid value for '--annealing-steps'"),
        (["train", "--model", "vq-vae", "--codes", "1"], "codes is 1; expected a whole number from 2 to 65536"),
        (["train", "--model", "beta-tc-vae", "--sampling", "stratify"], "did you mean 'stratified'?"),
        (["train", "--warm-up", "lr"], "--warm-up is 'lr'; expected a name and a number of steps, such as beta=1000"),
        (["train", "--cyclical", "lr=-5"], "--cyclical is 'lr=-5'; expected a name and a number of steps"),
        (["train", "--cosine-decay", "lr=0"], "steps is 0; expected a whole number of at least 1"),
        (["train", "--warm-up", "beta=9"], "unknown name to schedule for vae 'beta'; known: lr"),
        (["train", "--warm-up", "lr=9", "--cosine-decay", "lr=9"], "lr has two schedules"),
        (["train", "--model", "beta-vae", "--beta", "-1"], "expected a number from 0 to 1000"),
        (["train", "--steps", "0"], "steps is 0; expected a whole number from 1 to 1000000000000"),
        (["train", "--steps", "many"], "Invalid value for '--steps'"),
        (["train", "--batch-size", "0"], "batch_size is 0"),
        (["train", "--lr", "7"], "lr is 7.0; expected a learning rate above 0 and at most 1"),
        (["train", "--lr", "nan"], "lr is nan"),
        (["train", "--latent-dim", "0"], "latent_dim is 0; expected a whole number from 1 to 256"),
        (["train", "--likelihood", "normal"], "unknown likelihood 'normal'"),
        (["train", "--device", "tpu"], "device 'tpu' was asked for; this machine has"),
        (["train", "--seed", "-1"], "Invalid value for '--seed'"),
        (["train", "--root", "somewhere"], "sprites is built in and reads no files"),
        (["train", "--resume"], "there is nothing to resume"),
        (["train", "--stepz", "5"], "No such option: --stepz"),
    ],
)
def test_a_wrong_argument_of_train_is_one_sentence_and_writes_nothing(arguments, message, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(*arguments, "--out", out) in (1, 2)
    printed = capsys.readouterr()
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1
    assert "Traceback" not in printed.err
    assert not out.exists()


def test_a_missing_option_and_an_unknown_command_are_one_sentence(capsys):
    assert run("train") == 2
    assert capsys.readouterr().err.startswith("vaelens: Missing option '--out'")
    assert run("explain") == 2
    assert capsys.readouterr().err.startswith("vaelens: No such command 'explain'")


def test_a_wrong_argument_of_analyse_is_one_sentence_and_writes_nothing(trained, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    cases = [
        (["analyse", tmp_path / "nowhere", "--dataset", "digits"], "there is no folder"),
        (["analyse", tmp_path / "empty", "--dataset", "digits"], "config.json"),
        (["analyse", trained, "--dataset", "sprites"], "takes images of 1×32×32, sprites has 1×64×64"),
        (["analyse", trained, "--dataset", "digits", "--images", "3"], "needs at least 8"),
        (["analyse", trained, "--dataset", "digits", "--out", tmp_path / "file"], "is a file; give a folder"),
        (["analyse", trained, "--dataset", "digits", "--device", "abacus"], "device 'abacus' was asked for"),
        (["analyse", trained, "--dataset", "digits", "--only", "latent,patchin"], "did you mean 'patching'?"),
        (["analyse", trained, "--dataset", "digits", "--skip", "latnt"], "did you mean 'latent'?"),
        (["analyse", trained, "--dataset", "digits", "--minutes", "0"], "minutes is 0.0; expected how long"),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 1
        printed = capsys.readouterr().err
        assert message in printed
        assert len(printed.splitlines()) == 1
    assert run("analyse", trained, "--dataset", "digits", "--out", "") == 2
    assert "it is empty; give a folder" in capsys.readouterr().err
    assert not (trained / "analysis").exists()


def test_training_refuses_to_overwrite_a_run(trained, capsys):
    assert run("train", "--dataset", "digits", "--latent-dim", 3, "--steps", 12, "--out", trained) == 1
    assert "--resume" in capsys.readouterr().err


HYPERPARAMETERS = [(one, given) for one in vl.CATALOGUE.values() for given in one.hyperparameters]


@pytest.mark.parametrize("width", [80, 120])
def test_models_lists_every_objective_and_all_about_it(width, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("models") == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed
    words = " ".join(printed.split())
    for objective in vl.CATALOGUE.values():
        assert f" {objective.name} {objective.formula} {objective.source}; " in words
    for _, given in HYPERPARAMETERS:
        default = given.default if isinstance(given.default, str) else f"{given.default:.10g}"
        assert re.search(rf"\s{given.name}\s+{re.escape(default)}\s", printed)
    if width == 120:
        assert "weight of the KL divergence; 1 is the plain VAE; a number from 0 to 1000" in words
        assert "van den Oord et al. 2017; codes of 64 dimensions unless said otherwise" in words


def test_train_has_an_option_for_each_hyperparameter_of_the_catalogue():
    options = {option.name: option for option in typer.main.get_command(app).commands["train"].params}
    for objective, given in HYPERPARAMETERS:
        option = options[given.name]
        assert option.opts == [f"--{given.name.replace('_', '-')}"]
        assert option.default is None
        assert objective.name in option.rich_help_panel
        assert given.meaning in option.help
        assert given.range in option.help
    shared = options["beta"].help
    assert shared.startswith("beta-vae: weight of the KL divergence; 1 is the plain VAE (default 4; a number from 0 to")
    assert "beta-tc-vae: weight of the total correlation; 1 is the plain VAE (default 6; " in shared
    assert all(name in options["model"].help for name in vl.CATALOGUE)


def test_hyperparameters_and_latents_are_the_objective_s_own_unless_given(tmp_path, capsys):
    arguments = ("--dataset", "digits", "--model", "vq-vae", "--steps", 2, "--batch-size", 8, "--commitment", 0.5)
    assert run("train", *arguments, "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    model = vl.VAE.from_pretrained(tmp_path)
    assert model.latent_dim == 64
    assert model.hyperparameters == {"codes": 512, "commitment": 0.5, "decay": 0.99, "revival": 0.1}
    assert re.search(r"^codes in use: \d+\.\d of 512 \(perplexity of a batch\)$", printed, re.MULTILINE)
    assert "active latents" not in printed


def test_training_ends_with_its_terms_and_the_active_latents(tmp_path, capsys):
    arguments = ("--dataset", "digits", "--model", "dip-vae-ii", "--steps", 2, "--batch-size", 8, "--latent-dim", 2)
    assert run("train", *arguments, "--lambda-d", 3, "--out", tmp_path) == 0
    first, error, active, _ = capsys.readouterr().out.splitlines()
    terms = r"loss \S+, reconstruction \S+, kl \S+, off_diagonal \S+, diagonal \S+"
    assert re.fullmatch(rf"2 steps; at the end: {terms}", first)
    assert re.fullmatch(r"squared error a pixel: 0\.\d+", error)
    assert re.fullmatch(r"active latents: [012] of 2; KL of each, in nats: \d\.\d\d \d\.\d\d", active)
    assert vl.VAE.from_pretrained(tmp_path).hyperparameters == {"lambda_od": 10.0, "lambda_d": 3.0}


def test_schedules_are_taken_and_kept(tmp_path):
    arguments = ("--dataset", "digits", "--model", "factor-vae", "--steps", 2, "--batch-size", 8, "--latent-dim", 2)
    schedules = ("--warm-up", "gamma=4", "--warm-up", "discriminator-lr=9", "--cosine-decay", "lr=8")
    assert run("train", *arguments, *schedules, "--out", tmp_path) == 0
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["schedules"] == {
        "gamma": "WarmUp(steps=4, start=0.0)",
        "discriminator_lr": "WarmUp(steps=9, start=0.0)",
        "lr": "CosineDecay(steps=8, end=0.0)",
    }
    assert record["terms"]["gamma"] == pytest.approx((0 + 35 / 4) / 2)


def test_a_warning_is_one_line_and_the_command_goes_on(tmp_path, capsys, monkeypatch):
    def warn(self):
        warnings.warn("it goes on,\nin vain", vl.VaelensWarning, stacklevel=2)

    monkeypatch.setattr("vaelens.models.watch.Watch.begin", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert run("train", "--dataset", "digits", "--steps", 1, "--batch-size", 2, "--out", tmp_path) == 0
    told = [line for line in capsys.readouterr().err.splitlines() if "vain" in line]
    assert told == ["vaelens: warning: it goes on, in vain"]


def test_debug_shows_the_traceback(tmp_path):
    with pytest.raises(vl.VaelensError, match="unknown dataset 'x'"):
        main(["train", "--dataset", "x", "--out", str(tmp_path), "--debug"])


def test_help_and_version_do_not_import_torch():
    commands = ([], ["train"], ["analyse"], ["quickstart"], ["models"], ["data"], ["data", "fetch"], ["data", "import"])
    for arguments in (*([*command, "--help"] for command in commands), ["--version"], ["models"]):
        code = (
            "import sys; from vaelens.cli import main\n"
            f"try: main({arguments!r})\n"
            "except SystemExit as stop: sys.exit(bool(stop.code) or 'torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


def test_quickstart_trains_explains_and_goes_on_when_run_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("vaelens.cli.quickstart._STEPS", 3)
    monkeypatch.setattr("vaelens.cli.quickstart._IMAGES", 8)
    for _ in range(2):
        assert run("quickstart", "--out", tmp_path) == 0
        assert capsys.readouterr().out.splitlines()[-1] == f"report: {tmp_path / 'analysis' / 'report.html'}"
    provenance = vl.Analysis.load(tmp_path / "analysis").provenance
    assert provenance["dataset"]["name"] == "sprites"
    assert provenance["images_seen_in_training"] == "held out"
    assert provenance["threads"] == torch.get_num_threads()
    assert provenance["conditional_on"].startswith("Intervals are about other images under this one trained model")


def test_tensorboard_gets_the_terms_too(tmp_path):
    pytest.importorskip("tensorboard")
    assert run("train", "--dataset", "digits", "--steps", 2, "--latent-dim", 2, "--tensorboard", "--out", tmp_path) == 0
    assert list((tmp_path / "tensorboard").rglob("events.out.tfevents.*"))


def test_an_interruption_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt("training was interrupted after 7 of 9 steps; go on from step 5")

    monkeypatch.setattr(vl, "train", interrupted)
    assert run("train", "--dataset", "digits", "--out", tmp_path) == 130
    assert capsys.readouterr().err == "vaelens: training was interrupted after 7 of 9 steps; go on from step 5\n"


def test_a_folder_of_pictures_is_trained_on_with_its_options(tmp_path, capsys):
    from PIL import Image

    for k in range(9):
        picture = np.full((20 + k, 30, 3), 20 * k, np.uint8)
        (tmp_path / "pictures").mkdir(exist_ok=True)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"{k}.png")
    given = ["--dataset", "folder", "--root", tmp_path / "pictures", "--dataset-option", "size=16"]
    assert run("train", *given, "--steps", 2, "--batch-size", 4, "--latent-dim", 2, "--out", tmp_path / "model") == 0
    described = json.loads((tmp_path / "model" / "training.json").read_text())["dataset"]
    assert (described["image_shape"], described["options"]["size"]) == ([3, 16, 16], [16, 16])
    assert run("train", *given[:-1], "size", "--out", tmp_path / "other") == 1
    assert "--dataset-option is 'size'; expected NAME=VALUE" in capsys.readouterr().err
    assert run("train", *given[:-1], "sizes=16", "--out", tmp_path / "other") == 1
    assert "did you mean 'size'?" in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_the_package_runs_as_the_command_does():
    ran = subprocess.run([sys.executable, "-m", "vaelens", "--help"], capture_output=True, text=True, check=True)
    assert "analyse" in ran.stdout
