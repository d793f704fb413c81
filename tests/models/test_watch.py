import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.models import build_model, train
from vaelens.models.step import TrainingStep
from vaelens.models.watch import Watch, lasting

SHAPE = (1, 8, 8)
HALVES = torch.zeros(2, *SHAPE)
HALVES[0, :, :4] = HALVES[1, :, 4:] = 1.0
SETTINGS = {"batch_size": 4, "progress": False, "device": "cpu"}


def watch(name, steps=3000, **hyperparameters):
    latents = {} if name == "vq-vae" else {"latent_dim": 3}
    model = build_model(name, image_shape=SHAPE, **latents, **hyperparameters)
    return Watch(TrainingStep(model, dataset_size=20, seed=0), steps)


def rows(*active, every=100, **terms):
    return [{"step": every * (i + 1), "active_latents": count, **terms} for i, count in enumerate(active)]


def used(*perplexities, every=100):
    return [{"step": every * (i + 1), "perplexity": value} for i, value in enumerate(perplexities)]


def test_how_long_something_has_lasted_by_hand():
    def is_off(row):
        return row["active_latents"] == 0

    assert lasting(rows(), is_off) == 0
    assert lasting(rows(0, 1), is_off) == 0
    assert lasting(rows(0, 0), is_off) == 200
    assert lasting(rows(0, 1, 0, 0), is_off) == 200
    assert lasting([*rows(1, 0), {"step": 230, "active_latents": 0}], is_off) == 130


@pytest.mark.parametrize(
    ("name", "cure"),
    [
        ("vae", r"train longer, raise lr, or train a beta-vae .*WarmUp\('beta'"),
        ("beta-vae", r"lower beta, 4, or warm it up: callbacks=\[WarmUp\('beta', steps=…\)\] \(--warm-up beta=STEPS\)"),
        ("annealed-vae", "raise c_max, 25, or lower annealing_steps, 100000, or gamma, 1000"),
        ("factor-vae", r"warm gamma up, 35: callbacks=\[WarmUp\('gamma'"),
        ("beta-tc-vae", "lower beta, 6"),
        ("dip-vae-i", "lower lambda_od and lambda_d, 10, 100"),
        ("dip-vae-ii", "lower lambda_od and lambda_d, 10, 10"),
    ],
)
def test_collapsed_latents_are_told_once_with_what_to_do(name, cure):
    watched = watch(name)
    for count in range(1, 6):
        watched.look(rows(3, *[0] * (count - 1)))
    with pytest.warns(vl.VaelensWarning, match=f"over the last 500 steps, up to step 600, none had .*ignores.*{cure}"):
        watched.look(rows(3, 0, 0, 0, 0, 0))
    watched.look(rows(3, 0, 0, 0, 0, 0, 0))  # a second warning would be an error here


def test_a_single_active_latent_is_no_collapse():
    watch("beta-vae").look(rows(*[0] * 4, 1, *[0] * 4), at_the_end=False)
    watch("beta-vae").look(rows(*[1] * 20), at_the_end=True)


def test_the_end_of_a_run_needs_fewer_steps_and_a_trial_none():
    watch("beta-vae").look(rows(1, 0, 0), at_the_end=False)
    watch("beta-vae").look([*rows(0), {"step": 199, "active_latents": 0}], at_the_end=True)
    watch("beta-vae").look([], at_the_end=True)
    with pytest.warns(vl.VaelensWarning, match="over the last 200 steps, up to step 300"):
        watch("beta-vae").look(rows(1, 0, 0), at_the_end=True)


def test_the_weight_in_force_is_the_one_named():
    watched = watch("beta-vae")
    watched.step.hyperparameters["beta"] = 2.5
    with pytest.warns(vl.VaelensWarning, match=r"lower beta, 2\.5"):
        watched.look(rows(0, 0), at_the_end=True)


def test_a_capacity_that_allows_nothing_is_no_collapse():
    watch("annealed-vae").look(rows(*[0] * 9, capacity=0.03), at_the_end=True)  # 0.01 nat for each of 3 latents
    with pytest.warns(vl.VaelensWarning, match="collapsed"):
        watch("annealed-vae").look(rows(*[0] * 9, capacity=0.04), at_the_end=True)


@pytest.mark.parametrize(("codes", "limit"), [(512, 2.0), (4, 2.0), (3, 3**0.5), (2, 2**0.5)])
def test_an_unused_codebook_is_told_once_with_what_to_do(codes, limit):
    watched = watch("vq-vae", codes=codes)
    watched.look(used(*[limit] * 9), at_the_end=True)
    watched.look(used(9.0, *[limit - 0.1] * 4))
    message = (
        f"over the last 500 steps, up to step 600, a batch used effectively {limit - 0.1:.1f} of {codes} codes .*"
        r"larger revival \(0\.1 now.* or commitment \(0\.25 now\), or lower lr"
    )
    with pytest.warns(vl.VaelensWarning, match=message):
        watched.look(used(9.0, *[limit - 0.1] * 5))
    watched.look(used(9.0, *[limit - 0.1] * 6))


def test_a_capacity_that_the_steps_do_not_reach_is_told_before_training():
    message = r"will end at 0\.75 nats, not at its c_max of 25: annealing takes 100000 steps, and 3000 are trained"
    with pytest.warns(vl.VaelensWarning, match=message):
        watch("annealed-vae").begin()
    watch("annealed-vae", annealing_steps=3000).begin()
    watch("annealed-vae", steps=199).begin()  # a trial
    watch("beta-vae").begin()


def test_training_with_too_much_weight_on_the_divergence_warns_in_its_course(tmp_path):
    model = build_model("beta-vae", image_shape=SHAPE, latent_dim=2, beta=1000.0)
    torch.nn.init.zeros_(model.encoder[-1].weight)  # collapsed from the beginning
    torch.nn.init.zeros_(model.encoder[-1].bias)
    with pytest.warns(vl.VaelensWarning, match=r"over the last 500 steps, up to step 500.*lower beta, 1000") as told:
        result = train(model, HALVES, steps=501, **SETTINGS)
    assert len(told) == 1
    assert result.terms["active_latents"] == 0


def test_a_resumed_run_is_watched_as_one(tmp_path):
    def model():
        built = build_model("beta-vae", image_shape=SHAPE, latent_dim=2, beta=1000.0)
        torch.nn.init.zeros_(built.encoder[-1].weight)
        torch.nn.init.zeros_(built.encoder[-1].bias)
        return built

    train(model(), HALVES, steps=150, folder=tmp_path, **SETTINGS)
    with pytest.warns(vl.VaelensWarning, match="over the last 210 steps, up to step 210"):
        train(model(), HALVES, steps=210, folder=tmp_path, resume=True, **SETTINGS)


def test_one_code_for_everything_is_told_at_the_end():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.value = nn.Parameter(torch.ones(2))

        def forward(self, x):
            return self.value[None, :, None, None].expand(len(x), 2, 2, 2)

    decoder = nn.Sequential(nn.Flatten(), nn.Linear(8, 64), nn.Unflatten(1, SHAPE))
    model = build_model("vq-vae", SHAPE, latent_dim=2, codes=8, encoder=Constant(), decoder=decoder)
    with pytest.warns(vl.VaelensWarning, match=r"over the last 200 steps.*effectively 1\.0 of 8 codes"):
        train(model, HALVES, steps=200, **SETTINGS)


def test_a_run_that_learns_is_not_warned_of():
    result = train(build_model("vae", image_shape=SHAPE, latent_dim=2), HALVES, steps=300, **SETTINGS | {"lr": 1e-2})
    assert result.terms["active_latents"] >= 1


def test_the_warning_is_a_user_warning():
    assert issubclass(vl.VaelensWarning, UserWarning)
