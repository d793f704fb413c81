import math

import numpy as np
import pandas as pd
import pytest
import torch

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.models import build_model, train

SHAPE = (1, 8, 8)
IMAGES = torch.rand(20, *SHAPE, generator=torch.Generator().manual_seed(0))
SHORT = {"batch_size": 8, "log_every": 1, "checkpoint_every": 5, "progress": False, "device": "cpu"}


def new_model(name="beta-vae", **arguments):
    return build_model(name, image_shape=SHAPE, latent_dim=3, **arguments)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.parametrize(
    ("schedule", "given", "values"),
    [
        (vl.WarmUp("beta", 4), 8.0, {0: 0, 1: 2, 3: 6, 4: 8, 1000: 8}),
        (vl.WarmUp("beta", 4, start=10.0), 2.0, {0: 10, 1: 8, 4: 2, 5: 2}),
        (vl.Cyclical("beta", 10), 5.0, {0: 0, 1: 1, 4: 4, 5: 5, 9: 5, 10: 0, 11: 1, 105: 5}),
        (vl.Cyclical("beta", 4, rise=1.0, start=1.0), 5.0, {0: 1, 1: 2, 2: 3, 3: 4, 4: 1}),
        (vl.CosineDecay("lr", 6), 0.4, {0: 0.4, 2: 0.3, 3: 0.2, 4: 0.1, 6: 0, 7: 0}),  # cos 60° = 1/2
        (vl.CosineDecay("lr", 6, end=0.2), 0.4, {0: 0.4, 2: 0.35, 3: 0.3, 4: 0.25, 6: 0.2, 99: 0.2}),
    ],
)
def test_the_value_of_a_step_by_hand(schedule, given, values):
    for step, expected in values.items():
        assert schedule.value(step, given) == pytest.approx(expected, abs=1e-12)


def test_a_scheduled_weight_is_the_one_of_the_loss_and_a_column_of_the_history():
    model = new_model(beta=8.0)
    history = train(model, IMAGES, steps=6, callbacks=vl.WarmUp("beta", 4), **SHORT).history
    assert list(history["beta"]) == [0, 2, 4, 6, 8, 8]
    expected = history["reconstruction"] + history["beta"] * history["kl"]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-6)
    assert model.hyperparameters == {"beta": 8.0}


def test_the_history_averages_what_was_set_over_the_window():
    result = train(new_model(beta=8.0), IMAGES, steps=6, callbacks=[vl.WarmUp("beta", 4)], **SHORT | {"log_every": 4})
    assert list(result.history["beta"]) == [3, 8]
    assert result.terms["beta"] == 8


def test_the_learning_rate_is_scheduled():
    # Adam's first step moves each weight with a gradient by lr: not at all with an lr of 0
    still, moved = new_model(), new_model()
    train(still, IMAGES, steps=1, lr=0.1, callbacks=[vl.WarmUp("lr", 2)], **SHORT)
    assert same(still, new_model())
    history = train(moved, IMAGES, steps=3, lr=0.1, callbacks=[vl.WarmUp("lr", 2)], **SHORT).history
    assert list(history["lr"]) == [0, 0.05, 0.1]
    assert not same(moved, new_model())


def test_a_schedule_that_sets_nothing_new_changes_no_bit():
    one, other = new_model(), new_model()
    train(one, IMAGES, steps=4, **SHORT)
    train(other, IMAGES, steps=4, callbacks=[vl.WarmUp("lr", 2, start=1e-3), vl.WarmUp("beta", 2, start=4.0)], **SHORT)
    assert same(one, other)


def test_each_learning_rate_is_that_of_its_optimiser():
    def trained(*callbacks):
        model = new_model("factor-vae", gamma=0.0)  # so that the discriminator does not act on the model
        return model, train(model, IMAGES, steps=4, callbacks=callbacks, **SHORT)

    (plain, before), (slow, after) = trained(), trained(vl.WarmUp("discriminator_lr", 100))
    assert same(plain, slow)
    assert before.terms["discriminator"] != after.terms["discriminator"]
    assert list(after.history["discriminator_lr"]) == pytest.approx([0, 1e-6, 2e-6, 3e-6])
    frozen, result = trained(vl.WarmUp("lr", 100, start=0.0))
    assert not same(plain, frozen)
    assert list(result.history["lr"]) == pytest.approx([0, 1e-5, 2e-5, 3e-5])


def test_a_weight_called_as_its_term_has_a_column_of_its_own():
    model = build_model("vq-vae", image_shape=SHAPE, latent_dim=4, codes=4, commitment=2.0)
    history = train(model, IMAGES, steps=3, callbacks=[vl.WarmUp("commitment", 2)], **SHORT).history
    assert list(history["commitment_weight"]) == [0, 1, 2]
    expected = history["reconstruction"] + history["commitment_weight"] * history["commitment"]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-6)


def test_a_resumed_run_with_schedules_ends_as_an_uninterrupted_one_to_the_bit(tmp_path):
    schedules = [vl.Cyclical("beta", 5), vl.CosineDecay("lr", 9)]
    whole, parted = new_model(), new_model(seed=7)
    expected = train(whole, IMAGES, steps=9, callbacks=schedules, **SHORT)
    train(new_model(), IMAGES, steps=4, callbacks=schedules, folder=tmp_path, **SHORT)
    found = train(parted, IMAGES, steps=9, callbacks=schedules[::-1], folder=tmp_path, resume=True, **SHORT)
    assert same(whole, parted)
    pd.testing.assert_frame_equal(found.history, expected.history, check_like=True)


def test_another_schedule_is_another_run(tmp_path):
    train(new_model(), IMAGES, steps=2, callbacks=[vl.WarmUp("beta", 5)], folder=tmp_path, **SHORT)
    made = r"made with schedules {'beta': 'WarmUp\(steps=5, start=0.0\)'}, not "
    with pytest.raises(VaelensError, match=made + r"{'beta': 'WarmUp\(steps=6, start=0.0\)'}; resume with the same"):
        train(new_model(), IMAGES, steps=4, callbacks=[vl.WarmUp("beta", 6)], folder=tmp_path, resume=True, **SHORT)
    with pytest.raises(VaelensError, match=made + "{}; resume"):
        train(new_model(), IMAGES, steps=4, folder=tmp_path, resume=True, **SHORT)


@pytest.mark.parametrize(
    ("name", "schedules", "message"),
    [
        (
            "beta-vae",
            [vl.WarmUp("bta", 5)],
            "name to schedule for beta-vae 'bta'; known: lr, beta; did you mean 'beta'",
        ),
        ("vae", [vl.WarmUp("beta", 5)], "name to schedule for vae 'beta'; known: lr$"),
        ("vq-vae", [vl.WarmUp("codes", 5)], "for vq-vae 'codes'; known: lr, commitment$"),  # read once, when built
        ("beta-tc-vae", [vl.WarmUp("sampling", 5)], "for beta-tc-vae 'sampling'; known: lr, beta$"),
        ("annealed-vae", [vl.WarmUp("annealing_steps", 5)], "'annealing_steps'; known: lr, gamma, c_max$"),
        ("factor-vae", [vl.WarmUp(["lr"], 5)], r"\['lr'\]; known: lr, gamma, discriminator_lr$"),
        ("vae", [vl.WarmUp("lr", 5), vl.CosineDecay("lr", 9)], r"lr has two schedules, WarmUp\(.*; give one of them"),
        (
            "beta-vae",
            [vl.WarmUp("beta", 5, start=-1)],
            r"start=-1.0\) cannot set it: beta is -1(.0)?; expected a number fr",
        ),
        ("vae", [vl.CosineDecay("lr", 5, end=2)], r"end=2.0\) cannot set it: lr is 2(.0)?; expected a number"),
    ],
)
def test_what_cannot_be_scheduled_is_refused_before_anything_runs(name, schedules, message, tmp_path):
    with pytest.raises(VaelensError, match=message):
        train(new_model(name), IMAGES, steps=2, callbacks=schedules, folder=tmp_path / "run", **SHORT)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: vl.WarmUp("beta", 0), "steps is 0; expected a whole number of at least 1"),
        (lambda: vl.WarmUp("beta", 1.5), "steps is 1.5; expected"),
        (lambda: vl.WarmUp("beta", 5, start="low"), "start is 'low'; expected a number"),
        (lambda: vl.WarmUp("beta", 5, start=math.nan), "start is nan; expected a number"),
        (lambda: vl.Cyclical("beta", 0), "period is 0; expected"),
        (lambda: vl.Cyclical("beta", 5, rise=0), "rise is 0; expected a part of the period, above 0 and at most 1"),
        (lambda: vl.Cyclical("beta", 5, rise=1.2), "rise is 1.2; expected"),
        (lambda: vl.CosineDecay("lr", -3), "steps is -3; expected"),
        (lambda: vl.CosineDecay("lr", 3, end=None), "end is None; expected a number"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(VaelensError, match=message):
        make()
