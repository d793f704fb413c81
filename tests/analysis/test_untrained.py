import copy

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.analysis.untrained import untrained, why_not_untrained


class Own(nn.Module):
    """A module whose weights nothing draws anew."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.arange(8.0).reshape(2, 4))
        self.decoder = nn.Linear(2, 4)
        self.register_buffer("table", torch.arange(3.0))

    def forward(self, x):
        return self.decoder(x.flatten(1) @ self.weight.T).reshape(-1, 1, 2, 2)


def state(module):
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("objective", ["vae", "vq-vae"])
def test_the_model_is_as_it_was_afterwards_also_after_an_error(objective):
    model = vl.build_model(objective, image_shape=(1, 32, 32), latent_dim=4)
    lens, x = vl.Lens(model), torch.rand(4, 1, 32, 32)
    before, reconstructed, random = state(model), lens.reconstruct(x), torch.random.get_rng_state()
    effects = vl.latent_effects(lens, x, progress=False)
    with untrained(lens, seed=1):
        inside = state(model)
        assert not torch.equal(lens.reconstruct(x), reconstructed)
        vl.latent_effects(lens, x, progress=False)
    with pytest.raises(ZeroDivisionError), untrained(lens, seed=1):
        _ = 1 / 0
    assert same(before, state(model))
    assert torch.equal(lens.reconstruct(x), reconstructed)
    assert torch.equal(torch.random.get_rng_state(), random)
    np.testing.assert_array_equal(vl.latent_effects(lens, x, progress=False).effect, effects.effect)
    for name, parameter in model.named_parameters():
        assert not torch.equal(inside[name], parameter), name


def test_a_fresh_model_is_its_own_untrained_copy():
    """Weights are drawn in the order in which they were when the model was built."""
    model = vl.build_model("vae", image_shape=(1, 32, 32), latent_dim=4, seed=3)
    before = state(model)
    with untrained(vl.Lens(model), seed=3):
        assert same(before, state(model))


def test_the_weights_are_drawn_by_the_seed_and_owe_nothing_to_the_training():
    model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=3)
    trained = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.mul_(3).add_(1)
    drawn = []
    for module, seed in ((model, 0), (trained, 0), (model, 1)):
        with untrained(vl.Lens(module), seed=seed):
            drawn.append(state(module))
    assert same(drawn[0], drawn[1])
    assert not same(drawn[0], drawn[2])


def test_weights_that_nothing_draws_anew_are_permuted():
    model = Own()
    lens = vl.Lens(
        model,
        lambda x: x.flatten(1) @ model.weight.T,
        lambda z: model.decoder(z).reshape(-1, 1, 2, 2),
        example=torch.zeros(1, 1, 2, 2),
    )
    with untrained(lens, seed=0):
        assert not torch.equal(model.weight, torch.arange(8.0).reshape(2, 4))
        assert model.weight.flatten().sort().values.tolist() == list(range(8))
        assert model.table.tolist() == [0.0, 1.0, 2.0]  # a buffer is part of the architecture
    assert model.weight.flatten().tolist() == list(range(8))


def test_a_codebook_is_permuted():
    model = vl.build_model("vq-vae", image_shape=(1, 32, 32), latent_dim=4, codes=8)
    lens = vl.Lens(model)
    book = lens.codebook.clone()
    with untrained(lens, seed=0):
        assert not torch.equal(lens.codebook, book)
        assert torch.equal(lens.codebook.flatten().sort().values, book.flatten().sort().values)
    assert torch.equal(lens.codebook, book)


def test_a_model_of_inference_mode_is_left_alone():
    with torch.inference_mode():
        model = vl.build_model("vae", image_shape=(1, 8, 8), latent_dim=2)
    assert "made in inference mode" in why_not_untrained(vl.Lens(model))
