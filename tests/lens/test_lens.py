import hashlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.lens.budget import usual_size


def downstream(lens, name):
    order = list(lens.sites)
    return order[order.index(name) + 1 :]


def chosen_by_hand(code, codebook=None):
    """The nearest code at each position, by distances from code to code."""
    if codebook is None:
        return code.clone()
    points = code.movedim(1, -1)
    distances = (points[..., None, :] - codebook).square().sum(dim=-1)
    return codebook[distances.argmin(dim=-1)].movedim(-1, 1)


# Laws, on every model


def test_an_identity_patch_changes_no_bit_anywhere(any_model):
    lens = any_model.lens
    base = lens.run(any_model.x, capture="all")
    for name in lens.sites:
        patched = lens.run(any_model.x, vl.Patch(name, "all", base), capture="all")
        assert torch.equal(patched.code, base.code)
        assert torch.equal(patched.reconstruction, base.reconstruction)
        for site in lens.sites:
            assert torch.equal(patched.activations[site], base.activations[site])
        assert patched.hits[0].change == 0
        assert patched.hits[0].hits == 1


def test_patching_a_whole_site_gives_the_source_downstream_bit_for_bit(any_model):
    lens = any_model.lens
    source = lens.run(any_model.y, capture="all")
    base = lens.run(any_model.x, capture="all")
    order = list(lens.sites)
    for name in lens.sites:
        patched = lens.run(any_model.x, vl.Patch(name, "all", source), capture="all")
        assert torch.equal(patched.reconstruction, source.reconstruction) == (name not in any_model.bypassed)
        assert torch.equal(patched.activations[name], source.activations[name])
        for site in () if name in any_model.bypassed else downstream(lens, name):
            assert torch.equal(patched.activations[site], source.activations[site])
        for site in order[: order.index(name)]:
            assert torch.equal(patched.activations[site], base.activations[site])


def test_an_edit_lands_on_its_units_and_leaves_what_is_before_untouched(any_model):
    lens = any_model.lens
    base = lens.run(any_model.x, capture="all")
    order = list(lens.sites)
    for name, site in lens.sites.items():
        unit = site.units - 1
        run = lens.run(any_model.x, vl.Set(name, unit, 0.75), capture="all")
        assert (run.activations[name][:, unit] == 0.75).all()
        assert torch.equal(run.activations[name][:, :unit], base.activations[name][:, :unit])
        for earlier in order[: order.index(name)]:
            assert torch.equal(run.activations[earlier], base.activations[earlier])


def test_chunks_give_what_single_images_give(any_model):
    lens = any_model.lens
    narrow = vl.Lens(
        any_model.model, any_model.encode, any_model.decode, **any_model.extra, example=any_model.x, memory_mb=1e-6
    )
    assert narrow.engine.rows == 1
    assert lens.engine.rows == 64
    edit = vl.Add("latent", [0, 1], torch.arange(10.0).reshape(5, 2))
    whole, single = (one.run(any_model.x, edit, capture="all", sample=False) for one in (lens, narrow))
    for name in lens.sites:
        torch.testing.assert_close(whole.activations[name], single.activations[name])
    torch.testing.assert_close(whole.reconstruction, single.reconstruction)
    torch.testing.assert_close(whole.code, single.code)
    assert single.hits[0].hits == 1
    assert single.hits[0].change == pytest.approx(whole.hits[0].change, rel=1e-5)
    torch.testing.assert_close(lens.encode(any_model.x), narrow.encode(any_model.x))


def test_the_lens_computes_what_the_model_computes(any_model):
    lens, model = any_model.lens, any_model.model
    encode, decode = any_model.encode or model.encode, any_model.decode or model.decode
    x = any_model.x.to(next(model.parameters()).dtype)
    kept = x.clone()
    model.eval()
    with torch.no_grad():
        posterior = encode(x.clone())
        code = posterior[0] if isinstance(posterior, tuple) else posterior
        image = decode(chosen_by_hand(code, any_model.extra.get("codebook")))
    run = lens.run(x, capture="latent")
    for given in (lens.encode(x), run.code, run.activations["latent"], lens.posterior(x)[0]):
        assert torch.equal(given, code)
    assert lens.quantised or torch.equal(lens.representation(x), code)
    for given in (run.reconstruction, lens.decode(code), lens.reconstruct(x)):
        assert torch.equal(given, image)
    assert torch.equal(x, kept)
    logvar = lens.posterior(x)[1]
    assert (logvar is None) == (not isinstance(posterior, tuple) or posterior[1] is None)
    assert logvar is None or torch.equal(logvar, posterior[1])


# Captures


def test_captured_activations_are_those_of_the_modules(small):
    run = small.lens.run(small.x, capture=["encoder.1", "decoder.0", "decoder.1"])
    with torch.no_grad():
        assert torch.equal(run.activations["encoder.1"], small.model.encoder[:4](small.x))
        assert torch.equal(run.activations["decoder.0"], small.model.decoder[:2](run.code))
        assert torch.equal(run.activations["decoder.1"], small.model.decoder[:5](run.code))
    assert list(run.activations) == ["encoder.1", "decoder.0", "decoder.1"]
    assert (
        torch.equal(run.reconstruction, small.lens.run(small.x, capture="decoder.3").activations["decoder.3"]) is True
    )


def test_a_capture_is_of_the_moment_also_when_the_model_writes_over_it_later(build):
    model = build("functional relu", sites={"before": "d"})
    seen = model.lens.run(model.x, capture="before").activations["before"]
    with torch.no_grad():
        assert torch.equal(seen, model.model["d"](model.lens.encode(model.x)))
    assert (seen < 0).any()


def test_nothing_is_captured_unless_asked(small):
    assert small.lens.run(small.x).activations == {}
    assert small.lens.run(small.x).hits == ()
    assert list(small.lens.run(small.x, capture="latent").activations) == ["latent"]


# Sampling


def test_base_and_intervened_runs_share_their_noise(small):
    base = small.lens.run(small.x, sample=True, seed=3)
    mean, logvar = small.lens.posterior(small.x)
    noise = (base.code - mean) / torch.exp(0.5 * logvar)
    expected = torch.randn(5, 3, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(noise, expected, rtol=1e-5, atol=1e-5)
    upstream = small.lens.run(small.x, vl.Scale("encoder.1", [0, 5], 0.0), sample=True, seed=3)
    moved, spread = small.lens.posterior(small.x)[0], logvar
    shifted = small.lens.run(small.x, vl.Scale("encoder.1", [0, 5], 0.0))
    assert not torch.equal(shifted.code, moved)
    # the noise of the intervened run is that of the base run, scaled by the spread of the intervened posterior
    torch.testing.assert_close(upstream.code - shifted.code, noise * torch.exp(0.5 * spread), rtol=0.02, atol=0.02)
    later = small.lens.run(small.x, vl.Set("decoder.1", 0, 0.0), sample=True, seed=3)
    assert torch.equal(later.code, base.code)
    one = small.lens.run(small.x, vl.Set("latent", 1, 9.0), sample=True, seed=3)
    assert torch.equal(one.code[:, [0, 2]], base.code[:, [0, 2]])


def test_the_seed_decides_the_noise_and_chunks_do_not(small):
    first, again, other = (small.lens.run(small.x, sample=True, seed=seed).code for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    narrow = vl.Lens(small.model, memory_mb=1e-6)
    torch.testing.assert_close(narrow.run(small.x, sample=True, seed=0).code, first)


def test_an_identity_patch_of_a_sampled_run_changes_no_bit(small):
    base = small.lens.run(small.x, sample=True, seed=1, capture="all")
    for name in small.lens.sites:
        again = small.lens.run(small.x, vl.Patch(name, "all", base), sample=True, seed=1)
        assert torch.equal(again.reconstruction, base.reconstruction)


def test_an_encoder_without_variance_cannot_be_sampled(build):
    model = build("linear")
    with pytest.raises(VaelensError, match="gives no variance, so codes can't be sampled; use sample=False"):
        model.lens.run(model.x, sample=True)


# Codes, records and what a lens is made of


def test_decode_takes_lists_arrays_and_tensors_of_any_type(small):
    codes = torch.tensor([[1.0, -2.0, 0.0]])
    expected = small.lens.decode(codes)
    for same in (codes.numpy(), codes.double(), [[1, -2, 0]], codes.int()):
        assert torch.equal(small.lens.decode(same), expected)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (torch.zeros(2, 4), r"codes have shape \(2, 4\), expected \(n, 3\) with n of at least 1"),
        (torch.zeros(3), r"codes have shape \(3,\), expected \(n, 3\)"),
        (torch.zeros(0, 3), r"codes have shape \(0, 3\), expected \(n, 3\)"),
        (torch.full((1, 3), torch.nan), "codes contain NaN or infinite values"),
        ("codes", "codes are a str, expected a tensor or array"),
    ],
)
def test_codes_that_do_not_fit_are_refused(small, codes, message):
    with pytest.raises(VaelensError, match=message):
        small.lens.decode(codes)


def test_a_model_that_states_no_shape_needs_an_example(build):
    with pytest.raises(
        VaelensError, match=r"a ModuleDict does not state the shape of its images, .* give example=images"
    ):
        build("linear", example=None)


def test_a_lens_describes_its_model(small, build):
    record = small.lens.describe()
    assert record["model"] == "vae"
    assert record["hyperparameters"] == {}
    assert record["parameters"] == sum(p.numel() for p in small.model.parameters())
    digest = hashlib.sha256()
    for name, tensor in sorted(small.model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    assert record["weights_sha256"] == digest.hexdigest()
    assert record["latent"] == "continuous"
    assert "codes" not in record
    foreign = build("linear").lens.describe()
    assert foreign["model"] == "ModuleDict"
    assert foreign["weights_sha256"] != record["weights_sha256"]


def test_the_number_of_rows_follows_the_memory(small):
    lens = vl.Lens(small.model, memory_mb=1.0)
    assert 1 < lens.engine.rows < 64
    assert abs(vl.Lens(small.model, memory_mb=2.0).engine.rows - 2 * lens.engine.rows) <= 1
    assert lens.engine.rows < lens.engine.rows_for(["latent"])  # fewer sites are kept
    assert [vl.Lens(small.model, memory_mb=size).engine.rows for size in (1e-6, None)] == [1, 64]
    assert lens.engine.site_groups(["encoder.0", "latent"]) == [["encoder.0"], ["latent"]]
    assert small.lens.engine.site_groups(["encoder.0", "latent"]) == [["encoder.0", "latent"]]
    assert lens.latents == 3
    assert lens.device.type == "cpu"


def test_a_gpu_is_filled_but_for_the_most_of_its_memory(monkeypatch):
    sizes = {"small": 8 * 2**30, "large": 80 * 2**30}
    for size, usual in (("small", 2 * 2**30), ("large", 4 * 2**30)):
        properties = SimpleNamespace(total_memory=sizes[size])
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device, found=properties: found)
        assert usual_size(torch.device("cuda", 0)) == usual
    assert usual_size(torch.device("cpu")) == 256 * 2**20


def test_what_is_no_module_is_refused():
    with pytest.raises(VaelensError, match=r"a Lens looks at a torch\.nn\.Module; got a str"):
        vl.Lens("model")


def test_encode_and_decode_belong_together(small):
    with pytest.raises(VaelensError, match="encode and decode belong together"):
        vl.Lens(small.model, encode=small.model.encode)


def test_an_unknown_module_needs_its_parts_named():
    with pytest.raises(
        VaelensError,
        match=r"Linear is not a model that the lens knows: a vaelens VAE, .*Lens\(model, encode=f, decode=g\)",
    ):
        vl.Lens(nn.Linear(2, 2))


@pytest.mark.parametrize("memory", [0, -1, float("nan")])
def test_memory_is_positive(small, memory):
    with pytest.raises(VaelensError, match=r"memory_mb is .*; give a positive number of megabytes"):
        vl.Lens(small.model, memory_mb=memory)


def test_a_module_without_parameters_is_refused():
    with pytest.raises(VaelensError, match=r"Identity has no parameters .*; a lens needs a model with weights"):
        vl.Lens(nn.Identity(), encode=lambda x: x.flatten(1), decode=lambda z: z).encode(torch.zeros(1, 1, 2, 2))


def parts(layer, joined):
    return joined(nn.Sequential(nn.Flatten(), layer(np.eye(4))), nn.Sequential(layer(np.eye(4))))


@pytest.mark.parametrize(
    ("encode", "decode", "message"),
    [
        (
            lambda z: {"mu": z},
            None,
            r"encode gave \['dict'\] for 2 images; .*; give encode=lambda x: model\.encode\(x\)\['mu'\], say",
        ),
        (lambda z: z, lambda x: torch.complex(x, x).view(-1, 1, 2, 2), "decode gave complex numbers; expected images"),
        (lambda z: (z, z, z), None, r"encode gave \[\(2, 4\), \(2, 4\), \(2, 4\)\] for 2 images"),
        (lambda z: (z, z[:, :2]), None, r"encode gave \[\(2, 4\), \(2, 2\)\] for 2 images"),
        (lambda z: z[:1], None, r"encode gave \[\(1, 4\)\] for 2 images"),
        (lambda z: z.sum(1), None, r"encode gave \[\(2,\)\] for 2 images"),
        (None, lambda y: y, r"decode gave \(2, 4\) for 2 codes; expected images \(n, C, H, W\)"),
        (None, lambda y: (y,), r"decode gave tuple for 2 codes; expected images"),
        (
            None,
            lambda y: {"z": y, "recon": y},
            r"decode gave dict for 2 codes; .*lambda z: model\.decode\(z\)\['recon'\]",
        ),
        (None, lambda y: y[:1].view(1, 1, 2, 2), r"decode gave \(1, 1, 2, 2\) for 2 codes"),
        (
            None,
            lambda y: y.view(-1, 4, 1, 1),
            r"decode gives images of shape \(4, 1, 1\) for images of shape \(1, 2, 2",
        ),
    ],
)
def test_parts_that_return_something_else_are_refused(layer, joined, encode, decode, message):
    model = parts(layer, joined)
    encode = encode or (lambda z: z)
    decode = decode or (lambda y: y.view(-1, 1, 2, 2))
    with pytest.raises(VaelensError, match=message):
        vl.Lens(
            model,
            lambda x: encode(model.encoder(x)),
            lambda z: decode(model.decoder(z)),
            example=torch.zeros(2, 1, 2, 2),
        )


def test_a_decoder_outside_the_module_is_refused(layer, joined):
    model, elsewhere = parts(layer, joined), layer(np.eye(4))
    with pytest.raises(
        VaelensError, match=r"decode runs layers that are no part of the .* given; give the lens the mod"
    ):
        vl.Lens(model, model.encoder, lambda z: elsewhere(z).view(-1, 1, 2, 2), example=torch.zeros(2, 1, 2, 2))


def test_finding_the_sites_tells_how_far_it_is(small):
    told = []
    lens = vl.Lens(small.lens.module, progress=lambda done, total: told.append((done, total)))
    lens.encode(small.x)
    lens.encode(small.x)
    assert told == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(VaelensError, match="progress is 'often'"):
        vl.Lens(small.lens.module, progress="often")


def test_a_forward_that_takes_another_path_is_an_error_and_no_silent_miss(layer, joined):
    model = parts(layer, joined)
    taken = [True]

    def decode(z):
        return (model.decoder(z) if taken[0] else z).view(-1, 1, 2, 2)

    lens = vl.Lens(model, model.encoder, decode, example=torch.zeros(2, 1, 2, 2))
    taken[0] = False
    with pytest.raises(VaelensError, match=r"the forward never reached decoder\.0: .*make a new Lens with example="):
        lens.run(torch.zeros(2, 1, 2, 2), vl.Set("decoder.0", 0, 1.0))
    with pytest.raises(VaelensError, match=r"never reached decoder\.0"):
        lens.run(torch.zeros(2, 1, 2, 2), capture="decoder.0")


def test_a_model_may_be_one_layer():
    layer = nn.Linear(3, 3)
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    lens = vl.Lens(layer, encode=layer, decode=lambda z: 2 * z, example=x, progress=False)

    effects = vl.patching_effects(lens, x, x.flip(0), progress=False)

    z = layer(x).detach()
    np.testing.assert_allclose(effects.effect.values, 2 * (z.flip(0) - z).abs().mean(dim=0), rtol=1e-5)
