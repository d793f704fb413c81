"""Positions and boxes as the units of levels 3 and 4, against matrices."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

SHAPE = (1, 2, 3)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-9}


@pytest.fixture
def model(layer):
    """code = c·x at each pixel (2, 2, 3), grid = D·code at each position (3, 2, 3), image = W·grid, all linear."""
    rng = np.random.default_rng(0)
    c, d, w = (rng.normal(size=size).astype(np.float32).astype(float) for size in ((2, 1), (3, 2), (6, 18)))
    x, y = rng.random((2, 5, 6)).astype(np.float32).astype(float)
    convolutions = [nn.Conv2d(n, m, 1, bias=False, dtype=torch.float64) for n, m in ((1, 2), (2, 3))]
    with torch.no_grad():
        for convolution, weight in zip(convolutions, (c, d), strict=True):
            convolution.weight.copy_(torch.as_tensor(weight)[..., None, None])
    encoder, grid = convolutions
    module = nn.ModuleDict({"encoder": encoder, "grid": grid, "out": layer(w)})
    lens = vl.Lens(
        module,
        encoder,
        lambda z: module["out"](grid(z).flatten(1)).view(-1, *SHAPE),
        example=torch.zeros(1, *SHAPE),
    )
    moved = np.einsum("dk,kp->dpk", d @ c, np.ones((1, 6)))[..., 0] * (y - x)[:, None]  # (n, 3, 6)
    whole = moved.reshape(5, 18) @ w.T
    images = [torch.as_tensor(part).reshape(5, *SHAPE) for part in (x, y)]
    return SimpleNamespace(lens=lens, x=images[0], y=images[1], w=w.reshape(6, 3, 2, 3), moved=moved, whole=whole)


def by_hand(model, box):
    """What an image changes by when the grid's change is let through in one box, (n, pixels)."""
    moved = model.moved.reshape(5, 3, 2, 3)[(slice(None), slice(None), *box)]
    return np.einsum("ochw,nchw->no", model.w[(slice(None), slice(None), *box)], moved)


BOXES = {
    "position": [(slice(r, r + 1), slice(c, c + 1)) for r in range(2) for c in range(3)],
    (1, 2): [(slice(r, r + 1), slice(c, c + 2)) for r in range(2) for c in (0, 2)],
    (2, 2): [(slice(0, 2), slice(0, 2)), (slice(0, 2), slice(2, 4))],
}


@pytest.mark.parametrize("unit", BOXES)
@pytest.mark.parametrize("site", ["latent", "decoder.0"])
def test_what_a_box_carries_is_its_columns_times_its_change(model, intervals, provenance, site, unit):
    effects = vl.patching_effects(model.lens, model.x, model.y, sites=site, unit=unit)
    changes = [by_hand(model, box) for box in BOXES[unit]]
    np.testing.assert_allclose(effects.effect, [np.linalg.norm(c, axis=1).mean() for c in changes], **TOLERANCE)
    recovered = [(c * model.whole).sum() / (model.whole**2).sum() for c in changes]
    np.testing.assert_allclose(effects.recovered, recovered, **TOLERANCE)
    assert effects.recovered.sum() == pytest.approx(1)  # the boxes cover the site, and all is linear
    assert effects.row.values.tolist() == [box[0].start for box in BOXES[unit]]
    assert effects.column.values.tolist() == [box[1].start for box in BOXES[unit]]
    assert effects.index.values.tolist() == list(range(len(changes)))
    assert set(effects.site.values.tolist()) == {site}
    intervals(effects, "effect", "recovered")
    provenance(effects, unit=unit if isinstance(unit, str) else "×".join(map(str, unit)))


def test_the_box_of_all_positions_carries_everything(model):
    effects = vl.patching_effects(model.lens, model.x, model.y, sites=["latent", "decoder.0"], unit=(2, 3))
    np.testing.assert_allclose(effects.recovered, 1, **TOLERANCE)
    np.testing.assert_allclose(effects.effect, np.linalg.norm(model.whole, axis=1).mean(), **TOLERANCE)


def test_ablations_of_a_position(model):
    grid = model.lens.run(model.x, capture="decoder.0").activations["decoder.0"].numpy()
    effects = vl.patching_effects(model.lens, model.x, sites="decoder.0", method="zero", unit="position")
    expected = [
        np.linalg.norm(np.einsum("oc,nc->no", model.w[:, :, r, c], grid[:, :, r, c]), axis=1).mean()
        for r in range(2)
        for c in range(3)
    ]
    np.testing.assert_allclose(effects.effect, expected, **TOLERANCE)


@pytest.mark.parametrize("unit", BOXES)
def test_mediation_by_boxes_is_the_share_of_each(model, unit, intervals):
    effects = vl.mediation_effects(model.lens, model.x, model.y, "decoder.0", unit=unit)
    shares = [(by_hand(model, box) * model.whole).sum() / (model.whole**2).sum() for box in BOXES[unit]]
    np.testing.assert_allclose(effects.indirect, shares, **TOLERANCE)
    np.testing.assert_allclose(effects.direct, 1 - np.array(shares), **TOLERANCE)
    assert effects.row.values.tolist() == [box[0].start for box in BOXES[unit]]
    assert effects.column.values.tolist() == [box[1].start for box in BOXES[unit]]
    intervals(effects, "direct", "indirect")
    some = vl.mediation_effects(model.lens, model.x, model.y, "decoder.0", units=[1, 0], unit=unit)
    np.testing.assert_array_equal(some.indirect, effects.indirect[[1, 0]])
    assert some.index.values.tolist() == [1, 0]
    groups = vl.mediation_effects(model.lens, model.x, model.y, "decoder.0", [[0, 1], range(len(shares))], unit=unit)
    np.testing.assert_allclose(groups.indirect, [shares[0] + shares[1], 1], **TOLERANCE)
    assert groups.members.values.tolist() == ["0,1", ",".join(map(str, range(len(shares))))]
    assert "row" not in groups.coords
    whole = vl.mediation_effects(model.lens, model.x, model.y, "decoder.0", "all", unit=unit)
    np.testing.assert_allclose(whole.indirect, [1], **TOLERANCE)


def test_a_treatment_of_one_position_passes_through_that_position(model):
    effects = vl.mediation_effects(
        model.lens, model.x, vl.Add("latent", [0, 1], [1.0, -2.0], positions=(1, 2)), "decoder.0", unit="position"
    )
    np.testing.assert_allclose(effects.indirect, [0, 0, 0, 0, 0, 1], **TOLERANCE)
    np.testing.assert_allclose(effects.direct, [1, 1, 1, 1, 1, 0], **TOLERANCE)
    through = vl.mediation_effects(
        model.lens, model.x, [vl.Set("latent", 0, 1.0, positions=(0, (0, 2))), vl.Set("latent", 1, 0.0)], "decoder.0"
    )
    np.testing.assert_allclose(through.indirect + through.direct, 1, **TOLERANCE)  # all is linear


def test_sites_without_positions_are_left_out_unless_they_are_named():
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3))
    x, y = torch.rand(2, 2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    effects = vl.patching_effects(lens, x, y, unit=(4, 4))
    assert list(dict.fromkeys(effects.site.values.tolist())) == ["encoder.0", "encoder.1", "decoder.1", "decoder.2"]
    assert effects.sizes["unit"] == 4 + 1 + 1 + 4
    every = vl.patching_effects(lens, x, y, sites="all", unit=(8, 8))
    assert list(dict.fromkeys(every.site.values.tolist()))[-1] == "decoder.3"
    decoder = vl.patching_effects(lens, x, y, sites="decoder.*", unit=(4, 4))
    assert list(dict.fromkeys(decoder.site.values.tolist())) == ["decoder.1", "decoder.2", "decoder.3"]
    for sites in ("latent", ["encoder.0", "decoder.0"], ["decoder.*", "decoder.0"]):
        with pytest.raises(
            vl.VaelensError, match=r"(latent|decoder\.0) has no positions, so its units can't be \(4, 4"
        ):
            vl.patching_effects(lens, x, y, sites=sites, unit=(4, 4))
    with pytest.raises(vl.VaelensError, match="latent has no positions, so its units can't be each a position"):
        vl.mediation_effects(lens, x, y, "latent", unit="position")
    with pytest.raises(
        vl.VaelensError, match="unit is 'row'; expected 'channel', 'position', 'site' or the size of a box"
    ):
        vl.patching_effects(lens, x, y, unit="row")
    with pytest.raises(vl.VaelensError, match=r"unit 9 of decoder\.1 does not exist; its units are 0 to 3"):
        vl.mediation_effects(lens, x, y, "decoder.1", units=[9], unit=(2, 2))


def test_a_model_without_positions_has_no_boxes(linear):
    given = linear()
    with pytest.raises(vl.VaelensError, match=r"of .*latent.* none has units of the kind 'position'; use unit='ch"):
        vl.patching_effects(given.lens, given.x, given.x, unit="position")


def test_sites_are_chosen_by_pattern(model):
    effects = vl.patching_effects(model.lens, model.x, model.y, sites=["lat*", "*.0"])
    assert list(dict.fromkeys(effects.site.values.tolist())) == ["latent", "decoder.0"]
    with pytest.raises(vl.VaelensError, match=r"no site matches 'encoder\.\*'; sites: latent, decoder\.0"):
        vl.patching_effects(model.lens, model.x, model.y, sites="encoder.*")
