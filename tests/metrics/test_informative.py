import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.metrics.informative import INFORMATIVE_NATS, informative_latents


def effects(information, active):
    return xr.Dataset({"information": (("latent",), information), "active": (("latent",), active)})


def test_a_latent_that_differs_from_the_prior_and_tells_nothing_is_active_and_not_informative():
    informative = informative_latents(effects([3.0, 0.09, 0.11, 0.2], [True, True, True, False]))
    assert informative.tolist() == [True, False, True, False]


def test_each_latent_is_judged_by_itself():
    rng = np.random.default_rng(0)
    nats, active = rng.exponential(0.2, size=12), rng.random(12) < 0.8
    whole = informative_latents(effects(nats, active))
    order = rng.permutation(12)
    np.testing.assert_array_equal(informative_latents(effects(nats[order], active[order])), whole[order])
    for latent in range(12):
        kept = np.arange(12) != latent
        np.testing.assert_array_equal(informative_latents(effects(nats[kept], active[kept])), whole[kept])


def test_without_a_variance_the_active_latents_are_the_informative_ones():
    of_codes = effects([0.0, 0.0], [True, False]).drop_vars("information")
    assert informative_latents(of_codes).tolist() == [True, False]


@pytest.mark.parametrize(("signal", "expected"), [(0.5, False), (2.0, True)])
def test_the_threshold_is_that_of_a_gaussian_channel(linear_of, signal, expected):
    # I = ½ log(1 + Var μ / σ²) is 0.1 nat at Var μ / σ² = e^0.2 − 1.
    rng = np.random.default_rng(0)
    code = torch.as_tensor(np.sort(rng.normal(size=2000)))
    x = (0.5 + 0.1 * (code - code.mean()) / code.std()).clamp(0, 1).reshape(-1, 1, 1, 1)
    scale = float(np.sqrt(signal * np.expm1(2 * INFORMATIVE_NATS)) / x.std())
    lens = linear_of([[scale]], [[1.0]], [-0.5 * scale + 3.0], [0.0], shape=(1, 1, 1), logvar=[0.0])
    measured = vl.latent_effects(lens, x, progress=False)
    assert bool(measured["active"])
    assert informative_latents(measured).tolist() == [expected]
