"""What every objective of the catalogue keeps to; a new one is in by itself."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
import torch

from vaelens.models import CATALOGUE, VAE, build_model, train
from vaelens.models.checkpoints import load_checkpoint
from vaelens.models.run_folder import checkpoint_path
from vaelens.models.step import TrainingStep

SHAPE = (3, 16, 16)
IMAGES = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(0))
SHORT = {"steps": 12, "batch_size": 8, "log_every": 4, "checkpoint_every": 5, "progress": False, "device": "cpu"}

EVERY = pytest.mark.parametrize("name", CATALOGUE)
DEVICES = pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU"))],
)


def small(name, **arguments):
    """A model with little to compute; the codebook's codes die often, so that they are revived."""
    quick = {"codes": 32, "decay": 0.8, "revival": 0.5} if CATALOGUE[name].quantised else {}
    return build_model(name, **{"image_shape": SHAPE, "latent_dim": 3, **quick} | arguments)


def stepped(step, images=IMAGES[:8], number=0, seed=1):
    """Takes one step of plain gradient descent."""
    losses = step(images, number, torch.Generator().manual_seed(seed))
    for loss in losses.minimised:
        loss.backward()
    with torch.no_grad():
        for parameter in step.parameters():
            parameter -= 1e-4 * parameter.grad
    return losses


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return one.keys() == other.keys() and all(
        torch.equal(one[name], other[name]) and one[name].dtype == other[name].dtype for name in one
    )


def states():
    cuda = [torch.cuda.get_rng_state().tolist()] if torch.cuda.is_available() else []
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), cuda  # noqa: NPY002


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (1, 64, 64), (3, 128, 128)])
@EVERY
def test_it_builds_for_every_shape(name, shape):
    for latent_dim, likelihood in itertools.product((1, 10, 256), ("bernoulli", "gaussian")):
        model = VAE(name, shape, latent_dim, likelihood)
        assert model.code_shape == ((latent_dim, 4, 4) if CATALOGUE[name].quantised else (latent_dim,))
        assert model.config["hyperparameters"] == CATALOGUE[name].resolve(None)
        assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    default = VAE(name, shape)
    assert default.latent_dim == CATALOGUE[name].latent_dim


@DEVICES
@EVERY
def test_code_and_image_have_their_shape_and_type(name, device):
    for likelihood, latent_dim in (("bernoulli", 1), ("gaussian", 256)):
        model, x = small(name, likelihood=likelihood, latent_dim=latent_dim).to(device).eval(), IMAGES[:2].to(device)
        code, logvar = model.encode(x)
        image = model.decode(code)
        assert code.shape == (2, *model.code_shape)
        assert (logvar is None) == CATALOGUE[name].quantised
        assert logvar is None or logvar.shape == code.shape
        assert image.shape == x.shape
        assert {tensor.dtype for tensor in (code, image)} == {torch.float32}
        assert {tensor.device.type for tensor in (code, image)} == {device}
        if likelihood == "bernoulli":
            assert image.min() >= 0
            assert image.max() <= 1
        assert torch.equal(model(x), image)


@DEVICES
@EVERY
def test_double_precision_works_and_says_the_same(name, device):
    single, double = (TrainingStep(small(name).to(dtype).to(device), 40, 0) for dtype in (torch.float32, torch.float64))
    x = IMAGES[:8].to(device)
    noises = (torch.Generator().manual_seed(1) for _ in range(2))
    mu = single.model.encode(x)[0]
    torch.testing.assert_close(double.model.encode(x.double())[0].float(), mu, rtol=1e-4, atol=1e-5)
    assert double.model.eval()(x.double()).dtype == torch.float64
    double.train()
    one, other = (step(x, 3, noise) for step, noise in zip((single, double), noises, strict=True))
    assert one.terms.keys() == other.terms.keys()
    # noise drawn in another precision is other noise, so what is compared is what does not depend on it
    for term in {"kl", "commitment", "perplexity", "capacity", "off_diagonal", "diagonal"} & one.terms.keys():
        assert one.terms[term].item() == pytest.approx(other.terms[term].item(), rel=1e-3, abs=1e-4)
    assert other.terms["loss"].dtype == torch.float64
    for loss in other.minimised:
        loss.backward()


@EVERY
def test_a_seed_fixes_the_weights_and_the_losses_and_another_changes_them(name):
    one, again, other = (small(name, seed=seed) for seed in (3, 3, 4))
    assert same(one, again)
    for parameter, changed in zip(one.parameters(), other.parameters(), strict=True):
        assert not torch.equal(parameter, changed)
    if CATALOGUE[name].quantised:
        assert not torch.equal(one.quantiser.codebook, other.quantiser.codebook)
    first, second = (TrainingStep(model, 40, 0) for model in (one, again))
    for number in range(3):
        losses = [stepped(step, number=number, seed=number).terms for step in (first, second)]
        assert all(torch.equal(losses[0][term], losses[1][term]) for term in losses[0])
    assert same(first, second)


@EVERY
def test_terms_are_named_finite_numbers(name):
    losses = TrainingStep(small(name), 40, 0)(IMAGES[:8], 0, torch.Generator().manual_seed(0))
    assert {"loss", "reconstruction", "squared_error"} <= losses.terms.keys()
    assert ("discriminator" in losses.terms) == CATALOGUE[name].adversarial
    for term in losses.terms.values():
        assert term.shape == ()
        assert torch.isfinite(term)
    if not CATALOGUE[name].quantised:
        torch.testing.assert_close(losses.kl_per_latent.sum(), losses.terms["kl"])
    # all that is known of new weights: images of noise cost about log 2 a pixel
    assert losses.terms["reconstruction"].item() == pytest.approx(math.prod(SHAPE) * math.log(2), rel=0.05)


@DEVICES
@EVERY
def test_the_gradient_reaches_every_parameter(name, device):
    step = TrainingStep(small(name).to(device), 40, 0)
    losses = step(IMAGES[:8].to(device), 1, torch.Generator().manual_seed(0))
    losses.minimised[0].backward()
    for parameter_name, parameter in step.model.named_parameters():
        assert parameter.grad.abs().sum() > 0, parameter_name
    if CATALOGUE[name].adversarial:
        assert all(parameter.grad is None for parameter in step.discriminator.parameters())
        losses.minimised[1].backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in step.discriminator.parameters())


@DEVICES
@EVERY
def test_the_global_random_state_is_left_alone(name, device):
    before = states()
    step = TrainingStep(small(name).to(device), 40, 0)
    x = IMAGES[:8].to(device)
    stepped(step, x)
    step.model(x)
    code, logvar = step.model.encode(x)
    step.model.decode(code)
    if logvar is not None:
        step.model(x, torch.Generator().manual_seed(0))
    assert states() == before


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@EVERY
def test_it_is_saved_and_loaded_to_the_bit(name, dtype, tmp_path):
    step = TrainingStep(small(name, likelihood="gaussian"), 40, 0)
    stepped(step)  # the codebook's averages are then not what they were
    model = step.model.to(dtype).eval()
    model.save_pretrained(tmp_path)
    loaded = VAE.from_pretrained(tmp_path)
    assert loaded.config == model.config
    assert same(loaded, model)
    x = IMAGES[:2].to(dtype)
    assert torch.equal(loaded(x), model(x))
    assert torch.equal(loaded.encode(x)[0], model.encode(x)[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@EVERY
def test_a_model_on_a_gpu_is_saved_to_the_bit(name, tmp_path):
    model = small(name).cuda()
    model.save_pretrained(tmp_path)
    assert same(VAE.from_pretrained(tmp_path), model.cpu())


def assert_same_checkpoints(one, other):
    one, other = (load_checkpoint(checkpoint_path(folder)) for folder in (one, other))
    assert one.step == other.step
    assert one.record == other.record
    for kind in ("weights", "discriminator"):
        tensors, others = getattr(one, kind), getattr(other, kind)
        assert tensors.keys() == others.keys()
        assert all(torch.equal(tensors[name], others[name]) for name in tensors)
    assert len(one.optimizers) == len(other.optimizers)
    for state, expected in zip(one.optimizers, other.optimizers, strict=True):
        assert state.keys() == expected.keys()
        for parameter in state:
            assert {"step", "exp_avg", "exp_avg_sq"} <= state[parameter].keys()
            assert all(torch.equal(tensor, expected[parameter][key]) for key, tensor in state[parameter].items())
    return one


@EVERY
def test_a_resumed_run_ends_as_an_uninterrupted_one_to_the_bit(name, tmp_path):
    whole, parted = small(name), small(name, seed=7)
    expected = train(whole, IMAGES, **SHORT, folder=tmp_path / "whole")
    train(small(name), IMAGES, **SHORT | {"steps": 7}, folder=tmp_path / "parted")
    found = train(parted, IMAGES, **SHORT, folder=tmp_path / "parted", resume=True)
    assert same(whole, parted)
    pd.testing.assert_frame_equal(found.history, expected.history)
    kept = assert_same_checkpoints(tmp_path / "whole", tmp_path / "parted")
    assert kept.step == 12
    assert kept.weights.keys() == whole.state_dict().keys()
    assert len(kept.optimizers) == 1 + CATALOGUE[name].adversarial
    assert bool(kept.discriminator) == CATALOGUE[name].adversarial
    assert any("cluster_size" in key for key in kept.weights) == CATALOGUE[name].quantised
    assert not same(whole, small(name))
