"""VQ-VAE's terms against loops, and where its gradients go."""

import itertools
import math

import numpy as np
import pytest
import torch

from vaelens.models.objectives.quantised import perplexity, vq_vae


def slow_terms(reconstruction, encoded, quantised, indices, codes, weight):
    distance = 0.0
    for place in itertools.product(*map(range, encoded.shape)):
        distance += (encoded[place] - quantised[place]) ** 2
    distance /= len(encoded)
    entropy = 0.0
    for code in range(codes):
        share = np.mean(indices == code)
        entropy -= share * math.log(share) if share else 0.0
    return {
        "loss": reconstruction.mean() + weight * distance,
        "reconstruction": reconstruction.mean(),
        "commitment": distance,
        "perplexity": math.exp(entropy),
    }


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 4, 2, 5), (5, 8, 4, 4)])
@pytest.mark.parametrize("weight", [0.0, 0.25, 3.0])
def test_every_term_matches_numpy(shape, weight):
    for seed, dtype in itertools.product(range(2), (torch.float32, torch.float64)):
        rng = np.random.default_rng(seed)
        encoded, quantised = rng.normal(size=shape), rng.normal(size=shape)
        reconstruction, indices = rng.uniform(1, 99, shape[0]), rng.integers(7, size=(shape[0], *shape[2:]))
        expected = slow_terms(reconstruction, encoded, quantised, indices, 7, weight)
        tensors = [torch.tensor(array, dtype=dtype) for array in (reconstruction, encoded, quantised)]
        terms = vq_vae(*tensors, torch.tensor(indices), 7, commitment=weight)
        assert terms.keys() == expected.keys()
        for name, value in expected.items():
            assert terms[name].item() == pytest.approx(value, rel=1e-5), name


def test_commitment_by_hand():
    # two images of two positions: squared distances 1 + 4 and 9 + 0, averaged over images
    encoded, quantised = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0.0, 0.0, 0.0, 4.0])
    terms = vq_vae(
        torch.tensor([10.0, 20.0]),
        encoded.reshape(2, 1, 1, 2),
        quantised.reshape(2, 1, 1, 2),
        torch.zeros(2, 1, 2, dtype=torch.long),
        3,
        commitment=0.5,
    )
    assert terms["commitment"].item() == 7.0
    assert terms["loss"].item() == 15 + 3.5
    assert terms["perplexity"].item() == 1.0


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([5, 5, 5], 1.0),
        ([0, 1, 2, 3], 4.0),
        ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7], 8.0),
        ([0, 0, 0, 1], 4 / 3**0.75),  # exp(¾ log 4/3 + ¼ log 4)
    ],
)
def test_perplexity_by_hand(indices, expected):
    assert perplexity(torch.tensor(indices), 8).item() == pytest.approx(expected, rel=1e-6)


def test_commitment_draws_the_encoder_alone():
    encoded = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(0)).requires_grad_()
    quantised = torch.randn(3, 4, 2, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    indices = torch.zeros(3, 2, 2, dtype=torch.long)
    vq_vae(torch.zeros(3), encoded, quantised, indices, 5, commitment=0.25)["loss"].backward()
    # d/dz_e of c ‖z_e − e‖², averaged over three images
    torch.testing.assert_close(encoded.grad, 2 * 0.25 * (encoded - quantised).detach() / 3)
    assert quantised.grad is None
