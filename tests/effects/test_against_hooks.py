"""Levels 3 and 4 against a slow reference: plain PyTorch hooks on the model's layers, one unit at a time.

Nothing of the library but the model takes part in the reference.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.lens import other_images


def scaled(side, latent_dim):
    """A VAE in float64 with weights large enough that every unit matters."""
    model = vl.build_model("vae", image_shape=(1, side, side), latent_dim=latent_dim, seed=3).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(2)
    return model


def images(side, n=3):
    generator = torch.Generator().manual_seed(5)
    return torch.rand(2, n, 1, side, side, generator=generator, dtype=torch.float64)


def stage_modules(model):
    """The module that ends each stage, by hand: a ReLU, or the reshape after the decoder's second."""
    named = dict(model.encoder.named_children())
    found = [(f"encoder.{name[4:]}", module) for name, module in named.items() if name.startswith("relu")]
    found.append(("latent", None))
    named = dict(model.decoder.named_children())
    for name, module in named.items():
        if name.startswith("relu"):
            found.append((f"decoder.{name[4:]}", named.get("unflatten", module) if name == "relu1" else module))
    return dict(found)


@torch.no_grad()
def forward(model, x, module=None, change=None, code_only=False):
    """Code and image, with `change` applied to what a module returns, or to the code where it is None."""
    handle = None
    if module is not None and change is not None:
        handle = module.register_forward_hook(lambda _, arguments, output: change(output.clone()))
    code = model.encode(x)[0]
    if module is None and change is not None:
        code = change(code.clone())
    image = torch.zeros(0) if code_only else model.decode(code)
    if handle is not None:
        handle.remove()
    return code, image


@torch.no_grad()
def activation(model, x, module):
    seen = []
    if module is None:
        return forward(model, x)[0]
    handle = module.register_forward_hook(lambda _, arguments, output: seen.append(output.clone()))
    forward(model, x)
    handle.remove()
    return seen[0]


def swapping(unit, n):
    """Exchanges a unit between the first n images and the last n."""

    def change(a):
        first = a[:n, unit].clone()
        a[:n, unit] = a[n:, unit]
        a[n:, unit] = first
        return a

    return change


def share(change, total):
    return float((change * total).sum() / (total * total).sum())


def norm(change):
    return float(change.flatten(1).norm(dim=1).mean())


def slow(model, x, y, outcome=None, step=1):
    """What every step-th unit does, by one forward for each: patched into x from y, and into y from x."""
    n, both = len(x), torch.cat([x, y])
    base = dict(zip(("code", "image"), forward(model, both), strict=True))
    rows = []
    for site, module in stage_modules(model).items():
        kind = outcome or ("code" if site.startswith("encoder") else "image")
        start, total = base[kind][:n], base[kind][n:] - base[kind][:n]
        for unit in range(0, activation(model, x, module).shape[1], step):
            run = forward(model, both, module, swapping(unit, n), code_only=kind == "code")
            moved = run[kind == "image"]
            row = {"site": site, "index": unit, "effect": norm(moved[:n] - start), "total": norm(total)}
            row["recovered"] = row["indirect"] = share(moved[:n] - start, total)
            row["direct"] = share(moved[n:] - start, total)
            rows.append(row)
    return rows


@pytest.fixture(scope="module")
def large():
    """The 64×64 backbone, and what every unit of it does on two pairs of images by the slow way."""
    model, (x, y) = scaled(64, 10), images(64, n=2)
    return SimpleNamespace(model=model, lens=vl.Lens(model), x=x, y=y, rows=slow(model, x, y))


def column(reference, name):
    return np.array([row[name] for row in reference.rows])


def close(actual, expected):
    """To 1e-4 of each value; values that are nothing beside the largest are held to that."""
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-8 * np.abs(expected).max())


def test_patching_every_unit_of_the_backbone(large):
    effects = vl.patching_effects(large.lens, large.x, large.y)
    assert effects.site.values.tolist() == [row["site"] for row in large.rows]
    assert effects.index.values.tolist() == [row["index"] for row in large.rows]
    assert len(large.rows) == 32 + 32 + 64 + 64 + 256 + 10 + 256 + 64 + 64 + 32 + 32
    close(effects.effect.values, column(large, "effect"))
    close(effects.recovered.values, column(large, "recovered"))
    assert (column(large, "effect") > 0).mean() > 0.5


def check_mediation(reference, rows, outcome):
    """Units of every site as mediators, those of the rows, against the slow way."""
    for site in dict.fromkeys(row["site"] for row in rows):
        here = [row for row in rows if row["site"] == site]
        kind = outcome or ("code" if site.startswith("encoder") else "image")
        effects = vl.mediation_effects(reference.lens, reference.x, reference.y, site, outcome=kind)
        effects = effects.isel(unit=[row["index"] for row in here])
        direct, indirect = (np.array([row[name] for row in here]) for name in ("direct", "indirect"))
        close(effects.indirect.values, indirect)
        close(effects.direct.values, direct)
        np.testing.assert_allclose(effects.interaction, 1 - direct - indirect, rtol=1e-4, atol=1e-6)
        assert float(effects.total_norm) == pytest.approx(here[0]["total"], rel=1e-9)


def test_mediation_of_every_unit_of_the_backbone(large):
    check_mediation(large, large.rows, None)


@pytest.fixture(scope="module", params=["continuous", "quantised"])
def small(request, vq_vae):
    x, y = images(32)
    model = scaled(32, 4) if request.param == "continuous" else vq_vae(32, dtype=torch.float64)
    return SimpleNamespace(model=model, lens=vl.Lens(model), x=x, y=y)


def test_mediation_of_the_image_by_units_of_every_site(small):
    check_mediation(small, slow(small.model, small.x, small.y, outcome="image", step=5), "image")


@pytest.mark.parametrize("method", ["zero", "mean", "resample"])
def test_ablating_units_of_every_site(small, method):
    model, x = small.model, small.x
    code, image = forward(model, x)
    effects, measured, expected = vl.patching_effects(small.lens, x, method=method, seed=7).effect, [], []
    for site, module in stage_modules(model).items():
        present = activation(model, x, module)
        new = {
            "zero": torch.zeros_like(present),
            "mean": present.mean(dim=0, keepdim=True).expand_as(present),
            "resample": present[other_images(len(x), 7)],
        }[method]
        for unit in range(0, present.shape[1], 7):

            def change(a, unit=unit, new=new):
                a[:, unit] = new[:, unit]
                return a

            codes, outputs = forward(model, x, module, change)
            expected.append(norm(codes - code if site.startswith("encoder") else outputs - image))
            measured.append(effects[(effects.site == site) & (effects["index"] == unit)].item())
    close(np.array(measured), np.array(expected))


@pytest.mark.parametrize(
    ("sender", "units", "receiver"),
    [("encoder.1", [0, 3, 17], "encoder.2"), ("encoder.2", "all", "latent"), ("latent", [2], "decoder.3")],
)
def test_paths_to_every_unit(small, sender, units, receiver):
    model, x, y = small.model, small.x, small.y
    modules = stage_modules(model)
    code, image = forward(model, x)
    source = activation(model, y, modules[sender])
    members = list(range(source.shape[1])) if units == "all" else units

    def patch(a):
        a[:, members] = source[:, members]
        return a

    # what the receiver holds when the sender is patched
    seen = []
    if modules[receiver] is None:
        arriving = forward(model, x, modules[sender], patch)[0]
    else:
        handle = modules[receiver].register_forward_hook(lambda _, arguments, output: seen.append(output.clone()))
        forward(model, x, modules[sender], patch)
        handle.remove()
        arriving = seen[0]
    kind = 0 if receiver.startswith("encoder") else 1
    base, total = (code, image)[kind], forward(model, y)[kind] - (code, image)[kind]
    effect, recovered = [], []
    for unit in range(arriving.shape[1]):

        def change(a, unit=unit):
            a[:, unit] = arriving[:, unit]
            return a

        moved = forward(model, x, modules[receiver], change)[kind] - base
        effect.append(norm(moved))
        recovered.append(share(moved, total))
    effects = vl.path_effects(small.lens, x, y, sender, receiver, units)
    close(effects.effect.values, np.array(effect))
    close(effects.recovered.values, np.array(recovered))


def test_float32_agrees_with_float64():
    x, y = images(32).float()
    single = vl.patching_effects(vl.Lens(scaled(32, 4).float()), x, y)
    double = vl.patching_effects(vl.Lens(scaled(32, 4)), x.double(), y.double())
    for name in ("effect", "recovered"):
        largest = float(np.abs(double[name]).max())
        np.testing.assert_allclose(single[name], double[name], rtol=1e-3, atol=1e-4 * largest)


def test_images_in_float64_go_through_a_model_in_float32(small):
    lens = vl.Lens(copy.deepcopy(small.model).float())
    sites = ["encoder.3", "latent", "decoder.1"]
    given = vl.patching_effects(lens, small.x.numpy(), small.y.numpy(), sites=sites)
    expected = vl.patching_effects(lens, small.x.float(), small.y.float(), sites=sites)
    np.testing.assert_array_equal(given.effect, expected.effect)
    mediated = vl.mediation_effects(lens, small.x.numpy(), small.y.numpy(), "encoder.3", units=[0, 1])
    assert np.isfinite(mediated.direct).all()
