"""The quantiser against brute force and against moving averages written in NumPy."""

import itertools

import numpy as np
import pytest
import torch

from vaelens.models.quantiser import Quantiser
from vaelens.models.randomness import own_randomness

EPS = 1e-5  # of vector-quantize-pytorch's smoothing, its default


def new(codes=16, d=6, decay=0.9, revival=0.0, seed=0):
    with own_randomness(seed):
        return Quantiser(codes, d, decay, revival)


def embeddings(*shape, seed=0, scale=1.0):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def brute_force(z, codebook):
    """The nearest code of each position and its squared distance, position by position."""
    n, _, height, width = z.shape
    nearest, least = np.zeros((n, height, width), int), np.zeros((n, height, width))
    for i, row, column in itertools.product(range(n), range(height), range(width)):
        distances = [((z[i, :, row, column] - code) ** 2).sum() for code in codebook]
        nearest[i, row, column], least[i, row, column] = np.argmin(distances), np.min(distances)
    return nearest, least


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize(("codes", "d", "grid"), [(16, 6, (4, 4)), (50, 1, (3, 5)), (7, 64, (1, 1)), (512, 10, (2, 3))])
def test_the_nearest_code_is_the_nearest_and_positions_keep_their_place(codes, d, grid, training):
    quantiser = new(codes, d).train(training)
    codebook = quantiser.codebook.clone()
    z = embeddings(3, d, *grid, scale=0.5)
    found = quantiser(z)
    nearest, least = brute_force(z.double().numpy(), codebook.double().numpy())
    assert found.indices.shape == (3, *grid)
    assert found.embedding.shape == z.shape
    distances = ((z - found.embedding).double() ** 2).sum(1).detach().numpy()
    np.testing.assert_allclose(distances, least, rtol=1e-5, atol=1e-6)
    assert (found.indices.numpy() == nearest).mean() > 0.97  # equally near but for float32's rounding
    chosen = codebook[found.indices].movedim(-1, 1)
    torch.testing.assert_close(found.embedding, chosen, rtol=0, atol=0 if not training else 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_code_gives_itself_back_to_the_bit(dtype):
    quantiser = new(12, 4).to(dtype).eval()
    with torch.no_grad():  # codes that float32 does not hold exactly
        quantiser.codebook.copy_(torch.tensor(np.random.default_rng(0).normal(size=(12, 4))).to(dtype))
    z = quantiser.codebook.T.reshape(1, 4, 3, 4).clone()
    found = quantiser(z)
    assert found.embedding.dtype == dtype
    assert torch.equal(found.embedding, z)
    assert found.indices.tolist() == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]]


def test_gradients_pass_straight_through():
    quantiser = new().train()
    z, weight = embeddings(2, 6, 3, 3).requires_grad_(), embeddings(2, 6, 3, 3, seed=1)
    found = quantiser(z)
    (found.embedding.pow(3) * weight).sum().backward()
    # what the loss has for a gradient at the code, the encoder's output gets
    torch.testing.assert_close(z.grad, 3 * found.embedding.detach().square() * weight)
    assert not list(quantiser.parameters())


@pytest.mark.parametrize("decay", [0.0, 0.8, 0.99])
def test_the_codebook_is_a_moving_average_of_what_chose_it(decay):
    # van den Oord et al., appendix A.1: N ← γ N + (1 − γ) n, m ← γ m + (1 − γ) Σ z, e = m / N. As in
    # vector-quantize-pytorch N starts from 1 and m from the first codes, and the N of the quotient is smoothed so
    # that a code without any is not divided by 0: (N + ε) / (ΣN + K ε) ΣN, ε = 1e-5.
    quantiser = new(8, 3, decay).train()
    codebook = quantiser.codebook.double().numpy().copy()
    counts, sums = np.ones(8), codebook.copy()
    for step in range(6):
        z = embeddings(4, 3, 2, 2, seed=step, scale=0.5)
        found = quantiser(z)
        indices, vectors = found.indices.numpy().reshape(-1), z.double().numpy().transpose(0, 2, 3, 1).reshape(-1, 3)
        for code in range(8):
            counts[code] = decay * counts[code] + (1 - decay) * (indices == code).sum()
            sums[code] = decay * sums[code] + (1 - decay) * vectors[indices == code].sum(0)
        smoothed = (counts + EPS) / (counts.sum() + 8 * EPS) * counts.sum()
        np.testing.assert_allclose(quantiser.codebook.numpy(), sums / smoothed[:, None], rtol=1e-4, atol=1e-5)


def test_dead_codes_become_embeddings_of_the_batch():
    quantiser = new(8, 2, decay=0.5, revival=0.3).train()
    with torch.no_grad():  # codes 0 to 3 near the data, the others far away
        codes = torch.cat([torch.eye(2), -torch.eye(2), 100 + torch.arange(8.0).reshape(4, 2)])
        quantiser.codebook.copy_(codes)
        quantiser.nearest._codebook.embed_avg.copy_(codes[None])
        quantiser.nearest._codebook.cluster_size.fill_(1)
    z = torch.cat([torch.eye(2), -torch.eye(2)]).repeat(8, 1) + 0.01 * embeddings(32, 2)
    z = z.reshape(32, 2, 1, 1)
    for step in range(2):  # counts of codes that are never chosen: 1, 0.5, 0.25
        quantiser(z, torch.Generator().manual_seed(step))
        dead = quantiser.codebook[4:]
        in_batch = (dead[:, None] == z[None, :, :, 0, 0]).all(2).any(1)
        assert in_batch.tolist() == [step == 1] * 4
    assert len(quantiser.codebook[4:].unique(dim=0)) == 4
    counts = quantiser.nearest._codebook.cluster_size[0]
    np.testing.assert_allclose(counts[4:].numpy(), 0.3)
    assert (counts[:4] > 1).all()


def test_a_new_codebook_counts_as_revived_so_what_nothing_is_near_is_replaced_at_once():
    quantiser = new(8, 2, decay=0.9, revival=0.3).train()
    book = quantiser.nearest._codebook
    np.testing.assert_allclose(book.cluster_size.numpy(), 0.3)
    torch.testing.assert_close(book.embed_avg, 0.3 * book.embed)
    z = 5 + embeddings(16, 2, 1, 1)  # the first codes are near 0: one of them is the nearest, the others are dead
    quantiser(z, torch.Generator().manual_seed(0))
    in_batch = (quantiser.codebook[:, None] == z[None, :, :, 0, 0]).all(2).any(1)
    assert in_batch.sum() >= 6


def test_no_revival_leaves_dead_codes():
    quantiser = new(8, 2, decay=0.5, revival=0.0).train()
    with torch.no_grad():
        far = 100 + torch.arange(16.0).reshape(8, 2)
        quantiser.codebook.copy_(far)
        quantiser.nearest._codebook.embed_avg.copy_(far[None])
    for _ in range(5):
        quantiser(torch.zeros(4, 2, 1, 1))
    assert (quantiser.codebook[1:] > 50).all()


def buffers(quantiser):
    return {name: buffer.clone() for name, buffer in quantiser.named_buffers()}


def test_in_eval_mode_nothing_changes():
    quantiser = new(8, 3, revival=5.0).eval()
    before = buffers(quantiser)
    for seed in range(3):
        quantiser(embeddings(4, 3, 2, 2, seed=seed), torch.Generator().manual_seed(seed))
    after = buffers(quantiser)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_revival_draws_from_the_given_generator_alone():
    state = torch.get_rng_state()
    ends = []
    for seed in (1, 1, 2):
        quantiser, generator = new(32, 3, decay=0.5, revival=0.9).train(), torch.Generator().manual_seed(seed)
        for step in range(4):
            quantiser(embeddings(4, 3, 2, 2, seed=step), generator)
            torch.rand(1, generator=generator)  # as the rest of a step does
        ends.append(quantiser.codebook.clone())
    assert torch.equal(ends[0], ends[1])
    assert not torch.equal(ends[0], ends[2])
    assert torch.equal(torch.get_rng_state(), state)


def test_where_nothing_is_revived_the_generator_does_not_matter():
    one, other = new().train(), new().train()
    one(embeddings(2, 6, 3, 3), torch.Generator().manual_seed(0))
    other(embeddings(2, 6, 3, 3))
    assert torch.equal(one.codebook, other.codebook)
