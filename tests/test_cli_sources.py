import io
import json
import re
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import pythae.models
import safetensors.torch
import torch
from diffusers import (
    AsymmetricAutoencoderKL,
    AutoencoderDC,
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderTiny,
    VQModel,
)
from pythae.models import VAE, VQVAE, VAEConfig, VQVAEConfig
from pythae.models.nn.default_architectures import Decoder_AE_MLP

import vaelens as vl
from vaelens.cli import main
from vaelens.cli.sources import load_lens

TINY = {
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": (4, 4),
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "norm_num_groups": 2,
    "latent_channels": 2,
    "mid_block_add_attention": False,
}


def run(*arguments):
    """Run the command line in this process; returns its exit status."""
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    return stopped.value.code


def refused(capsys, model, *options, dataset="digits"):
    """The one sentence with which a model is refused."""
    assert run("analyse", model, "--dataset", dataset, "--images", 8, *options) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    return printed.err


@pytest.fixture
def small_pictures(tmp_path):
    """A folder of 8×8 pictures, and the options that name it."""
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for k, picture in enumerate(np.random.default_rng(0).integers(0, 256, (10, 8, 8), dtype=np.uint8)):
        Image.fromarray(picture).save(folder / f"{k}.png")
    return ["--dataset", "folder", "--root", folder]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current folder, whose modules are forgotten afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


def save_pythae(folder, kind=VAE, config=VAEConfig, shape=(1, 32, 32), **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config(input_dim=shape, latent_dim=2, **options))
        if kind is VQVAE:
            spread(model.quantizer.embeddings)
    model.save(str(folder))
    return model


def spread(embedding):
    """Codes far enough apart that images take different ones."""
    with torch.no_grad():
        codes = getattr(embedding, "weight", embedding)
        codes.copy_(torch.linspace(-0.3, 0.3, codes.numel()).view_as(codes))


@pytest.mark.parametrize("kind", [AutoencoderKL, VQModel])
def test_a_folder_of_diffusers_is_analysed(kind, tmp_path, small_pictures, capsys):
    options = {"num_vq_embeddings": 4} if kind is VQModel else {}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(**TINY, sample_size=8, **options)
        if kind is VQModel:
            spread(model.quantize.embedding)
            model.quant_conv.weight.data.mul_(30)
            model.quant_conv.bias.data.zero_()
    model.save_pretrained(tmp_path / "model")
    grey = ["--dataset-option", "channels=1"]
    some = ["--only", "latent,patching" if kind is AutoencoderKL else "latent,swap,patching,codes"]
    assert run("analyse", tmp_path / "model", *small_pictures, *grey, "--images", 8, *some) == 0
    out = tmp_path / "model" / "analysis"
    assert capsys.readouterr().out.splitlines()[-2:] == [f"analysis: {out}", f"report: {out / 'report.html'}"]
    assert vl.Analysis.load(out).provenance["model"] == vl.Lens(model).describe()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (AutoencoderTiny, {"encoder_block_out_channels": (4,) * 4, "decoder_block_out_channels": (4,) * 4}),
        (AsymmetricAutoencoderKL, {"norm_num_groups": 4, "sample_size": 16}),
        (
            AutoencoderDC,
            {
                "latent_channels": 4,
                **dict.fromkeys(["encoder_block_out_channels", "decoder_block_out_channels"], (4, 8)),
                **dict.fromkeys(["encoder_layers_per_block", "decoder_layers_per_block"], (1, 1)),
                **dict.fromkeys(["encoder_qkv_multiscales", "decoder_qkv_multiscales"], ((), ())),
            },
        ),
        (AutoencoderKLFlux2, TINY | {"in_channels": 3, "out_channels": 3, "sample_size": 8}),
    ],
)
def test_folders_of_the_other_autoencoders_of_diffusers_are_loaded(kind, options, tmp_path):
    from vaelens.cli.sources.choice import load_lens

    model = kind(**options)
    model.save_pretrained(tmp_path)
    lens = load_lens(str(tmp_path), "cpu")
    assert type(lens.module) is kind
    assert lens.describe() == vl.Lens(model, execution="hooks").describe()


@pytest.mark.parametrize(
    ("kind", "config", "options"),
    [(VAE, VAEConfig, {}), (VQVAE, VQVAEConfig, {"num_embeddings": 4})],
)
def test_a_folder_of_pythae_is_analysed(kind, config, options, tmp_path, capsys):
    model = save_pythae(tmp_path / "model", kind, config, **options)
    out = tmp_path / "out"
    state = torch.random.get_rng_state()
    assert (
        run("analyse", tmp_path / "model", "--dataset", "digits", "--images", 8, "--only", "latent", "--out", out) == 0
    )
    assert torch.equal(torch.random.get_rng_state(), state)
    assert capsys.readouterr().out.splitlines()[-2:] == [f"analysis: {out}", f"report: {out / 'report.html'}"]
    assert vl.Analysis.load(out).provenance["model"] == vl.Lens(model).describe()


# RHVAE keeps more than weights; a lens refuses it in any case
CONFIGS = [n for n in pythae.models.__all__ if "Config" in n and n not in ("BaseAEConfig", "RHVAEConfig")]


@pytest.mark.parametrize("config", CONFIGS)
def test_every_model_of_pythae_is_rebuilt_as_it_was_saved(config, tmp_path):
    from vaelens.cli.sources.pythae import pythae as load

    kind = getattr(pythae.models, config.removesuffix("Config").removesuffix("_"))
    model = save_pythae(tmp_path, kind, getattr(pythae.models, config), shape=(1, 4, 4))
    loaded = load(tmp_path)
    assert type(loaded) is kind
    assert loaded.model_config.to_dict() == model.model_config.to_dict()
    expected = model.state_dict()
    assert loaded.state_dict().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


MODULE = """
import sys
import torch
import vaelens as vl

number = 5
asked = []

def lens():
    module = torch.nn.Sequential(torch.nn.Linear(1024, 3), torch.nn.Linear(3, 1024))
    encode, decode = lambda x: module[0](x.flatten(1)), lambda z: module[1](z).view(-1, 1, 32, 32)
    return vl.Lens(module, encode, decode, example=torch.zeros(1, 1, 32, 32))

def model():
    return lens().module

def broken():
    raise KeyError("weights")

def stops():
    sys.exit("no weights")

def needing(path):
    raise AssertionError

def plain():
    module = lens().module
    encode, decode = lambda x: module[0](x.flatten(1)), lambda z: module[1](z).view(-1, 1, 16, 64)
    return vl.Lens(module, encode, decode, example=torch.zeros(1, 1, 32, 32))
"""


def test_a_function_of_the_current_folder_is_called(here, capsys):
    (here / "zoo").mkdir()
    (here / "zoo" / "mine.py").write_text(MODULE)
    assert (
        run("analyse", "zoo.mine:lens", "--dataset", "digits", "--images", 8, "--only", "latent", "--device", "cpu")
        == 0
    )
    out = Path("runs/lens/analysis")
    assert capsys.readouterr().out.splitlines()[-2:] == [f"analysis: {out}", f"report: {out / 'report.html'}"]
    made = vl.Analysis.load(out).provenance
    assert (made["model"]["model"], made["dataset"]["name"]) == ("Sequential", "digits")
    assert "--overwrite" in refused(capsys, "zoo.mine:lens")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("elsewhere:lens", "there is no module 'elsewhere', neither installed nor in "),
        ("json.elsewhere:lens", "there is no module 'json.elsewhere', neither installed"),
        (
            "mine:lense",
            "unknown function of mine 'lense'; known: lens, model, broken",
        ),
        ("mine:number", "mine:number is a int; expected a function that returns a vl.Lens"),
        ("mine:model", "mine:model returned a Sequential; expected a lens: return vl.Lens(...)"),
        ("mine:broken", "mine:broken raised KeyError: 'weights'; --debug shows where"),
        ("mine:stops", "mine:stops raised SystemExit: no weights; --debug shows where"),
        ("mine:needing", "mine:needing takes arguments (missing a required argument: 'path')"),
        (
            "mine:plain",
            "mine:plain raised VaelensError: decode gives images of shape (1, 16, 64) for images of shape (1, 32, 32)",
        ),
        ("importing:lens", "importing importing failed: ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("faulty:lens", "importing faulty failed: ZeroDivisionError: division by zero; --debug shows where"),
        ("mine.py:lens", "there is no module 'mine.py'"),
        ("mine:", "there is no folder 'mine:'; MODEL is a folder that vaelens, diffusers or Pythae saved, or package."),
        ("mine.py", "'mine.py' is a file; MODEL is a folder that"),
    ],
)
def test_a_function_that_gives_no_lens_is_one_sentence(source, message, here, capsys):
    (here / "mine.py").write_text(MODULE)
    (here / "importing.py").write_text("import nothing_of_the_kind")
    (here / "faulty.py").write_text("1 / 0")
    assert message in refused(capsys, source)
    assert not Path("runs").exists()


def test_debug_shows_where_a_function_raised(here):
    (here / "mine.py").write_text(MODULE)
    with pytest.raises(vl.VaelensError, match="mine:broken raised") as raised:
        main(["analyse", "mine:broken", "--dataset", "digits", "--debug"])
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_device_that_is_not_there_is_refused_for_a_function_too(here, capsys):
    (here / "mine.py").write_text(MODULE)
    assert "device 'abacus' was asked for" in refused(capsys, "mine:lens", "--device", "abacus")


def test_images_of_other_channels_or_size_are_one_sentence_that_names_both(tmp_path, capsys):
    AutoencoderKL(**TINY | {"in_channels": 3, "out_channels": 3}).save_pretrained(tmp_path / "kl")
    said = refused(capsys, tmp_path / "kl")
    assert "the AutoencoderKL does not fit digits, whose images are 1×32×32: images have 1 channel, this" in said
    save_pythae(tmp_path / "pythae", shape=(1, 8, 8))
    assert "the model takes images of 1×8×8, digits has 1×32×32; name the" in refused(capsys, tmp_path / "pythae")
    assert not (tmp_path / "kl" / "analysis").exists()


def test_what_is_wrong_with_a_folder_of_diffusers_is_one_sentence(tmp_path, capsys):
    AutoencoderKL(**TINY).save_pretrained(tmp_path / "pickled", safe_serialization=False)
    said = refused(capsys, tmp_path / "pickled")
    assert "are a pickle (diffusion_pytorch_model.bin)" in said
    assert "diffusers.AutoencoderKL.from_pretrained(" in said

    (tmp_path / "denoiser").mkdir()
    (tmp_path / "denoiser" / "config.json").write_text('{"_class_name": "UNet2DModel"}')
    said = refused(capsys, tmp_path / "denoiser")
    assert "holds a UNet2DModel of diffusers; of those, VQModel and Autoencoder… such as AutoencoderKL can be" in said

    AutoencoderKL(**TINY).save_pretrained(tmp_path / "later")
    config = tmp_path / "later" / "config.json"
    config.write_text(config.read_text().replace('"AutoencoderKL"', '"AutoencoderOfLater"'))
    assert "holds a AutoencoderOfLater, which diffusers " in refused(capsys, tmp_path / "later")

    folder = tmp_path / "kl"
    AutoencoderKL(**TINY).save_pretrained(folder)
    weights = folder / "diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert "diffusers cannot load" in refused(capsys, folder)
    weights.unlink()
    assert "has no diffusion_pytorch_model.safetensors; give the folder" in refused(capsys, folder)
    other = {**safetensors.torch.load(whole), "more": torch.zeros(1)}
    safetensors.torch.save_file(other, weights, metadata={"format": "pt"})
    assert "do not fit its config: the file has more, unknown to the model" in refused(capsys, folder)
    del other["more"], other["quant_conv.bias"], other["quant_conv.weight"]
    safetensors.torch.save_file(other, weights, metadata={"format": "pt"})
    assert "do not fit its config: the file lacks quant_conv.bias and 1 more" in refused(capsys, folder)

    (tmp_path / "pipeline" / "vae").mkdir(parents=True)
    (tmp_path / "pipeline" / "model_index.json").write_text("{}")
    said = refused(capsys, tmp_path / "pipeline")
    assert f"is a whole pipeline of diffusers; give the folder of its autoencoder, '{tmp_path}/pipeline/vae'" in said


def test_what_is_wrong_with_a_folder_of_pythae_is_one_sentence(tmp_path, capsys):
    folder = tmp_path / "own"
    config = VAEConfig(input_dim=(1, 32, 32), latent_dim=2)
    VAE(config, decoder=Decoder_AE_MLP(config)).save(str(folder))
    assert "holds decoder.pkl, pickled code that is not run here; build it in a function" in refused(capsys, folder)
    (folder / "decoder.pkl").unlink()
    assert "has networks that are not in the folder; build it in a function of your own" in refused(capsys, folder)

    folder = tmp_path / "vae"
    save_pythae(folder)
    path = folder / "model_config.json"
    right = json.loads(path.read_text())
    for change, message in [
        ({"name": "PIDVAEConfig"}, "holds the configuration of a PIDVAEConfig, which is no model of Pythae"),
        ({"latent_dim": "many"}, "Pythae cannot build the VAE"),
        ({"latent_dim": 3}, "do not fit its configuration"),
    ]:
        path.write_text(json.dumps(right | change))
        assert message in refused(capsys, folder)
    path.write_text("[]")
    assert "holds no JSON object" in refused(capsys, folder)
    path.write_text("{")
    assert "cannot be read as JSON" in refused(capsys, folder)
    path.write_text(json.dumps(right))
    torch.save({"model_state_dict": Path("a picklable object")}, folder / "model.pt")
    assert "holds more than tensors, or is damaged; nothing else is unpickled" in refused(capsys, folder)
    torch.save({}, folder / "model.pt")
    assert "has no model_state_dict" in refused(capsys, folder)
    (folder / "model.pt").write_bytes(b"PK\x03\x04")
    assert "is damaged" in refused(capsys, folder)
    (folder / "model.pt").unlink()
    assert "has no model.pt; give the folder" in refused(capsys, folder)


@pytest.mark.parametrize("package", ["diffusers", "pythae"])
def test_a_missing_library_is_one_sentence(package, tmp_path, capsys, monkeypatch):
    if package == "diffusers":
        AutoencoderKL(**TINY).save_pretrained(tmp_path)
    else:
        save_pythae(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    assert "which is not installed: pip install '.[interop]'" in refused(capsys, tmp_path)


def save_weights(folder, tensors):
    safetensors.torch.save_file(tensors, folder / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize("options", [{}, {"variant": "fp16"}, {"max_shard_size": "3KB"},
                                     {"max_shard_size": "3KB", "variant": "non_ema"}])  # fmt: skip
def test_weights_of_diffusers_are_read_whatever_their_variant_and_in_however_many_files(options, tmp_path):
    model = AutoencoderKL(**TINY)
    model.save_pretrained(tmp_path, **options)
    loaded = load_lens(str(tmp_path), "cpu").module
    expected = model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in loaded.state_dict().items())


def test_several_variants_and_shards_that_are_missing_or_elsewhere_are_one_sentence(tmp_path, capsys):
    model = AutoencoderKL(**TINY)
    for variant in ("fp16", "ema"):
        model.save_pretrained(tmp_path / "two", variant=variant)
    assert "holds several variants of the weights, ema and fp16; leave one of them" in refused(capsys, tmp_path / "two")
    model.save_pretrained(tmp_path / "shards", max_shard_size="3KB")
    next((tmp_path / "shards").glob("*00002*")).unlink()
    assert "which is no file in its folder; save the model again" in refused(capsys, tmp_path / "shards")
    (tmp_path / "elsewhere").write_bytes(b"")
    index = tmp_path / "shards" / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"conv": "../elsewhere"}}))
    assert "names '../elsewhere', which is no file in its folder" in refused(capsys, tmp_path / "shards")
    index.write_text("[" * 10**5)
    assert "is nested too deeply" in refused(capsys, tmp_path / "shards")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers_per_block": 10**9}, "they do not belong together: save it again"),
        ({"block_out_channels": [2000, 2000]}, "numbers, but its weights take"),
        ({"latent_channels": 10**6}, "numbers, but its weights take"),
        ({"norm_num_groups": 0}, "diffusers cannot load"),
        ({"in_channels": "x"}, "diffusers cannot load"),
        ({"_class_name": ["AutoencoderKL"]}, "holds a ['AutoencoderKL'] of diffusers"),
    ],
)
def test_an_absurd_config_of_diffusers_is_one_sentence_at_once(change, message, tmp_path, capsys):
    AutoencoderKL(**TINY).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in refused(capsys, tmp_path)


def test_weights_of_diffusers_that_are_lost_or_would_unpack_to_far_more_are_one_sentence(tmp_path, capsys):
    AutoencoderKL(**TINY).save_pretrained(tmp_path)
    weights = tmp_path / "diffusion_pytorch_model.safetensors"
    tensors = safetensors.torch.load_file(weights)
    save_weights(tmp_path, tensors | {"decoder.conv_in.bias": tensors["decoder.conv_in.bias"] * torch.nan})
    assert "hold NaN or infinity, in decoder.conv_in.bias; expected finite numbers" in refused(capsys, tmp_path)
    weights.write_bytes((2**40).to_bytes(8, "little"))
    assert "its header would take 1,099,511,627,776 bytes" in refused(capsys, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"latent_dim": 10**9}, "has latent_dim 1000000000, more than its weights have bytes"),
        ({"input_dim": [1, 10**7, 8]}, "has input_dim 10000000, more than its weights have bytes"),
        ({"latent_dim": 20_000}, "they do not belong together: save it again"),
        ({"input_dim": []}, "Pythae cannot build the VAE"),
    ],
)
def test_an_absurd_configuration_of_pythae_is_one_sentence_at_once(change, message, tmp_path, capsys):
    save_pythae(tmp_path, shape=(1, 8, 8))
    path = tmp_path / "model_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert message in refused(capsys, tmp_path)


def test_weights_of_pythae_that_are_lost_or_unpack_to_far_more_are_one_sentence(tmp_path, capsys):
    model = save_pythae(tmp_path, shape=(1, 8, 8))
    path = tmp_path / "model.pt"
    saved = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, bytes(10**7) if entry.filename.endswith("data/0") else old.read(entry))
    assert re.search(r"would unpack [\d,]+ bytes to 10,\d+,\d+, which no file of torch.save", refused(capsys, tmp_path))
    with zipfile.ZipFile(io.BytesIO(saved)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():  # a pickle that asks for ten thousand million zeros
            bomb = b"\x80\x02c__builtin__\nbytearray\nJ\x00\xe4\x0bT\x85R."
            new.writestr(entry.filename, bomb if entry.filename.endswith("data.pkl") else old.read(entry))
    assert "holds more than tensors; nothing else is unpickled" in refused(capsys, tmp_path)
    weights = model.state_dict()
    name = next(iter(weights))
    torch.save({"model_state_dict": weights | {name: weights[name] * torch.nan}}, path)
    assert f"hold NaN or infinity, in {name}; expected finite numbers" in refused(capsys, tmp_path)
    torch.save({"model_state_dict": dict.fromkeys(weights, 3), "more": saved}, path)
    assert "do not fit its configuration" in refused(capsys, tmp_path)


def test_a_planted_model_is_opened(tmp_path):
    planted = vl.planted_model("rotated", 2, seed=3)
    planted.model.save_pretrained(tmp_path)
    lens = load_lens(str(tmp_path), "cpu")
    assert torch.equal(lens.encode(planted.images), planted.lens.encode(planted.images))
