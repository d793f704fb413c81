"""Every effect refuses the same options in the same words, before the model runs."""

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects import ces_by_mode

LABELS = np.stack(np.unravel_index(np.arange(12) % 6, (2, 3)), axis=1)
EFFECTS = {
    "factor": lambda m, **o: vl.factor_effects(m.lens, m.ds, n=4, **o),
    "manipulation": lambda m, **o: vl.manipulation_effects(m.lens, m.ds, n=4, **o),
    "latent": lambda m, **o: vl.latent_effects(m.lens, m.x, **o),
    "patching": lambda m, **o: vl.patching_effects(m.lens, m.x, m.x, **o),
    "path": lambda m, **o: vl.path_effects(m.lens, m.x, m.x, "latent", "decoder.0", **o),
    "mediation": lambda m, **o: vl.mediation_effects(m.lens, m.x, m.x, "latent", **o),
    "responses": lambda m, **o: vl.decoder_responses(m.lens, m.x, **o),
    "modes": lambda m, **o: ces_by_mode(m.lens, m.x, **o),
    "strength": lambda m, **o: vl.causal_effect_strength(m.lens, m.x, **o),
}


@pytest.fixture
def model(linear):
    model = linear(images=12)
    model.ds = vl.ArrayDataset(model.x.float().numpy(), LABELS, ["one", "two"])
    return model


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1; expected a whole number from 0"),
        ({"seed": 0.5}, r"seed is 0\.5; expected a whole number"),
        ({"progress": "loud"}, "progress is 'loud'; expected True for a bar"),
    ],
)
def test_seed_and_progress(model, effect, options, message):
    model.lens.posterior = model.lens.run = None  # nothing of the model is asked for
    with pytest.raises(vl.VaelensError, match=message):
        EFFECTS[effect](model, **options)


@pytest.mark.parametrize("effect", ["factor", "manipulation", "latent", "patching"])
def test_tolerance(model, effect):
    with pytest.raises(vl.VaelensError, match=r"tolerance is -1; expected a positive number, how far in pixel-L2"):
        EFFECTS[effect](model, tolerance=-1)


@pytest.mark.parametrize("effect", ["factor", "manipulation", "patching"])
def test_reader(model, effect):
    with pytest.raises(vl.VaelensError, match=r"reader is a int; make one with reader = vl\.factor_reader\(ds\)"):
        EFFECTS[effect](model, reader=3)


def test_the_old_call_takes_either_question(model, same):
    for call, options in (
        (vl.factor_effects, {"factors": "one"}),
        (vl.manipulation_effects, {"manipulations": "blur"}),
    ):
        expected = call(model.lens, model.ds, *options.values(), n=5, seed=2, progress=False)
        same(vl.input_effects(model.lens, model.ds, n=5, seed=2, progress=False, **options), expected, rtol=0, atol=0)
    plain = vl.ArrayDataset(model.x.float().numpy())
    same(
        vl.input_effects(model.lens, plain, n=5, progress=False),
        vl.manipulation_effects(model.lens, plain, n=5, progress=False),
        rtol=0,
        atol=0,
    )


def test_the_old_call_swaps_codes(coded, same):
    model, x = coded([[0.1], [0.4], [0.9]]), torch.rand(6, 1, 2, 2)
    same(
        vl.latent_effects(model.lens, x, mode="swap", values=2, seed=1, over="latents", progress=False),
        vl.swap_effects(model.lens, x, values=2, seed=1, over="latents", progress=False),
        rtol=0,
        atol=0,
    )
