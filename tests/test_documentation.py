"""Every block of Python in the documentation runs, page by page, on small models and data; every command is one.

What a block takes for granted (`images`, `module`, a folder of photos) is in `given`. What takes long is shortened in
`shortened`: few steps, few images, circuits of a planted model, a study that is planned but not run.
"""

import functools
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import typer
from PIL import Image
from torch import nn

import vaelens as vl
from study.simulated import trade_off_table
from vaelens.cli import app

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
TEXTS = {page: page.read_text() for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))}
PAGES = [page for page, text in TEXTS.items() if BLOCK.search(text)]
COMMANDS = re.findall(r"^(vaelens .*)$", "\n".join(TEXTS.values()), re.MULTILINE)


LEVELS = ("latent", "input", "patching", "mediation")


class OwnModule(nn.Module):
    """A VAE as a user has it, with the submodules that the pages name."""

    def __init__(self, channels=1):
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Conv2d(channels, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 4, 2, 1), nn.ReLU()),
            *(layer for _ in range(3) for layer in (nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU())),
            *(nn.Flatten(), nn.Linear(64, 3)),
        )
        self.decoder = OwnDecoder(channels)

    def encode(self, x):
        return self.encoder(x)

    def decode(self, z):
        return self.decoder(z)


class OwnDecoder(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Linear(3, 64)
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, 1, 1), nn.ReLU())
        self.shared = nn.Conv2d(4, 4, 3, 1, 1)
        self.up = nn.Sequential(nn.ConvTranspose2d(4, 4, 4, 2, 1), nn.ConvTranspose2d(4, channels, 4, 2, 1))

    def forward(self, z):
        hidden = self.block(self.first(z).relu().view(-1, 4, 4, 4))
        return self.up(self.shared(self.shared(hidden).relu()).relu()).sigmoid()


class Sized(nn.Module):
    """A part of docs/models.md: images (3, 48, 80) to 2 × 6 numbers, or 6 numbers to images."""

    def __init__(self, into, out, shape):
        super().__init__()
        self.layer, self.shape = nn.Linear(into, out), shape

    def forward(self, x):
        return self.layer(x.flatten(1)).view(-1, *self.shape)


class HalvesReader:
    """Reads off an image which half is the brighter one."""

    factors, accuracy = ("half",), {"half": 1.0}

    def __init__(self, image_shape):
        self.image_shape = image_shape

    def read(self, images):
        left, right = (half.mean(dim=(1, 2, 3)) for half in images.chunk(2, dim=3))
        return {"half": torch.stack([left, right], dim=1).softmax(dim=1)}


def of_two_images(function, lens, *images, **options):
    if "context" in options:
        options["context"] = options["context"][:2]
    return function(lens, *(x[:2] for x in images), **options)


@pytest.fixture
def shortened(monkeypatch):
    """Makes small what a page would do for minutes."""
    load, train, analyse = vl.load_dataset, vl.train, vl.analyse
    latent, changed, patched, mediated = (getattr(vl, f"{level}_effects") for level in LEVELS)
    build = vl.build_model

    def small_dataset(name, **options):
        if name == "room":  # whose rays take seconds
            return vl.ArrayDataset(torch.rand(16, 3, 16, 16))
        return load(name, **(options | {"size": 16} if name == "sprites" else options))

    def small_model(name, image_shape=(1, 64, 64), **options):
        return build(name, image_shape=(3, 16, 16) if image_shape == (3, 64, 64) else image_shape, **options)

    def short_analysis(lens, ds, **options):
        return analyse(lens, ds, n=8, progress=False, only=["latent", "pictures"], folder=options.get("folder"))

    monkeypatch.setattr(vl, "load_dataset", small_dataset)
    monkeypatch.setattr(vl, "build_model", small_model)
    monkeypatch.setattr(vl, "train", lambda *given, **options: train(*given, **options | {"steps": 2, "batch_size": 8}))
    monkeypatch.setattr(vl, "analyse", short_analysis)
    folder = vl.FolderDataset
    monkeypatch.setattr(vl, "FolderDataset", lambda root, **options: folder(root, **options | {"size": 16}))
    monkeypatch.setattr(vl, "factor_reader", lambda ds: HalvesReader(ds.image_shape))
    planted, discover = vl.planted_model("aligned", depth=2), vl.discover_circuit
    monkeypatch.setattr(vl, "discover_circuit", lambda *_: discover(planted.lens, planted.dataset, "first", n=4))
    monkeypatch.setattr(vl, "latent_effects", functools.partial(of_two_images, latent))
    monkeypatch.setattr(vl, "input_effects", functools.partial(changed, n=2))
    for name, function in (("patching_effects", patched), ("mediation_effects", mediated)):
        monkeypatch.setattr(vl, name, functools.partial(of_two_images, function))
    monkeypatch.setattr(vl.Study, "run", lambda study, folder, workers=1: study)


@pytest.fixture
def given(tmp_path, monkeypatch):
    """What the pages take for granted, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VAELENS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "studies").symlink_to(ROOT / "studies")
    (tmp_path / "photos").mkdir()
    rng = np.random.default_rng(0)
    for k in range(8):
        Image.fromarray(rng.integers(0, 256, (70, 70, 3), np.uint8)).save(tmp_path / "photos" / f"{k}.png")
    pd.DataFrame({"file": [f"{k}.png" for k in range(8)], "shape": list("abababab")}).to_csv("labels.csv", index=False)
    images = torch.rand(12, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    np.savez("own.npz", images=images.numpy(), labels=np.arange(12) % 3)
    ds = vl.load_dataset("sprites", size=16)
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3)
    lens, module = vl.Lens(model), OwnModule()
    x, factors = ds.sample(64, seed=0)
    labels = np.stack([np.arange(12) % 3, np.arange(12) % 2], axis=1)
    return {
        "vl": vl,
        "np": np,
        "ds": ds,
        "model": model,
        "lens": lens,
        "module": module,
        "encode": module.encode,
        "decode": module.decode,
        "images": images,
        "labels": labels,
        "table": pd.DataFrame(labels, columns=["shape", "size"]),
        "x": x,
        "factors": factors,
        "base": images[:4],
        "source": images[4:8],
        "torch_or_hugging_face_dataset": torch.utils.data.TensorDataset(images, torch.arange(12) % 3),
    }


def readme(names):
    """Models of other libraries, one of them in a folder."""
    import diffusers
    from pythae.models import VAE, VAEConfig

    tiny = diffusers.AutoencoderKL(1, 1, ("DownEncoderBlock2D",), ("UpDecoderBlock2D",), (4,), norm_num_groups=2)
    tiny.save_pretrained("sd-vae")
    module, images = OwnModule(channels=3), torch.rand(12, 3, 16, 16)
    names |= {"module": module, "encode": module.encode, "decode": module.decode}
    names |= {"images": images, "base": images[:4], "source": images[4:8]}
    names |= {"diffusers": diffusers, "pythae_model": VAE(VAEConfig(input_dim=(1, 16, 16), latent_dim=2))}


def report(names):
    names["analysis"] = vl.analyse(names["lens"], names["ds"])


def one_page(names):
    names["another"] = vl.analyse(names["lens"], names["ds"])


def explorer(names):
    planted = vl.planted_model("aligned", depth=2)
    names |= {"lens": planted.lens, "ds": planted.dataset}
    names["circuit"] = vl.discover_circuit(planted.lens, planted.dataset, "first")


def how_it_works(names):
    names["source"] = names["lens"].run(names["images"], capture="encoder.1").activations["encoder.1"]


def metrics(names):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (90, 3))
    values = rng.normal(size=(90, 2))
    codes = np.concatenate([values, classes[:, :1] + rng.normal(size=(90, 1))], axis=1)
    names |= {"codes": codes, "values": values, "factors": np.where([False, False, True], classes * 0.7, classes)}


def models(names):
    names |= {
        "encoder": Sized(11520, 12, (12,)),
        "decoder": Sized(6, 11520, (3, 48, 80)),
        "images": torch.rand(8, 3, 48, 80),
    }


def statistics(names):
    from vaelens.statistics import BootstrapMean, best_set

    effects = np.random.default_rng(0).normal(size=(20, 4)) + np.arange(4)
    names |= {"BootstrapMean": BootstrapMean, "best_set": best_set, "latents": 4, "effects_of_images": effects}


def studies(names):
    Path("runs/beta").mkdir(parents=True)
    trade_off_table("true").to_parquet("runs/beta/runs.parquet")


SET_UP = {"README": readme, "how-it-works": how_it_works, "metrics": metrics, "models": models}
SET_UP |= {"explorer": explorer, "report": report, "one-page": one_page, "statistics": statistics, "studies": studies}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.filterwarnings("ignore::vaelens.VaelensWarning")  # of models that learnt nothing
def test_every_block_of_python_runs(page, given, shortened):
    SET_UP.get(page.stem, lambda names: None)(given)
    for block in BLOCK.findall(TEXTS[page]):
        exec(compile(block, page.name, "exec"), given)


def test_there_is_something_to_check():
    assert len(PAGES) > 10
    assert len(COMMANDS) > 10


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_documentation_parses(command):
    group = typer.main.get_command(app)
    name, *arguments = shlex.split(command, comments=True)[1:]
    group.commands[name].make_context(name, arguments)


def test_every_public_name_is_in_the_reference():
    listed = set(
        re.findall(r"^ {3}(\w+)$|^\.\. py:data:: (\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    )
    names = {name for pair in listed for name in pair if name}
    assert set(vl.__all__) - {"__version__"} <= names
