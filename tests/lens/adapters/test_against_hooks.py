import itertools

import pytest
import torch

import vaelens as vl


def sites(lens, x, attention, is_on_tokens):
    lens.encode(x)  # a lens without an example finds its sites now
    return [name for name, site in lens.sites.items() if name != lens.sites.output and is_on_tokens(site) == attention]


def test_reconstructions_are_the_models_own(foreign):
    code, image = foreign.reference.forward(foreign.x)
    torch.testing.assert_close(foreign.lens.reconstruct(foreign.x), image, rtol=0, atol=1e-6)
    assert torch.equal(foreign.lens.encode(foreign.x), code)


@pytest.mark.parametrize(
    "name",
    [
        "pythae vae",
        "pythae conv",
        "pythae vq",
        "pythae vq ema",
        "pythae vq vector",
        "autoencoder-kl",
        "asymmetric",
        "tiny",
        "dc",
        "vq-model",
        "vq-model spatial",
    ],
)
def test_patching_every_unit(build_foreign, patching_agrees, is_on_tokens, name):
    one = build_foreign(name)
    names = sites(one.lens, one.x, False, is_on_tokens)
    patching_agrees(
        one.lens,
        one.reference,
        one.x,
        one.y,
        names[::9] if "spatial" in name else names[::3] if len(names) > 12 else names,
    )


@pytest.mark.parametrize("name", ["autoencoder-kl", "vq-model"])
def test_patching_every_unit_of_attention(build_foreign, patching_agrees, is_on_tokens, name):
    one = build_foreign(name)
    found = sites(one.lens, one.x, True, is_on_tokens)
    assert len(found) == 8, "query, key, value and output, of the encoder's middle and the decoder's"
    patching_agrees(one.lens, one.reference, one.x, one.y, found)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *itertools.product(["pythae vae", "pythae conv", "pythae vq vector"], [torch.float16, torch.bfloat16]),
        ("autoencoder-kl", torch.float16),  # of the large ones each in one: an export takes seconds
        ("vq-model", torch.bfloat16),
    ],
)
def test_models_of_low_precision_stay_so_and_give_what_float32_gives_nearly(build_by_hooks, name, dtype):
    one = build_by_hooks(name)
    x, y = one.x.float(), one.y.float()
    wide = one.lens.run(x, vl.Set("latent", 0, 0.5)) if name != "pythae vq vector" else one.lens.run(x)
    low = vl.Lens(one.model.train().to(dtype))
    run = low.run(x, vl.Set("latent", 0, 0.5), capture="all") if name != "pythae vq vector" else low.run(x)
    assert run.reconstruction.dtype == dtype
    if not low.quantised:  # a rounded embedding may take another code
        torch.testing.assert_close(run.reconstruction.double(), wide.reconstruction.double(), rtol=0, atol=0.03)
    assert torch.isfinite(torch.as_tensor(vl.latent_effects(low, x).ces.values)).all()
    effects = vl.patching_effects(low, x, y, sites=["latent", "decoder.0"])
    assert torch.isfinite(torch.as_tensor(effects.effect.values)).all()
    assert all(module.training for module in one.model.modules())
    assert {parameter.dtype for parameter in one.model.parameters()} == {dtype}
