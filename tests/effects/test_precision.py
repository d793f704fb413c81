import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode

X = torch.rand(2, 12, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def model():
    built = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3)
    with torch.no_grad():
        for name, parameter in built.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(3)  # so that effects are more than rounding
    return built


EFFECTS = {
    "effect": lambda lens: vl.latent_effects(lens, X[0]),
    "ces": lambda lens: ces_by_mode(lens, X[0]),
    "indirect": lambda lens: vl.mediation_effects(lens, X[0], X[1], site="decoder.0"),
    "unit_effect": lambda lens: vl.input_effects(lens, vl.ArrayDataset(X[0]), n=12),
}


def patching(lens):
    return vl.patching_effects(lens, X[0], X[1], sites=["encoder.1", "decoder.1"])


@pytest.mark.parametrize("execution", ["auto", "hooks"])
def test_bf16_says_how_far_it_is_from_single_precision(model, execution):
    exact, rough = (vl.Lens(model, execution=execution, precision=p) for p in ("fp32", "bf16"))
    result = patching(rough)
    assert result.attrs["precision"] == "bf16"
    few = [vl.patching_effects(lens, X[0, :8], X[1, :8], sites=["encoder.1", "decoder.1"]) for lens in (rough, exact)]
    low, high = (one["effect"].values for one in few)
    assert result.attrs["precision_error"] == pytest.approx(np.abs(low - high).max() / np.abs(high).max())
    assert 1e-4 < result.attrs["precision_error"] < 0.2
    assert not np.array_equal(result["effect"], patching(exact)["effect"])
    whole = patching(exact)["effect"]
    np.testing.assert_allclose(result["effect"], whole, atol=0.2 * float(whole.max()))


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_says_it(model, name):
    exact, rough = (EFFECTS[name](vl.Lens(model, precision=p)) for p in ("fp32", "bf16"))
    assert exact.attrs["precision"] == "fp32"
    assert "precision_error" not in exact.attrs
    assert 0 < rough.attrs["precision_error"] < 0.5
    assert not np.array_equal(exact[name], rough[name])


def test_the_model_stays_in_its_own_type(model):
    lens = vl.Lens(model, precision="bf16")
    before = lens.reconstruct(X[0])
    patching(lens)
    assert torch.equal(lens.reconstruct(X[0]), before)
    assert before.dtype == torch.float32
    assert lens.with_precision("fp32").precision == "fp32"
    assert lens.precision == "bf16"


def test_an_unknown_precision_is_refused(model):
    with pytest.raises(vl.VaelensError, match=r"unknown precision 'bf61'.*did you mean 'bf16'"):
        vl.Lens(model, precision="bf61")
    with pytest.raises(vl.VaelensError, match=r"unknown execution 'hook'.*did you mean 'hooks'"):
        vl.Lens(model, execution="hook")
