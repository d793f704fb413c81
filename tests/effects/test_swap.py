import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.effects.code_swaps import other_codes
from vaelens.lens import other_images

W = np.array([[2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.5, 1.0], [0.0, 0.0, 0.0, 3.0]])


def images(n=12, seed=0):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def entropy(p):
    p = p[p > 0] / p.sum()
    return -(p * np.log(p)).sum()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_with_two_codes_a_swap_is_the_other_one(coded, provenance, intervals, dtype):
    model = coded([[0.1], [0.7]], W, dtype=dtype)
    x = images()
    effects = vl.latent_effects(model.lens, x, mode="swap", seed=3)
    columns = np.linalg.norm(W, axis=0)
    # the other code is 0.6 away, whichever is there
    np.testing.assert_allclose(effects.effect, np.repeat(0.6 * columns[:, None], 4, axis=1), rtol=1e-5)
    np.testing.assert_allclose(effects.ces, 0.6 * columns, rtol=1e-5)
    np.testing.assert_allclose(effects.ces_mean, 0.6 * columns.mean(), rtol=1e-5)
    np.testing.assert_allclose(effects.effect_map, (0.6 * W.T).reshape(4, 1, 2, 2), rtol=1e-5, atol=1e-7)
    h = np.array([entropy(column) for column in W.T])
    np.testing.assert_allclose(effects.specificity, 1 / (h + 1e-8), rtol=1e-5)
    np.testing.assert_allclose(effects.specificity_normalised, 1 - h / np.log(4), rtol=1e-5)
    chosen = model.choose(model.embed(x))
    pictures = model.draw(chosen)
    distances = [np.linalg.norm(pictures[i] - pictures[j]) for i in range(12) for j in range(i)]
    np.testing.assert_allclose(effects.ces_relative, 0.6 * columns / np.mean(distances), rtol=1e-5)
    partner = chosen[other_images(12, 3)]
    np.testing.assert_allclose(
        effects.ces_posterior, 0.6 * columns * (partner != chosen).reshape(12, 4).mean(axis=0), rtol=1e-5
    )
    used = [len(np.unique(column)) for column in chosen.reshape(12, 4).T]
    assert effects.codes_used.values.tolist() == used
    np.testing.assert_allclose(
        effects.code_entropy, [entropy(np.bincount(column)) for column in chosen.reshape(12, 4).T], rtol=1e-9
    )
    assert effects.active.values.tolist() == [True] * 4
    assert effects.effect.dims == ("position", "value")
    assert effects.effect_map.dims == ("position", "channel", "height", "width")
    assert "latent" not in effects.dims
    assert effects.row.values.tolist() == [0, 0, 1, 1]
    assert effects.column.values.tolist() == [0, 1, 0, 1]
    provenance(effects, mode="swap", images=12, seed=3, latent="quantised", codes=2, codes_used=2, positions="all")
    assert effects.attrs["code_perplexity"] == pytest.approx(np.exp(entropy(np.bincount(chosen.ravel()))))
    intervals(effects, "effect", "ces", "ces_relative", "ces_posterior", "ces_mean")


def test_a_swap_puts_the_code_also_where_the_quantiser_takes_its_embedding_to_another(coded):
    """Embeddings below 0.9 take the code 0.1: the embedding 0.7 of the other code would, too, and change nothing."""
    model = coded([[0.1], [0.7]], W, quantise=lambda z: (z[:, 0] > 0.9).long())
    x = images()
    assert set(model.lens.code_indices(x).flatten().tolist()) == {0, 1}
    effects = vl.latent_effects(model.lens, x, mode="swap", progress=False)
    np.testing.assert_allclose(effects.ces, 0.6 * np.linalg.norm(W, axis=0), rtol=1e-9)
    taken = model.lens.code_indices(x).flatten(1).numpy()
    differ = (taken[other_images(12, 0)] != taken).mean(axis=0)
    np.testing.assert_allclose(effects.ces_posterior, effects.ces * differ, rtol=1e-9)


def test_a_position_where_all_images_agree_is_inactive_and_can_be_swapped(coded):
    model = coded([[0.0], [1.0]])
    x = torch.tensor([[[0.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)[:, None]
    effects = vl.latent_effects(model.lens, x, mode="swap", values=1)
    assert effects.active.values.tolist() == [False, True, False, True]
    assert effects.codes_used.values.tolist() == [1, 2, 1, 2]
    np.testing.assert_allclose(effects.code_entropy, [0, np.log(2), 0, np.log(2)])
    np.testing.assert_allclose(effects.ces, 1)
    np.testing.assert_allclose(effects.ces_posterior, [0, 1, 0, 1])
    assert effects.attrs["code_perplexity"] == pytest.approx(np.exp(entropy(np.array([6, 2]))))


def test_codes_are_drawn_by_their_frequency_among_the_others(coded):
    # images whose codes are 0, 0, 1, 2; the fourth code is in the book and not in use
    model = coded([[0.0], [0.3], [1.0], [9.0]])
    x = torch.tensor([[0.0, 0.1], [0.3, 1.0]], dtype=torch.float64).expand(1000, 1, 2, 2)
    effects = vl.latent_effects(model.lens, x, mode="swap", values=3, seed=0)
    assert effects.attrs["codes_used"] == 3
    frequency = {0.0: 2, 0.3: 1, 1.0: 1}
    for position, there in enumerate([0.0, 0.0, 0.3, 1.0]):
        # one of two others, so that the mean effect says how often it was the first of them
        first, second = (code for code in frequency if code != there)
        p = frequency[first] / (frequency[first] + frequency[second])
        near, far = abs(first - there), abs(second - there)
        seen = (effects.effect.values[position] - far) / (near - far)
        assert (np.abs(seen - p) < 5 * np.sqrt(p * (1 - p) / 1000)).all(), position
        assert len(set(seen)) == 3  # each value is a draw of its own
        assert float(effects.ces[position]) == pytest.approx(p * near + (1 - p) * far, abs=0.03)


def test_every_other_code_in_use_is_drawn_as_often_as_it_is_frequent():
    chosen = np.array([[0, 3, 3, 5], [5, 5, 7, 3], [3, 5, 5, 5]], dtype=np.int32)
    counts = np.bincount(chosen.ravel(), minlength=9)
    rng = np.random.default_rng(0)
    drawn = np.stack([other_codes(torch.from_numpy(chosen), counts, rng) for _ in range(6000)])
    assert (drawn != chosen).all()
    for there, found in zip(chosen.ravel(), drawn.reshape(6000, -1).T, strict=True):
        expected = np.where(np.arange(9) == there, 0, counts) / (12 - counts[there])
        seen = np.bincount(found, minlength=9) / 6000
        assert (np.abs(seen - expected) <= 5 * np.sqrt(expected * (1 - expected) / 6000)).all(), there


def test_codes_of_two_dimensions_are_swapped_whole(coded):
    rng = np.random.default_rng(0)
    w = rng.normal(size=(4, 8))
    codes = np.array([[0.0, 0.0], [1.0, -0.5]])
    model = coded(codes, w, a=[[1.0], [-0.5]])
    effects = vl.latent_effects(model.lens, images(), mode="swap", values=1)
    moved = np.einsum("odp,d->po", w.reshape(4, 2, 4), codes[1] - codes[0])  # (positions, pixels)
    np.testing.assert_allclose(effects.ces, np.linalg.norm(moved, axis=1), rtol=1e-9)
    np.testing.assert_allclose(effects.effect_map.values.reshape(4, 4), np.abs(moved), rtol=1e-9)


@pytest.mark.parametrize("over", ["pixels", "latents"])
def test_swaps_do_not_depend_on_chunks(coded, same, over):
    codes = [[0.1], [0.4], [0.9]]
    wide, narrow = coded(codes, W), coded(codes, W, memory_mb=1e-6)
    assert (wide.lens.engine.rows, narrow.lens.engine.rows) == (64, 1)
    same(*(vl.latent_effects(m.lens, images(), mode="swap", over=over, seed=1) for m in (wide, narrow)))


def test_specificity_over_latents_is_that_of_the_embedding_read_again(coded):
    model = coded([[0.1], [0.7]], W)
    effects = vl.latent_effects(model.lens, images(), mode="swap", over="latents")
    h = np.array([entropy(column) for column in W.T])  # the encoder reads each pixel as it is
    np.testing.assert_allclose(effects.specificity, 1 / (h + 1e-8), rtol=1e-6)
    np.testing.assert_allclose(effects.specificity_normalised, 1 - h / np.log(4), rtol=1e-6)


def test_the_seed_decides_the_draws(coded, same):
    model = coded([[0.1], [0.4], [0.9]], W)
    first, again, other = (vl.latent_effects(model.lens, images(), mode="swap", seed=seed) for seed in (0, 0, 1))
    same(first, again, rtol=0, atol=0)
    assert not np.allclose(first.ces, other.ces)
    assert first.sizes["value"] == 4


def test_relabelling_the_codes_changes_nothing(coded, same):
    one, other = coded([[0.1], [0.7]], W), coded([[5.0], [0.7], [0.1]], W)
    before, after = (vl.latent_effects(m.lens, images(), mode="swap") for m in (one, other))
    same(before, after)


def test_one_image_gives_means_without_intervals(coded):
    model = coded([[0.1], [0.7]])
    x = torch.tensor([[0.0, 1.0], [0.0, 0.0]])[None, None]
    effects = vl.latent_effects(model.lens, x, mode="swap")
    np.testing.assert_allclose(effects.ces, 0.6)
    for name in ("ces_low", "ces_posterior", "ces_relative", "specificity_high"):
        assert np.isnan(effects[name]).all(), name


def test_a_dead_codebook_is_no_silent_zero(coded):
    model = coded([[0.0], [0.2], [50.0]])
    with pytest.raises(
        vl.VaelensError, match=r"all positions of these 3 images take code 1, so none can be swapped .*dead on these"
    ):
        vl.latent_effects(model.lens, torch.ones(3, 1, 2, 2), mode="swap")


def test_only_a_quantised_latent_has_codes_to_swap(linear):
    model = linear()
    with pytest.raises(
        vl.VaelensError,
        match="mode 'swap' replaces codes of a codebook, and this latent is not quantised; use one of range, shift",
    ):
        vl.latent_effects(model.lens, model.x, mode="swap")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"values": 0}, "values of mode 'swap' is 0; expected the number of draws for each image"),
        ({"values": [1.0]}, r"values of mode 'swap' is \[1\.0\]; expected the number of draws"),
        ({"positions": "one"}, "mode 'swap' goes over the positions one by one, and positions is 'one'; leave it out"),
        ({"positions": (0, 1)}, r"mode 'swap' goes over the positions one by one, and positions is \(0, 1\)"),
        ({"mode": "swaps"}, r"unknown mode 'swaps'; known: range, .*, conditional, swap; did you mean 'swap'"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(coded, arguments, message):
    model = coded([[0.1], [0.7]])
    with pytest.raises(vl.VaelensError, match=message):
        vl.latent_effects(model.lens, images(), **({"mode": "swap"} | arguments))


def test_a_swap_on_a_vq_vae_is_its_decoder_with_another_code(vq_vae):
    model = vq_vae()
    lens = vl.Lens(model)
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    effects = vl.latent_effects(lens, x, mode="swap", values=1, seed=5)
    with torch.no_grad():
        chosen = model.quantise(model.encode(x)[0]).indices
        base = model.mean(model.decoder(model.quantiser.codebook[chosen].movedim(-1, 1)))
        smallest, largest = np.full(16, np.inf), np.zeros(16)
        # every other code in use at every position: the drawn ones lie between the least and the largest effect
        for position in range(16):
            effect = []
            for code in chosen.unique():
                other = chosen.clone()
                other.view(6, 16)[:, position] = code
                image = model.mean(model.decoder(model.quantiser.codebook[other].movedim(-1, 1)))
                norm = (image - base).flatten(1).norm(dim=1)
                effect.append(torch.where(other == chosen, torch.inf, 1.0).view(6, 16)[:, position] * norm)
            effect = torch.stack(effect)
            changed = torch.where(effect > 0, effect, torch.nan).nan_to_num(torch.inf)
            smallest[position] = changed.min(dim=0).values.mean()
            largest[position] = torch.where(effect.isfinite(), effect, 0).nan_to_num(0).max(dim=0).values.mean()
    assert (effects.ces.values >= smallest * (1 - 1e-5)).all()
    assert (effects.ces.values <= largest * (1 + 1e-5)).all()
    assert effects.sizes["position"] == 16
    assert (effects.ces > 0).all()


def test_the_strength_of_swaps_is_the_column_of_the_effects(coded):
    lens = coded(codes=[[0.0], [1.0]]).lens
    x = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]]).reshape(2, 1, 2, 2)
    xr.testing.assert_identical(
        vl.causal_effect_strength(lens, x, mode="swap", seed=2), vl.latent_effects(lens, x, mode="swap", seed=2).ces
    )
