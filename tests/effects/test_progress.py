"""What every sweep tells of its progress, and how it leaves the model when it is stopped in the middle."""

import itertools

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode

IMAGES = 10
SWEEPS = {
    "input": lambda m, **o: vl.input_effects(m.lens, m.ds, n=IMAGES, **o),
    "manipulations": lambda m, **o: vl.input_effects(m.lens, m.ds, n=IMAGES, manipulations=["blur", "noise"], **o),
    "latent": lambda m, **o: vl.latent_effects(m.lens, m.x, **o),
    "recoded": lambda m, **o: vl.latent_effects(m.lens, m.x, over="latents", mode="prior", values=2, **o),
    "modes": lambda m, **o: ces_by_mode(m.lens, m.x, **o),
    "patching": lambda m, **o: vl.patching_effects(m.lens, m.x, m.y, **o),
    "ablation": lambda m, **o: vl.patching_effects(m.lens, m.x, method="mean", **o),
    "path": lambda m, **o: vl.path_effects(m.lens, m.x, m.y, "latent", "decoder.0", **o),
    "mediation": lambda m, **o: vl.mediation_effects(m.lens, m.x, m.y, "latent", **o),
    "treatment": lambda m, **o: vl.mediation_effects(m.lens, m.x, vl.Set("latent", 0, 1.0), "decoder.0", **o),
    "responses": lambda m, **o: vl.decoder_responses(m.lens, m.x, **o),
    "strength": lambda m, **o: vl.causal_effect_strength(m.lens, m.x, **o),
    "specificity": lambda m, **o: vl.intervention_specificity(m.lens, m.x, **o),
    "modularity": lambda m, **o: vl.circuit_modularity(m.lens, m.x, **o),
    "factor-vae": lambda m, **o: vl.factor_vae_score(m.lens, m.ds, n_train=20, n_test=5, batch_size=4, **o),
    "beta-vae": lambda m, **o: vl.beta_vae_score(m.lens, m.ds, n_train=20, n_test=5, batch_size=4, **o),
    "analysis": lambda m, **o: vl.analyse(m.lens, m.ds, n=8, **o),
}
TOTALS = {
    "input": IMAGES * 2 * 2,  # and as many control pairs, for the labels are no grid
    "manipulations": IMAGES * 2,
    "latent": IMAGES * 3 * (7 + 1),
    "modes": IMAGES * 3 * (7 + 4 + 1 + 1 + 1),
    "path": IMAGES * 5,
    "mediation": IMAGES * 3,
    "treatment": IMAGES * 5,
    "responses": IMAGES * 3 * 7,
}


@pytest.fixture
def subject(layer, joined):
    """A VAE in training but for one module, under a lens that takes few images at a time, with images for it."""
    rng = np.random.default_rng(0)
    model = joined(
        torch.nn.Sequential(torch.nn.Flatten(), layer(rng.normal(size=(4, 16))), layer(rng.normal(size=(3, 4)))),
        torch.nn.Sequential(
            layer(rng.normal(size=(5, 3))), layer(rng.normal(size=(16, 5))), torch.nn.Unflatten(1, (1, 4, 4))
        ),
    )
    model.train()
    model.encoder[1].eval()
    subject = type("Subject", (), {})()
    subject.model = model
    subject.lens = vl.Lens(model, model.encoder, model.decoder, example=torch.zeros(1, 1, 4, 4), memory_mb=0.001)
    subject.x, subject.y = torch.rand(2, IMAGES, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = np.array(list(itertools.product(range(3), range(4))) * 2)
    subject.ds = vl.ArrayDataset(rng.random((24, 1, 4, 4)), labels, ["one", "two"])
    return subject


def state(model):
    """All that a sweep must leave alone (not Python's generator: the checks of types in tests draw from it)."""
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
        "torch": torch.get_rng_state().tolist(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
    }


@pytest.mark.parametrize("name", SWEEPS)
def test_a_function_is_told_every_step_and_the_end(subject, name):
    seen = []
    SWEEPS[name](subject, progress=lambda done, total: seen.append((done, total)))
    done, totals = zip(*seen, strict=True)
    assert len(set(totals)) == 1
    assert totals[0] == TOTALS.get(name, totals[0])
    assert list(done) == sorted(set(done))
    assert done[-1] == totals[0]
    if "vae" not in name:  # 24 images are encoded at once
        assert len(done) > 3


@pytest.mark.parametrize("name", SWEEPS)
def test_a_sweep_that_is_interrupted_leaves_no_trace(subject, name):
    before, reached = state(subject.model), []

    def interrupt(done, total):
        if 2 * done >= total:
            reached.append(done)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SWEEPS[name](subject, progress=interrupt)
    assert len(reached) == 1
    assert state(subject.model) == before


@pytest.mark.parametrize("name", ["latent", "treatment"])
def test_an_interruption_inside_the_model_leaves_no_trace(subject, name):
    passed = []

    def interrupt(module, arguments, output):
        passed.append(module)
        if len(passed) > 5:
            raise KeyboardInterrupt

    handle = subject.model.decoder[1].register_forward_hook(interrupt)
    before = state(subject.model)
    with pytest.raises(KeyboardInterrupt):
        SWEEPS[name](subject, progress=False)
    assert state(subject.model) == before
    handle.remove()


@pytest.mark.parametrize("name", SWEEPS)
def test_progress_is_refused_before_anything_runs(subject, name):
    subject.lens.posterior = subject.lens.run = None  # nothing of the model is asked for
    with pytest.raises(vl.VaelensError, match="progress is 'loud'; expected True for a bar, False for none"):
        SWEEPS[name](subject, progress="loud")
