"""Ablations chunk by chunk are those of `lens.run` over all images, also where rows draw random numbers."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects.ablations import ABLATIONS, ablation
from vaelens.effects.treatments import ChunkedTreatment
from vaelens.lens import ABLATIONS as METHODS
from vaelens.lens import other_images


@pytest.fixture
def chain(layer, joined):
    """Builds hidden = B x, code = A h, image = U z, with dropout that stays on behind the hidden layer if asked."""

    def build(drop=False, **options):
        rng = np.random.default_rng(0)
        b, a, u = (rng.normal(size=size) for size in ((5, 4), (3, 5), (4, 3)))

        class Drops(nn.Module):
            def forward(self, x):
                return nn.functional.dropout(x, 0.5, training=True)

        hidden = [layer(b), Drops()] if drop else [layer(b)]
        model = joined(
            nn.Sequential(nn.Flatten(), *hidden, layer(a)), nn.Sequential(layer(u), nn.Unflatten(1, (1, 2, 2)))
        )
        return vl.Lens(model, model.encoder, model.decoder, example=torch.zeros(1, 1, 2, 2), **options)

    return build


def images(n=10):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def expected(values, method, seed):
    return {
        "zero": torch.zeros_like(values),
        "mean": values.mean(dim=0, keepdim=True).expand_as(values),
        "resample": values[other_images(len(values), seed)],
    }[method]


def test_the_ablations_are_those_of_the_lens():
    assert tuple(ABLATIONS) == METHODS


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_chunks_of_an_ablation_are_those_of_all_images(chain, method, drop):
    lens, x = chain(drop, memory_mb=0.002), images()
    assert lens.engine.rows < 10
    assert lens.engine.coupled == drop
    site = "encoder.0"
    values = lens.run(x, capture=[site]).activations[site]
    whole = expected(values, method, 4)
    made = ablation(method, lens, x, [site, "latent"], 4)
    for rows in (slice(0, 3), slice(3, 10)):
        part = made.activations(rows, [site])[site].expand(rows.stop - rows.start, -1)
        np.testing.assert_allclose(part, whole[rows], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("drop", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_patching_by_an_ablation_gives_what_a_run_with_it_gives(chain, method, drop):
    lens, x = chain(drop, memory_mb=0.002), images()
    effects = vl.patching_effects(lens, x, sites=["encoder.0"], method=method, seed=4, progress=False)
    base = lens.run(x).code
    for unit in range(5):
        changed = lens.run(x, vl.Ablate("encoder.0", unit, method, seed=4)).code
        moved = (changed - base).norm(dim=1).mean()
        assert float(effects.effect[unit]) == pytest.approx(float(moved), rel=1e-9, abs=1e-12)


def test_ablations_of_all_kinds_hold_side_by_side_at_one_site(chain):
    # of which each takes its own values: a zero stays 0 beside a mean
    lens, x = chain(memory_mb=0.002), images()
    asked = [
        vl.Ablate("encoder.0", 0, "zero"),
        vl.Ablate("encoder.0", 1, "mean"),
        vl.Ablate("encoder.0", 2, "resample", seed=3),
        vl.Ablate("encoder.0", [3, 4], "resample", seed=5),
    ]
    treatment = ChunkedTreatment(lens, asked, x, before="latent")
    whole = lens.run(x, asked, capture=["encoder.0"]).activations["encoder.0"]
    assert (whole[:, 0] == 0).all()
    for rows in (slice(0, 4), slice(4, 10)):
        part = lens.run(x[rows], treatment.chunk(rows), capture=["encoder.0"]).activations["encoder.0"]
        np.testing.assert_allclose(part, whole[rows], rtol=1e-12)
