"""Effects along directions: against units, against a model rotated by hand, against hooks, against arithmetic."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.effects import ces_by_mode

X, Y = torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
ENDS = ("_low", "_high")


def spread_vectors(units, k, seed=3):
    return torch.randn(k, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def lens():
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3, seed=1).double().eval()
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.mul_(3.0 if name.endswith("weight") else 1.0)
    return vl.Lens(model)


def check_alike(along, plain, leave_out=(), rtol=1e-6):
    """Every variable of one result is that of another with latents in the place of directions."""
    compared = set(along.data_vars) - {"unseen_share", "unseen_change", "unseen_change_low", "unseen_change_high"}
    assert len(compared) > 5
    for name in compared - set(leave_out):
        if along[name].dtype.kind == "f":
            slack = 1e-5 if name.endswith(ENDS) else 1e-8
            np.testing.assert_allclose(along[name].values, plain[name].values, rtol=rtol, atol=slack, err_msg=name)
        else:
            np.testing.assert_array_equal(along[name].values, plain[name].values, err_msg=name)


# Unit vectors are units


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior", "conditional"])
def test_unit_vectors_have_the_effects_of_latents(lens, mode):
    options = {"mode": mode, "progress": False, "seed": 2}
    plain = vl.latent_effects(lens, X, **options)
    along = vl.latent_effects(lens, X, units=vl.Direction(torch.eye(3)), **options)
    assert along.ces.dims == ("direction",)
    assert along.direction.values.tolist() == ["0", "1", "2"]
    assert set(plain.data_vars) - set(along.data_vars) == {"kl_total", "kl_total_low", "kl_total_high"} | {
        "kl_total_resampled"
    }
    check_alike(along, plain)


def test_some_unit_vectors_have_the_effects_of_these_latents(lens):
    for over in ("pixels", "latents"):
        plain = vl.latent_effects(lens, X, over=over, progress=False)
        along = vl.latent_effects(
            lens, X, over=over, units=vl.Direction("latent", torch.eye(3)[[2, 0]]), progress=False
        )
        for name in ("ces", "effect", "specificity", "kl", "removal_cost", "support", "cycle_error"):
            expected = plain[name].values[[2, 0]]
            np.testing.assert_allclose(along[name].values, expected, rtol=1e-6, atol=1e-9, err_msg=name)
        assert along.attrs["directions_latent"].startswith("0, 1 (")


@pytest.mark.parametrize("site", ["encoder.1", "latent", "decoder.1"])
def test_patched_unit_vectors_are_patched_units(lens, site):
    plain = vl.patching_effects(lens, X, Y, site, progress=False)
    units = vl.Direction(site, torch.eye(lens.sites[site].units))
    check_alike(vl.patching_effects(lens, X, Y, units=units, progress=False), plain)
    mediated = vl.mediation_effects(lens, X, Y, site, progress=False)
    check_alike(vl.mediation_effects(lens, X, Y, site, units, progress=False), mediated)


@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
def test_ablated_unit_vectors_are_ablated_units(lens, method):
    plain = vl.patching_effects(lens, X, sites="decoder.1", method=method, progress=False)
    units = vl.Direction("decoder.1", torch.eye(64)[:5])
    along = vl.patching_effects(lens, X, method=method, units=units, progress=False)
    np.testing.assert_allclose(along.effect, plain.effect[:5], rtol=1e-9)


# A model rotated by hand


def rotated(model, rotation):
    """The same model with its latents turned: means and the decoder's first weights, by hand."""
    turned = copy.deepcopy(model)
    heads = [layer for layer in turned.encoder.modules() if isinstance(layer, nn.Linear)][-1]
    first = next(layer for layer in turned.decoder.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        heads.weight[:3], heads.bias[:3] = rotation @ heads.weight[:3].clone(), rotation @ heads.bias[:3].clone()
        heads.weight[3:], heads.bias[3:] = 0, -2.0
        first.weight.copy_(first.weight.clone() @ rotation.T)
    return turned


@pytest.mark.parametrize("mode", ["range", "shift", "posterior"])
def test_directions_are_the_latents_of_a_model_rotated_by_hand(lens, mode):
    rotation = torch.linalg.qr(spread_vectors(3, 3))[0]
    straight = vl.Lens(rotated(lens.module, torch.eye(3, dtype=torch.float64)))
    turned = vl.Lens(rotated(lens.module, rotation))
    options = {"mode": mode, "progress": False, "values": 1 if mode == "posterior" else None}
    along = vl.latent_effects(straight, X, units=vl.Direction("latent", rotation), **options)
    check_alike(along, vl.latent_effects(turned, X, **options))


def test_the_axes_of_the_planted_rotation_have_the_strengths_of_the_aligned_model():
    """In `rotated` z = (0.8 a + 0.6 b, −0.6 a + 0.8 b): along (0.8, −0.6) and (0.6, 0.8) lie the factors again."""
    turned, aligned = (vl.planted_model(kind, depth=2) for kind in ("rotated", "aligned"))
    x, _ = turned.dataset.sample(125)
    directions = [
        vl.Direction.between(turned.lens, turned.dataset, name, (0, 4), n=125) for name in ("first", "second")
    ]
    for direction, entries in zip(directions, ([0.6, 0.8], [0.6, 0.8]), strict=True):
        entries_found = sorted(direction.vectors.abs().flatten().tolist())[1:]
        np.testing.assert_allclose(entries_found, entries, atol=1e-6)
    axes = vl.Direction("latent", torch.cat([direction.vectors for direction in directions]))
    along = vl.latent_effects(turned.lens, x, units=axes, progress=False)
    x, _ = aligned.dataset.sample(125)
    plain = vl.latent_effects(aligned.lens, x, progress=False)
    codes = aligned.lens.encode(x)
    _, factors = aligned.dataset.sample(125)
    latents = [int(np.abs(np.corrcoef(codes.T, factors[:, k])[-1, :-1]).argmax()) for k in range(2)]
    np.testing.assert_allclose(along.ces, plain.ces[latents], rtol=1e-5)


def test_a_circuit_along_the_planted_rotations_axes_has_one_latent():
    planted = vl.planted_model("rotated", depth=2)
    first, second = (
        vl.Direction.between(planted.lens, planted.dataset, name, (0, 4), n=125) for name in ("first", "second")
    )
    axes = vl.Direction("latent", torch.cat([first.vectors, second.vectors]))
    circuit = vl.discover_circuit(planted.lens.along(axes), planted.dataset, "first", n=16, progress=False)
    assert circuit.units["latent"] == (0,)
    assert len(planted.truth.circuits["first"]["latent"]) == 2
    assert float(circuit.faithfulness) == pytest.approx(1, abs=1e-5)


# A slow reference


def stage(model, site):
    if site == "latent":
        return None
    part, number = site.split(".")
    children = dict(getattr(model, part).named_children())
    return children["unflatten"] if site == "decoder.1" else children[f"relu{number}"]


@torch.no_grad()
def forward(model, x, module, change):
    """Code and image with `change` applied to what a module returns, or to the code, by a hook."""
    handle = None if module is None else module.register_forward_hook(lambda _, __, output: change(output))
    code = model.encode(x)[0]
    code = change(code) if module is None else code
    image = model.decode(code)
    if handle is not None:
        handle.remove()
    return code, image


def patched_by_hooks(model, site, vectors, base, source):
    """What patching coordinates from the source does to code and image, by least squares of NumPy."""
    seen = {}
    for name, x in (("base", base), ("source", source)):
        forward(model, x, stage(model, site), lambda a, name=name: seen.setdefault(name, a.clone()))
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
    difference = np.moveaxis((seen["source"] - seen["base"]).numpy(), 1, 0)
    solved = np.linalg.lstsq(unit.T, difference.reshape(len(difference), -1), rcond=None)[0]
    for members in ([k] for k in range(len(unit))):
        moved = np.moveaxis((unit[members].T @ solved[members]).reshape(difference.shape), 0, 1)
        yield forward(model, base, stage(model, site), lambda a, moved=moved: a + torch.from_numpy(moved.copy()))


@pytest.mark.parametrize("execution", ["auto", "hooks"])
@pytest.mark.parametrize("site", ["encoder.0", "encoder.2", "latent", "decoder.0", "decoder.1"])
def test_patched_directions_are_those_of_hooks(lens, site, execution):
    along = lens if execution == "auto" else vl.Lens(lens.module, execution="hooks")
    vectors = spread_vectors(lens.sites[site].units, 2)
    effects = vl.patching_effects(along, X, Y, units=vl.Direction(site, vectors), progress=False)
    of_code = site.startswith("encoder")
    plain = forward(lens.module, X, None, lambda code: code)[not of_code]
    total = forward(lens.module, Y, None, lambda code: code)[not of_code] - plain
    for k, outcome in enumerate(patched_by_hooks(lens.module, site, vectors, X, Y)):
        change = outcome[not of_code] - plain
        assert float(effects.effect[k]) == pytest.approx(float(change.flatten(1).norm(dim=1).mean()), rel=1e-6)
        recovered = float((change * total).sum() / total.square().sum())
        assert float(effects.recovered[k]) == pytest.approx(recovered, rel=1e-6, abs=1e-9)


def test_codes_along_oblique_directions_are_set_as_by_hand(lens):
    """z + (v − y_i) w_i, y the least-squares coordinates."""
    vectors = spread_vectors(3, 2)
    effects = vl.latent_effects(lens, X, values=[-1.0, 2.0], units=vl.Direction(vectors), progress=False)
    z, unit = lens.encode(X), vectors / vectors.norm(dim=1, keepdim=True)
    y = torch.from_numpy(np.linalg.lstsq(unit.T.numpy(), z.T.numpy(), rcond=None)[0].T)
    for i in range(2):
        for k, value in enumerate((-1.0, 2.0)):
            changed = lens.decode(z + (value - y[:, i : i + 1]) * unit[i]) - lens.decode(z)
            expected = float(changed.flatten(1).norm(dim=1).mean())
            assert float(effects.effect[i, k]) == pytest.approx(expected, rel=1e-9)
    logvar = lens.posterior(X)[1]
    dual = torch.linalg.pinv(unit.T)
    prior, variance = dual.square().sum(dim=1), logvar.exp() @ dual.square().T
    kl = 0.5 * (y.square() / prior + variance / prior - (variance / prior).log() - 1)
    np.testing.assert_allclose(effects.kl, kl.mean(dim=0), rtol=1e-6)


def test_all_directions_together_are_the_site(lens):
    for site in ("encoder.2", "latent", "decoder.1"):
        units = lens.sites[site].units
        whole = vl.Direction(site, torch.linalg.qr(spread_vectors(units, units))[0], together=True)
        patched = vl.patching_effects(lens, X, Y, units=whole, progress=False)
        as_site = vl.patching_effects(lens, X, Y, site, unit="site", progress=False)
        np.testing.assert_allclose(patched.effect, as_site.effect, rtol=1e-9)
        np.testing.assert_allclose(patched.recovered, [1], rtol=1e-9)
        mediated = vl.mediation_effects(lens, X, Y, site, whole, progress=False)
        np.testing.assert_allclose([mediated.indirect[0], mediated.direct[0]], [1, 0], atol=1e-9)


def test_a_subspace_does_not_depend_on_the_vectors_that_span_it(lens):
    vectors = spread_vectors(64, 3)
    mixed = spread_vectors(3, 3, seed=9) @ vectors
    one, other = (
        vl.patching_effects(lens, X, Y, units=vl.Direction("decoder.1", rows, together=True), progress=False)
        for rows in (vectors, mixed)
    )
    for name in ("effect", "recovered", "unseen_share", "unseen_change"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-7, atol=1e-9)


def test_patching_the_same_images_runs_nothing_and_changes_nothing(lens):
    effects = vl.patching_effects(lens, X, X, units=vl.Direction("decoder.1", spread_vectors(64, 2)), progress=False)
    assert (effects.effect == 0).all()
    assert np.isnan(effects.unseen_change).all()


def test_several_sites_at_once(lens):
    several = [
        vl.Direction("decoder.1", spread_vectors(64, 2)),
        vl.Direction("latent", spread_vectors(3, 1), names="v"),
    ]
    effects = vl.patching_effects(lens, X, Y, units=several, progress=False)
    assert effects.site.values.tolist() == ["latent", "decoder.1", "decoder.1"]
    assert effects.direction.values.tolist() == ["v", "0", "1"]
    alone = vl.patching_effects(lens, X, Y, units=several[0], progress=False)
    np.testing.assert_allclose(effects.effect[1:], alone.effect, rtol=1e-12)


def test_a_path_from_directions(lens):
    whole = vl.Direction(torch.linalg.qr(spread_vectors(64, 64))[0])
    along = vl.path_effects(lens, X, Y, "encoder.1", "latent", units=whole, progress=False)
    plain = vl.path_effects(lens, X, Y, "encoder.1", "latent", progress=False)
    np.testing.assert_allclose(along.effect, plain.effect, rtol=1e-9)


def test_directions_in_a_context_are_set_in_it():
    torch.manual_seed(0)
    model = nn.ModuleDict({"e": nn.Linear(10, 6), "d": nn.Linear(5, 16), "out": nn.Linear(16, 8)}).double()
    x, context = torch.randn(6, 8).double(), torch.eye(2).double()[torch.arange(6) % 2]
    lens = vl.Lens(
        model,
        lambda x, c: model["e"](torch.cat([x, c], 1)).chunk(2, 1),
        lambda z, c: model["out"](model["d"](torch.cat([z, c], 1)).relu()),
        example=x,
        context=context,
    )
    direction = vl.Direction("latent", [[1.0, 1.0, 0.0], [0.0, 1.0, -1.0]])
    effects = vl.latent_effects(lens, x, values=[1.5], units=direction, context=context, progress=False)
    z, unit = lens.encode(x, context), direction.vectors
    y = z @ torch.linalg.pinv(unit)
    for k in range(2):
        moved = lens.decode(z + (1.5 - y[:, k : k + 1]) * unit[k], context) - lens.decode(z, context)
        assert float(effects.ces[k]) == pytest.approx(float(moved.norm(dim=1).mean()), rel=1e-9)
    assert np.isnan(effects.unseen_share).all()  # the decoder reads the code and the context together


def test_scores_of_a_lens_along_directions_are_theirs(lens):
    along = lens.along(vl.Direction("latent", spread_vectors(3, 2)))
    effects = vl.latent_effects(lens, X, units=vl.Direction("latent", spread_vectors(3, 2)), progress=False)
    np.testing.assert_allclose(vl.causal_effect_strength(along, X), effects.ces, rtol=1e-9)
    np.testing.assert_allclose(vl.intervention_specificity(along, X), effects.specificity, rtol=1e-9)
    assert ces_by_mode(along, X, progress=False).ces.shape == (5, 2)
    with pytest.raises(vl.VaelensError, match="along directions of latent; an analysis is of a model's own units"):
        vl.analyse(along, vl.load_dataset("digits"), progress=False)


# The illusion


def test_a_direction_that_writes_what_nothing_sees_where_something_does_is_told_apart():
    """Two neurons: the first holds the input and is not read, the second is read and never varies.

    A patch along (1, 1)/√2 carries the first's difference Δ over to the second: the image moves by Δ/2, which looks
    like a path that is not there. Of the direction's norm ½ is unseen, of its change all.
    """
    encoder, decoder = nn.Linear(1, 1, bias=False).double(), nn.Sequential(nn.Linear(1, 2), nn.Linear(2, 1)).double()
    with torch.no_grad():
        encoder.weight.fill_(1)
        decoder[0].weight.copy_(torch.tensor([[1.0], [0.0]]))
        decoder[0].bias.copy_(torch.tensor([0.0, 5.0]))
        decoder[1].weight.copy_(torch.tensor([[0.0, 1.0]]))
        decoder[1].bias.zero_()
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    lens = vl.Lens(model, encoder, decoder, example=torch.randn(3, 1).double())
    base = torch.tensor([[0.0], [1.0]]).double()
    source = torch.tensor([[2.0], [5.0]]).double()
    vectors = [[1.0, 1.0], [1.0, 0.0], [2.0, 1.0]]
    for k, (effect, share, change) in enumerate([(1.5, 0.5, 1.0), (0.0, 1.0, 1.0), (1.2, 0.8, 1.0)]):
        direction = vl.Direction("decoder.0", vectors[k])
        patched = vl.patching_effects(lens, base, source, units=direction, progress=False)
        assert float(patched.effect[0]) == pytest.approx(effect)  # E Δ = 3, times what is read of the direction
        assert float(patched.unseen_share[0]) == pytest.approx(share)
        assert float(patched.unseen_change[0]) == pytest.approx(change)
    seen = vl.patching_effects(lens, base, source, units=vl.Direction("decoder.0", [0.0, 1.0]), progress=False)
    assert (float(seen.effect[0]), float(seen.unseen_share[0])) == (0, 0)
    assert np.isnan(seen.unseen_change[0])  # nothing along it differs


def test_the_unseen_change_is_what_the_formula_says(lens):
    """Σ <Q P Δ, Q Δ> / Σ ‖Q Δ‖², by NumPy, of oblique directions one by one and together."""
    vectors = spread_vectors(256, 2)
    matrix = next(layer.weight for layer in list(lens.module.encoder.modules())[::-1] if isinstance(layer, nn.Linear))
    null = np.eye(256) - np.linalg.pinv(matrix.detach().numpy()) @ matrix.detach().numpy()
    runs = [lens.run(x, capture=["encoder.2"]).activations["encoder.2"].numpy() for x in (X, Y)]
    difference = runs[1] - runs[0]
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
    dual = np.linalg.pinv(unit.T)
    groups = {False: [[0], [1]], True: [[0, 1]]}
    for together, members in groups.items():
        direction = vl.Direction("encoder.2", vectors, together=together)
        patched = vl.patching_effects(lens, X, Y, units=direction, progress=False)
        mediated = vl.mediation_effects(lens, X, Y, "encoder.2", direction, outcome="code", progress=False)
        for row, group in enumerate(members):
            move = unit[group].T @ dual[group]  # Q
            whole, unseen = difference @ move.T, difference @ null.T @ move.T
            expected = (unseen * whole).sum() / (whole**2).sum()
            for effects in (patched, mediated):
                assert float(effects.unseen_change[row]) == pytest.approx(expected, rel=1e-6)
                assert float(effects.unseen_change_low[row]) <= expected <= float(effects.unseen_change_high[row])


# What is refused


def test_what_does_not_go_along_directions_is_refused_in_a_sentence(lens):
    code, hidden = vl.Direction("latent", torch.eye(3)), vl.Direction("decoder.1", torch.eye(64)[:2])
    cases = [
        (lambda: vl.latent_effects(lens, X, units=hidden), "directions are of decoder.1, and a code is set along"),
        (lambda: vl.latent_effects(lens, X, units=vl.Direction([1.0, 2.0])), "2 entries and latent has 3 units"),
        (lambda: vl.latent_effects(lens, X, units=[0]), r"\[0\] is not a Direction"),
        (lambda: vl.latent_effects(lens, X, mode="swap", units=code), "leave units out"),
        (
            lambda: vl.latent_effects(lens, X, units=vl.Direction(torch.eye(3), together=True)),
            "together have no one coordinate",
        ),
        (lambda: vl.patching_effects(lens, X, Y, units=hidden, unit="site"), "unit is 'site'; leave unit out"),
        (
            lambda: vl.patching_effects(lens, X, Y, "latent", units=hidden),
            "sites are latent, and the directions are of dec",
        ),
        (lambda: vl.patching_effects(lens, X, Y, units=vl.Direction(torch.eye(3))), "names no site"),
        (lambda: vl.patching_effects(lens, X, Y, units=[hidden, hidden]), "one Direction for a site"),
        (lambda: vl.patching_effects(lens, X, Y, "decoder.*", units=hidden), "leave sites out"),
        (lambda: vl.mediation_effects(lens, X, Y, "latent", hidden), "sites are latent, and the directions are of dec"),
        (lambda: vl.mediation_effects(lens, X, Y, "latent", code, unit="site"), "leave unit out"),
    ]
    for refused, sentence in cases:
        with pytest.raises(vl.VaelensError, match=sentence):
            refused()
