"""A training step's terms against the objective on tensors computed by hand, and where its gradients go."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from vaelens.errors import VaelensError
from vaelens.models import build_model, objectives
from vaelens.models.objectives.factor import discriminator_loss, permute_latents
from vaelens.models.step import TrainingStep

SHAPE = (1, 8, 8)
IMAGES = torch.rand(10, *SHAPE, generator=torch.Generator().manual_seed(0))


def generator(seed=5):
    return torch.Generator().manual_seed(seed)


def new_step(name, size=100, seed=0, **arguments):
    return TrainingStep(build_model(name, SHAPE, **arguments), size, seed)


def parts_by_hand(model, images, noise):
    mu, logvar = model.encoder(images).chunk(2, dim=1)
    z = mu + torch.exp(logvar / 2) * torch.randn(mu.shape, generator=noise)
    logits = model.decoder(z)
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3))
    return {"mu": mu, "logvar": logvar, "z": z, "logits": logits, "reconstruction": reconstruction}


def assert_same_terms(found, expected):
    assert expected.keys() <= found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "arguments", "also"),
    [
        ("vae", {}, {}),
        ("beta-vae", {"beta": 7.0}, {}),
        ("annealed-vae", {"gamma": 3.0, "c_max": 10.0, "annealing_steps": 40}, {"step": 30}),
        ("beta-tc-vae", {"beta": 2.0}, {"dataset_size": 100, "sampling": "minibatch-weighted"}),
        ("beta-tc-vae", {"beta": 2.0, "sampling": "stratified"}, {"dataset_size": 100}),
        ("dip-vae-i", {"lambda_od": 2.0, "lambda_d": 3.0}, {}),
        ("dip-vae-ii", {"lambda_od": 2.0, "lambda_d": 3.0}, {}),
    ],
)
def test_terms_are_the_objectives(name, arguments, also):
    step = new_step(name, latent_dim=4, **arguments)
    losses = step(IMAGES, number=30, noise=generator())
    parts = parts_by_hand(step.model, IMAGES, generator())
    taken = ["reconstruction", "mu", "logvar", *(["z"] if name == "beta-tc-vae" else [])]
    expected = getattr(objectives, name.replace("-", "_"))(**{part: parts[part] for part in taken}, **arguments, **also)
    expected["squared_error"] = (torch.sigmoid(parts["logits"]) - IMAGES).square().mean()
    assert losses.terms.keys() == expected.keys()
    assert_same_terms(losses.terms, expected)
    variance = parts["logvar"].exp()
    kl = 0.5 * (parts["mu"] ** 2 + variance - 1 - variance.log()).mean(0)
    torch.testing.assert_close(losses.kl_per_latent, kl)
    torch.testing.assert_close(losses.logged["kl_per_latent"].sum(), losses.terms["kl"])
    assert losses.discriminator is None
    assert losses.minimised == [losses.terms["loss"]]


def test_a_gaussian_likelihood_is_taken():
    step = new_step("vae", likelihood="gaussian")
    parts = parts_by_hand(step.model, IMAGES, generator())
    density = 0.5 * (parts["logits"] - IMAGES).square() + 0.5 * math.log(2 * math.pi)
    found = step(IMAGES, 0, generator()).terms
    torch.testing.assert_close(found["reconstruction"], density.sum((1, 2, 3)).mean())
    torch.testing.assert_close(found["squared_error"], (parts["logits"] - IMAGES).square().mean())


def test_beta_one_is_the_vae_exactly():
    plain, weighted = (new_step(*each) for each in (("vae",), ("beta-vae",)))
    weighted.hyperparameters["beta"] = 1.0
    one, other = (step(IMAGES, 0, generator()).terms for step in (plain, weighted))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_model_is_built_with_defaults_that_a_schedule_may_change():
    step = new_step("beta-vae", beta=2.0)
    assert step.hyperparameters == {"beta": 2.0}
    before = step(IMAGES, 0, generator()).terms
    step.hyperparameters["beta"] = 5.0
    after = step(IMAGES, 0, generator()).terms
    torch.testing.assert_close(after["loss"] - before["loss"], 3 * before["kl"])
    assert step.model.hyperparameters == {"beta": 2.0}


@pytest.mark.parametrize("count", [4, 5, 10])
def test_factor_vae_takes_half_for_the_model_and_half_for_the_permuted_codes(count):
    step, images = new_step("factor-vae", latent_dim=3, gamma=2.0), IMAGES[:count]
    half = math.ceil(count / 2)
    losses = step(images, 0, generator())
    noise = generator()
    parts = parts_by_hand(step.model, images[:half], noise)
    logits = step.discriminator(parts["z"])
    terms = objectives.factor_vae(
        parts["reconstruction"], parts["mu"], parts["logvar"], logits[:, 0] - logits[:, 1], gamma=2.0
    )
    assert_same_terms(losses.terms, terms)
    others = parts_by_hand(step.model, images[half:], noise)["z"]
    expected = discriminator_loss(logits, step.discriminator(permute_latents(others, noise)))
    torch.testing.assert_close(losses.discriminator, expected)
    torch.testing.assert_close(losses.terms["discriminator"], expected.detach())
    assert losses.minimised[0] is losses.terms["loss"]
    assert losses.minimised[1] is losses.discriminator


def test_the_models_loss_does_not_reach_the_discriminator_nor_its_loss_the_model():
    step = new_step("factor-vae", latent_dim=3)
    step(IMAGES, 0, generator()).terms["loss"].backward()
    assert all(parameter.grad is not None for parameter in step.model.parameters())
    assert all(parameter.grad is None for parameter in step.discriminator.parameters())
    step.zero_grad()
    step(IMAGES, 0, generator()).discriminator.backward()
    assert all(parameter.grad is None for parameter in step.model.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in step.discriminator.parameters())
    assert all(parameter.requires_grad for parameter in step.parameters())


def test_the_total_correlations_gradient_reaches_the_encoder():
    step = new_step("factor-vae", latent_dim=3)
    step(IMAGES, 0, generator()).terms["total_correlation"].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in step.model.encoder.parameters())
    assert all(parameter.grad is None for parameter in step.model.decoder.parameters())


def test_the_seed_draws_the_discriminator_and_the_batch_must_halve():
    one, again, other = (new_step("factor-vae", seed=seed).discriminator.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["0.weight"], other["0.weight"])
    with pytest.raises(
        VaelensError, match=r"a batch has 3 images; a discriminator needs at least 4, .*larger batch_size"
    ):
        new_step("factor-vae")(IMAGES[:3], 0, generator())


def test_vq_vaes_terms_and_gradients():
    step = new_step("vq-vae", latent_dim=5, codes=9, commitment=0.5)
    reference = copy.deepcopy(step.model)
    losses = step(IMAGES, 0, generator())
    losses.terms["loss"].backward()
    assert losses.kl_per_latent is None
    assert "kl_per_latent" not in losses.logged

    codebook = reference.quantiser.codebook
    encoded = reference.encoder(IMAGES)
    distances = (encoded[:, None] - codebook[None, :, :, None, None]).square().sum(2)
    indices = distances.argmin(1)
    chosen = codebook[indices].movedim(-1, 1).detach().requires_grad_()
    reconstruction = F.binary_cross_entropy_with_logits(reference.decoder(chosen), IMAGES, reduction="sum") / 10
    commitment = (encoded - chosen.detach()).square().sum() / 10
    shares = indices.flatten().bincount(minlength=9) / indices.numel()
    expected = {
        "loss": reconstruction + 0.5 * commitment,
        "reconstruction": reconstruction,
        "commitment": commitment,
        "perplexity": torch.exp(-(shares * torch.log(shares + 1e-30)).sum()),
        "squared_error": (torch.sigmoid(reference.decoder(chosen)) - IMAGES).square().mean(),
    }
    assert losses.terms.keys() == expected.keys()
    assert_same_terms(losses.terms, expected)
    # the encoder's gradient is the decoder's at the code, straight through, and the commitment's own
    reconstruction.backward()
    encoded.backward(chosen.grad + 2 * 0.5 * (encoded - chosen).detach() / 10)
    for (name, found), wanted in zip(step.model.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found.grad, wanted.grad, rtol=1e-4, atol=1e-4, msg=name)
    assert not torch.equal(step.model.quantiser.codebook, codebook)  # it follows by moving averages


def test_stratified_sampling_refuses_a_batch_larger_than_the_dataset():
    step = new_step("beta-tc-vae", size=9, sampling="stratified")
    with pytest.raises(VaelensError, match="at most the dataset's 9 images, not 10"):
        step(IMAGES, 0, generator())


def test_images_that_do_not_fit_are_refused():
    with pytest.raises(VaelensError, match=r"images are torch.float32 of shape \(2, 1, 16, 16\); expected"):
        new_step("vae")(torch.zeros(2, 1, 16, 16), 0, generator())


def test_a_model_without_weights_has_nothing_to_train():
    encoder = nn.Sequential(nn.AvgPool2d(4), nn.Flatten())
    decoder = nn.Sequential(nn.Unflatten(1, (2, 1, 1)), nn.Upsample(SHAPE[1:]), nn.AvgPool3d((2, 1, 1)))
    model = build_model("vae", SHAPE, latent_dim=2, encoder=encoder, decoder=decoder)
    with pytest.raises(VaelensError, match="nothing to train: encoder and decoder have no weight that takes gradients"):
        TrainingStep(model, 10, 0)
    frozen = build_model("vae", SHAPE, latent_dim=2).requires_grad_(False)
    with pytest.raises(VaelensError, match="nothing to train"):
        TrainingStep(frozen, 10, 0)
