"""Models of vectors: the dense backbone, and a Gaussian whose scale is learned."""

import math

import pytest
import torch

import vaelens as vl
from vaelens.models.likelihoods import learned_gaussian_negative_log_likelihood


def test_a_model_of_vectors_is_dense():
    model = vl.build_model("vae", (12,), latent_dim=3)
    assert [tuple(weight.shape) for weight in model.encoder.parameters()][::2] == [(256, 12), (256, 256), (6, 256)]
    assert [tuple(weight.shape) for weight in model.decoder.parameters()][::2] == [(256, 3), (256, 256), (12, 256)]
    assert list(dict(model.decoder.named_children())) == ["dense0", "relu0", "dense1", "relu1", "features"]
    assert (model.likelihood, model.observation.noun, model.observation.span) == (
        "gaussian-learned",
        "vectors",
        "any values",
    )
    assert vl.build_model("vae", (12,), likelihood="bernoulli").observation.span == "[0, 1]"
    lens = vl.Lens(model)
    assert list(lens.sites) == ["encoder.0", "encoder.1", "latent", "decoder.0", "decoder.1", "decoder.2"]
    with pytest.raises(vl.VaelensError, match="a vq-vae has a grid of codes, which vectors have not"):
        vl.build_model("vq-vae", (12,))
    with pytest.raises(vl.VaelensError, match="features"):
        vl.build_model("vae", (0,))


def test_the_learned_gaussian_is_the_density_of_a_normal_distribution():
    generator = torch.Generator().manual_seed(0)
    x, mean = (torch.randn(5, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    log_scale = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=torch.float64)
    expected = -torch.distributions.Normal(mean, log_scale.exp()).log_prob(x).sum(dim=1)
    torch.testing.assert_close(learned_gaussian_negative_log_likelihood(mean, x, log_scale), expected)
    never_less = learned_gaussian_negative_log_likelihood(x, x, torch.full((4,), -50.0, dtype=torch.float64))
    torch.testing.assert_close(never_less, torch.full((5,), 4 * (0.5 * math.log(2 * math.pi) - 6), dtype=torch.float64))


def test_training_finds_the_scale_of_the_noise_and_keeps_it(tmp_path):
    generator = torch.Generator().manual_seed(0)
    signal = torch.randn(2000, 1, generator=generator) @ torch.tensor([[2.0, -2.0, 1.0, 0.0]])
    noise = torch.tensor([0.1, 0.3, 0.5, 1.0])
    x = signal + noise * torch.randn(2000, 4, generator=generator)
    model = vl.build_model("vae", (4,), latent_dim=1)
    result = vl.train(model, x, steps=600, lr=3e-3, progress=False)
    assert result.terms["active_latents"] == 1
    found = model.mean.log_scale.detach().exp()
    assert found[1:].tolist() == pytest.approx(noise[1:].tolist(), rel=0.35)
    model.save_pretrained(tmp_path)
    loaded = vl.VAE.from_pretrained(tmp_path)
    assert torch.equal(loaded.mean.log_scale, model.mean.log_scale)
    # What the ELBO loses by a latent's removal is in nats of this likelihood.
    lens = vl.Lens(loaded)
    some = x[:40]
    effects = vl.latent_effects(lens, some, progress=False)
    assert effects.attrs["likelihood"] == "gaussian-learned"
    with torch.no_grad():
        z = loaded.encode(some)[0]
        gone = loaded.decode(z.mean(dim=0).expand_as(z))
        cost = [loaded.negative_log_likelihood(decoded, some).mean() for decoded in (gone, loaded.decode(z))]
    assert float(effects.removal_cost[0]) == pytest.approx(float(cost[0] - cost[1]), rel=1e-4)


@pytest.mark.parametrize("name", ["beta-vae", "annealed-vae", "factor-vae", "beta-tc-vae", "dip-vae-i", "dip-vae-ii"])
def test_every_objective_of_gaussian_codes_trains_on_vectors(name):
    x = torch.randn(64, 5, generator=torch.Generator().manual_seed(1))
    model = vl.build_model(name, (5,), latent_dim=2)
    before = model.mean.log_scale.detach().clone()
    first = vl.train(model, x, steps=3, batch_size=16, log_every=1, progress=False)
    assert all(math.isfinite(value) for value in first.terms.values())
    assert not torch.equal(model.mean.log_scale, before)
