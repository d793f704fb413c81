import math

import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.models import build_model
from vaelens.models.diagnosis import Diagnosis, check_weights
from vaelens.models.ledger import Ledger, kl_per_latent, scalars

SHAPE = (1, 8, 8)


def ledger(every=2, **options):
    return Ledger(every, Diagnosis(build_model("vae", SHAPE, latent_dim=2), lr=1e-3).lost_loss, **options)


def terms(loss, *kl):
    return {"loss": torch.tensor(float(loss)), "kl_per_latent": torch.tensor([float(value) for value in kl])}


class Own(torch.nn.Module):
    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)


def own_encoder():
    return Own(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)))


def test_a_window_is_averaged_by_hand():
    kept = ledger()
    assert kept.add(terms(1, 0.0, 0.5)) is None
    assert kept.add(terms(4, 0.01, 1.5)) == {
        "step": 2,
        "loss": 2.5,
        "kl_0": pytest.approx(0.005),
        "kl_1": 1.0,
        "active_latents": 1.0,
    }
    kept.add(terms(7, 1.0, 1.0))
    assert [row["loss"] for row in kept.history()] == [2.5, 7]
    assert [row["active_latents"] for row in kept.history()] == [1, 2]
    assert len(kept.rows) == 1


def test_what_is_neither_step_nor_kl_of_a_latent_is_a_scalar():
    row = {"step": 2, "loss": 2.5, "kl": 1.0, "kl_0": 0.5, "kl_10": 0.25, "active_latents": 2.0}
    assert scalars(row) == {"loss": 2.5, "kl": 1.0, "active_latents": 2.0}
    assert kl_per_latent(row) == [0.5, 0.25]


def test_settings_are_kept_in_full_precision_beside_the_terms():
    kept = ledger()
    kept.add(terms(1, 0, 0), {"lr": 0.1, "loss": 3.0})
    row = kept.add(terms(1, 0, 0), {"lr": 0.3, "loss": 5.0})
    assert (row["lr"], row["loss"], row["loss_weight"]) == (0.2, 1, 4)


def test_a_ledger_goes_on_from_another_s_record():
    first = ledger(every=3)
    for loss in (1, 2, 3, 4):
        first.add(terms(loss, 0, 0))
    first.settle()
    second = ledger(every=3, step=first.step, rows=first.rows, window=first.window)
    for loss in (5, 6):
        second.add(terms(loss, 0, 0))
    assert [row["loss"] for row in second.history()] == [2, 5]


@pytest.mark.parametrize("lost_at", [1, 30, 49, 50, 51, 120])
def test_a_lost_loss_is_noticed_within_fifty_steps_however_long_the_window(lost_at):
    kept = ledger(every=10_000)

    def add_all():
        for step in range(1, 200):
            kept.add(terms(math.nan if step >= lost_at else 1, 0, 0))

    with pytest.raises(VaelensError, match=f"the loss was lost at step {lost_at} ") as stopped:
        add_all()
    assert stopped.type.__name__ == "LostLoss"
    assert lost_at <= kept.step < lost_at + 50
    assert all(math.isfinite(row["loss"]) for row in kept.window)


def said(row, step=8, lr=1e-3, **model):
    model = {"name": "vae", "image_shape": SHAPE, "latent_dim": 2} | model
    return str(Diagnosis(build_model(**model), lr).lost_loss(step, row))


def test_the_first_part_that_was_not_finite_is_named():
    slower = "the learning rate, 0.001, is probably too high; try 0.0001"
    everything = {"loss": math.nan, "reconstruction": math.nan, "kl": math.inf, "kl_0": math.inf, "kl_1": 0.0}
    message = said(everything)
    assert message == (
        "the loss was lost at step 8 (loss nan, reconstruction nan, kl inf): the encoder's output was the first that "
        f"was not finite; {slower}"
    )
    decoder = {"loss": math.inf, "reconstruction": math.inf, "kl": 1.0, "kl_0": 0.5, "kl_1": 0.5}
    assert f"the decoder's output was the first that was not finite; {slower}" in said(decoder)
    part = {"loss": math.nan, "reconstruction": 1.0, "kl": 1.0, "mutual_information": math.nan}
    assert "mutual_information was the first that was not finite" in said(part, name="beta-tc-vae")
    quantised = {"loss": math.nan, "reconstruction": math.nan, "commitment": math.nan, "perplexity": 1.0}
    assert "the encoder's output" in said(quantised, name="vq-vae")


def test_the_learning_rate_is_not_blamed_for_what_it_cannot_do():
    weights = said({"loss": math.inf, "reconstruction": 1.0, "kl": 1.0}, name="beta-vae")
    assert "each term is finite, their weighted sum is not; lower the weights (beta 4.0)" in weights
    row = {"loss": 1.0, "reconstruction": 1.0, "kl": 1.0, "total_correlation": 0.0, "discriminator": math.nan}
    assert "the discriminator diverged; lower discriminator_lr, 0.0001" in said(row, name="factor-vae")
    first = said({"loss": math.nan, "reconstruction": math.nan, "kl": 1.0}, step=1)
    assert "no weight was changed before, so the learning rate is not the cause: the model's weights are too" in first
    for message in (weights, first):
        assert "probably too high" not in message


def test_a_module_of_the_user_s_own_is_named():
    row = {"loss": math.nan, "reconstruction": math.nan, "kl": math.nan}
    first = said(row, step=1, encoder=own_encoder())
    assert "not the cause: your encoder, " in first
    assert ".Own, computes a value or a gradient that is not finite" in first
    later = said(row, step=2, encoder=own_encoder())
    assert "either your encoder, " in later
    assert "or the learning rate, 0.001, is probably too high" in later
    in_the_decoder = said({"loss": math.nan, "reconstruction": math.nan, "kl": 1.0}, step=1, encoder=own_encoder())
    assert "your encoder" not in in_the_decoder


def test_weights_that_are_not_finite_are_not_trained():
    model = build_model("vae", SHAPE, latent_dim=2)
    check_weights(model)
    torch.nn.init.constant_(model.decoder[0].bias, math.inf)
    with pytest.raises(VaelensError, match=r"the model's decoder\.\S+ holds NaN or infinity; expected finite weights"):
        check_weights(model)
