import copy
import json

import pytest
import safetensors.torch
import torch
from torch import nn

from vaelens.errors import VaelensError
from vaelens.models import CATALOGUE, VAE, build_model, model_folder

SHAPE = (1, 32, 32)


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture
def saved(tmp_path):
    build_model("beta-vae", SHAPE, latent_dim=3, beta=2.5).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_saved_model_comes_back_to_the_bit(name, likelihood, tmp_path):
    model = build_model(name, (3, 28, 28), latent_dim=4, likelihood=likelihood, seed=5)
    model.save_pretrained(tmp_path)
    loaded = VAE.from_pretrained(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert loaded.config == model.config
    assert same(loaded, model)
    assert not loaded.training
    x = torch.rand(2, 3, 28, 28)
    assert torch.equal(loaded(x), model(x))


def test_double_precision_is_kept(tmp_path):
    model = build_model("vae", SHAPE).double()
    model.save_pretrained(tmp_path)
    loaded = VAE.from_pretrained(tmp_path)
    assert same(loaded, model)
    assert loaded.encoder.moments.weight.dtype == torch.float64


def test_the_config_is_complete_and_the_card_says_what_is_there(saved):
    config = json.loads((saved / "config.json").read_text())
    assert config.pop("vaelens_version")
    assert config == {
        "objective": "beta-vae",
        "image_shape": [1, 32, 32],
        "latent_dim": 3,
        "likelihood": "bernoulli",
        "hyperparameters": {"beta": 2.5},
        "encoder": "standard",
        "decoder": "standard",
    }
    card = (saved / "README.md").read_text()
    assert "made with vaelens" in card
    assert "More Information Needed" not in card


def test_a_loaded_model_can_be_saved_where_it_came_from(saved):
    loaded = VAE.from_pretrained(saved)
    loaded.initialise(9)
    loaded.save_pretrained(saved)
    assert same(VAE.from_pretrained(saved), loaded)


def test_the_parts_fit_together():
    model = build_model("vae", SHAPE, latent_dim=4)
    x = torch.rand(3, *SHAPE)
    mu, logvar = model.encode(x)
    assert torch.equal(torch.cat([mu, logvar], dim=1), model.encoder(x))
    assert torch.equal(model.decode(mu), torch.sigmoid(model.logits(mu)))
    assert torch.equal(model(x), model.decode(mu))
    noise = torch.randn(3, 4, generator=torch.Generator().manual_seed(1))
    expected = model.decode(mu + (logvar / 2).exp() * noise)
    torch.testing.assert_close(model(x, torch.Generator().manual_seed(1)), expected)


def test_with_a_codebook_the_parts_fit_together_too():
    model = build_model("vq-vae", SHAPE, latent_dim=6, codes=20).eval()
    x = torch.rand(3, *SHAPE)
    z, logvar = model.encode(x)
    assert logvar is None
    assert model.code_shape == (6, 4, 4)
    assert torch.equal(z, model.encoder(x))
    quantised = model.quantise(z)
    assert torch.equal(quantised.embedding, model.quantiser.codebook[quantised.indices].movedim(-1, 1))
    assert torch.equal(model.logits(z), model.decoder(quantised.embedding))
    assert torch.equal(model.decode(z), torch.sigmoid(model.logits(z)))
    assert torch.equal(model.decode(quantised.embedding), model.decode(z))
    assert torch.equal(model(x), model.decode(z))
    with pytest.raises(VaelensError, match="a vq-vae has no posterior to draw from; leave the generator out"):
        model(x, torch.Generator())
    with pytest.raises(VaelensError, match=r"codes are torch.float32 of shape \(3, 6\); expected .*\(n, 6, 4, 4\)"):
        model.decode(torch.zeros(3, 6))


def test_only_a_vq_vae_quantises():
    with pytest.raises(VaelensError, match="a vae has no codebook to quantise with; a vq-vae has one"):
        build_model("vae", SHAPE).quantise(torch.zeros(1, 10, 4, 4))


def test_numbers_of_another_precision_are_refused():
    model = build_model("vae", SHAPE).double()
    message = r"are torch.float32, the model's weights torch.float64; give {0}.to\(torch.float64\)"
    with pytest.raises(VaelensError, match="images " + message.format("images")):
        model.encode(torch.zeros(1, *SHAPE))
    with pytest.raises(VaelensError, match="codes " + message.format("codes")):
        model.decode(torch.zeros(1, 10))
    single = build_model("vae", SHAPE)
    with torch.autocast("cpu", torch.bfloat16):
        assert single(torch.zeros(1, *SHAPE)).shape == (1, *SHAPE)


def test_the_means_nonlinearity_is_a_module_called_by_decode():
    for likelihood, kind in (("bernoulli", nn.Sigmoid), ("gaussian", nn.Identity)):
        model = build_model("vae", SHAPE, likelihood=likelihood)
        called = []
        model.mean.register_forward_hook(lambda module, args, output, called=called: called.append(type(module)))
        model.decode(torch.zeros(1, 10))
        assert called == [kind]


def test_the_seed_draws_the_weights_and_the_global_state_is_untouched():
    before = torch.get_rng_state()
    one, again, other = (build_model("vae", SHAPE, seed=seed) for seed in (3, 3, 4))
    assert same(one, again)
    assert not torch.equal(one.encoder.conv0.weight, other.encoder.conv0.weight)
    assert same(VAE("vae", SHAPE), build_model("vae", SHAPE, seed=0))
    assert same(copy.deepcopy(one), one)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "beta_vae"}, "unknown model 'beta_vae'; known: vae, beta-vae, .*; did you mean 'beta-vae'"),
        ({"name": 3}, "unknown model 3"),
        ({"bta": 1.0}, "unknown hyperparameter of beta-vae 'bta'; known: beta; did you mean 'beta'"),
        ({"name": "vae", "beta": 1.0}, "unknown hyperparameter of vae 'beta'; known: none"),
        ({"beta": -1}, "beta is -1; expected a number from 0 to 1000"),
        ({"beta": float("nan")}, "beta is nan; expected a number from 0 to 1000"),
        ({"beta": "4"}, "beta is '4'; expected a number"),
        ({"latent_dim": 0}, "latent_dim is 0; expected a whole number from 1 to 256"),
        ({"latent_dim": 257}, "latent_dim is 257; expected"),
        ({"latent_dim": 2.5}, "latent_dim is 2.5; expected"),
        ({"likelihood": "poisson"}, "unknown likelihood 'poisson'"),
        ({"image_shape": (1, 33, 33)}, r"unsupported image shape \(1, 33, 33\)"),
        ({"seed": -1}, "seed is -1; expected a whole number"),
        ({"seed": 0.5}, "seed is 0.5; expected a whole number"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(VaelensError, match=message):
        build_model(**{"name": "beta-vae", "image_shape": SHAPE} | arguments)


def test_hyperparameters_must_be_a_dictionary():
    with pytest.raises(VaelensError, match="hyperparameters are 4; expected a dictionary"):
        VAE("beta-vae", hyperparameters=4)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(2, 1, 64, 64), r"images are torch.float32 of shape \(2, 1, 64, 64\); expected .*\(n, 1, 32, 32\)"),
        (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), "images are torch.uint8"),
        ([[0.0]], "images of type list"),
    ],
)
def test_wrong_images_and_codes_are_refused(x, message):
    model = build_model("vae", SHAPE)
    with pytest.raises(VaelensError, match=message):
        model.encode(x)
    with pytest.raises(VaelensError, match=message.split("; ")[0].replace("images", "codes")):
        model.decode(x)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def drop_from_config(folder):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    del config["latent_dim"]
    path.write_text(json.dumps(config))


def edit_weights(folder, change, name="encoder.conv0.weight"):
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    safetensors.torch.save_file(weights | {name: change(weights[name])}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "holds no JSON object"),
        (drop_from_config, "lacks latent_dim"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"12"), "model.safetensors' is damaged"),
        (lambda folder: edit_config(folder, objective="betavae"), "cannot be built: unknown model 'betavae'"),
        (lambda folder: edit_config(folder, latent_dim="3"), "cannot be built: latent_dim is '3'"),
        (lambda folder: edit_config(folder, hyperparameters={"beta": 3.0}), "are not of one saving, or one was edited"),
        (lambda folder: edit_config(folder, latent_dim=10**9), "cannot be built: latent_dim is 1000000000; expected"),
        (lambda folder: (folder / "config.json").write_text("[" * 10**5), "is nested too deeply"),
        (lambda folder: edit_weights(folder, lambda w: w * torch.nan), "hold NaN or infinity, in encoder.conv0.weight"),
        (lambda folder: edit_weights(folder, lambda w: w.half()), r"are of several types, .* as model.float\(\) does"),
        (lambda folder: edit_weights(folder, lambda w: w.to(torch.float8_e5m2)), "stores but does not compute with"),
        (lambda folder: edit_config(folder, latent_dim=4), r"do not fit the config: .*\(6, 256\), not .*\(8, 256\)"),
        (lambda folder: edit_config(folder, image_shape=[1, 64, 64]), "do not fit the config: the file lacks"),
    ],
)
def test_a_damaged_folder_is_refused(saved, damage, message):
    damage(saved)
    with pytest.raises(VaelensError, match=message):
        VAE.from_pretrained(saved)


def test_a_pickle_is_never_opened(saved):
    (saved / "model.safetensors").rename(saved / "pytorch_model.bin")
    with pytest.raises(VaelensError, match=r"has no model\.safetensors"):
        VAE.from_pretrained(saved)


def test_a_path_that_is_not_there_is_refused_without_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(model_folder.huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("network"))
    with pytest.raises(VaelensError, match=r"there is no folder 'runs/nope'.*'hf://owner/name'"):
        VAE.from_pretrained("runs/nope")
    (tmp_path / "file").touch()
    with pytest.raises(VaelensError, match="is a file; expected the folder"):
        VAE.from_pretrained(tmp_path / "file")
    with pytest.raises(VaelensError, match="not from 3"):
        VAE.from_pretrained(3)
    with pytest.raises(VaelensError, match="unknown argument of from_pretrained 'map_location'"):
        VAE.from_pretrained(tmp_path, map_location="cpu")


def test_a_model_on_the_hub_is_downloaded_without_its_pickles(saved, monkeypatch):
    asked = {}

    def download(repo_id, **options):
        asked.update(options, repo_id=repo_id)
        return str(saved)

    monkeypatch.setattr(model_folder.huggingface_hub, "snapshot_download", download)
    assert VAE.from_pretrained("hf://owner/name", revision="v1").latent_dim == 3
    assert asked["repo_id"] == "owner/name"
    assert asked["revision"] == "v1"
    assert asked["allow_patterns"] == ["config.json", "model.safetensors"]


def test_a_failing_hub_is_one_sentence(tmp_path):
    with pytest.raises(VaelensError, match=r"the Hugging Face Hub did not give 'owner/name' \(.*check the name"):
        VAE.from_pretrained("hf://owner/name", local_files_only=True, cache_dir=tmp_path)


def test_a_model_is_replaced_whole_or_not_at_all(saved, monkeypatch):
    def save_file(tensors, path, **options):
        path.write_bytes(b"half")
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr("safetensors.torch.save_file", save_file)
    with pytest.raises(VaelensError, match=r"cannot be written \(No space left on device\)"):
        build_model("vae", SHAPE, latent_dim=2).save_pretrained(saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_a_file_in_the_way_of_saving_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(VaelensError, match="is a file; give a folder"):
        build_model("vae", SHAPE).save_pretrained(tmp_path / "file")
