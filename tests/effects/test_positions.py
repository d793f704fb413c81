import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.positions import find_positions


def spatial_images(n=6):
    return torch.rand(n, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_place_by_its_row_and_column_is_the_only_one_set(coded):
    model = coded([[0.0], [1.0]])
    effects = vl.latent_effects(model.lens, spatial_images(), values=[-3, 3], positions=(1, 0))
    changed = effects.effect_map.values[0, 0] > 0
    assert changed.tolist() == [[False, False], [True, False]]
    chosen = model.choose(model.embed(spatial_images()))[:, 1, 0]
    np.testing.assert_allclose(effects.effect[0], [(chosen != 0).mean(), (chosen != 1).mean()])
    assert effects.attrs["positions"] == [1, 0]


def test_one_place_an_image_is_the_same_for_every_value_and_latent(coded):
    model = coded([[0.0, 0.0], [1.0, 1.0]], np.hstack([np.eye(4), np.eye(4)]), a=[[1.0], [1.0]])
    x = torch.zeros(1, 1, 2, 2, dtype=torch.float64)  # every position takes code 0
    places = []
    for seed in range(6):
        effects = vl.latent_effects(model.lens, x, values=[2.0, 3.0], positions="one", seed=seed)
        changed = effects.effect_map.values > 0  # (latent, 1, height, width)
        assert changed.reshape(2, 4).sum(axis=1).tolist() == [1, 1]
        assert (changed[0] == changed[1]).all()
        assert (effects.effect == 2).all()  # one pixel, by both of the code's dimensions
        places.append(int(changed[0].ravel().argmax()))
        assert effects.attrs["positions"] == "one"
    assert len(set(places)) > 1


def test_a_place_is_drawn_uniformly():
    codes = torch.zeros(6000, 1, 2, 3)
    places = find_positions("one", codes, seed=0)
    assert places.at is not None
    rows, columns = places.at
    counts = np.bincount(3 * rows.numpy() + columns.numpy(), minlength=6)
    assert (np.abs(counts - 1000) < 5 * np.sqrt(1000)).all()
    again, other = (find_positions("one", codes, seed=seed).at for seed in (0, 1))
    assert torch.equal(again[0], rows)
    assert not torch.equal(other[0], rows)


@pytest.mark.parametrize("mode", ["range", "shift", "posterior", "prior"])
@pytest.mark.parametrize("positions", ["one", (0, 1)])
def test_each_mode_sets_its_value_there(mode, positions):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, decoder = (torch.nn.Conv2d(*width, 1, dtype=torch.float64) for width in ((1, 3), (3, 1)))
    lens = vl.Lens(torch.nn.Sequential(encoder, decoder), encoder, decoder, example=spatial_images(1))
    x, seed = spatial_images(), 4
    z = lens.encode(x)
    at = find_positions(positions, z, seed).at
    effects = vl.latent_effects(
        lens, x, mode=mode, values=[1.5] if mode in ("range", "shift") else 1, seed=seed, positions=positions
    )
    noise = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed))
    partner = z[vl.lens.other_images(6, seed)] if mode == "posterior" else None
    scale = z.movedim(1, 0).reshape(3, -1).std(dim=1, correction=0)
    for latent in range(3):
        total = 0.0
        for n in range(6):
            place = (latent, at[0][n], at[1][n])
            new = {
                "range": lambda place: 1.5,
                "shift": lambda place, n=n: z[n][place] + 1.5 * scale[place[0]],
                "posterior": lambda place, n=n: partner[n][place],
                "prior": lambda place, n=n: noise[n][place],
            }[mode](place)
            total += abs(float(new - z[n][place])) * abs(float(decoder.weight[0, latent, 0, 0].detach()))
        assert float(effects.ces[latent]) == pytest.approx(total / 6, rel=1e-5)


def test_positions_do_not_depend_on_chunks(coded, same):
    wide, narrow = (coded([[0.1], [0.4], [0.9]], memory_mb=memory) for memory in (256, 1e-6))
    for mode in ("posterior", "shift"):
        same(*(vl.latent_effects(m.lens, spatial_images(), mode=mode, positions="one") for m in (wide, narrow)))


def test_ces_by_mode_takes_positions(coded):
    model = coded([[0.1], [0.4], [0.9]])
    modes = ces_by_mode(model.lens, spatial_images(), seed=2, positions="one")
    assert modes.mode.values.tolist() == ["range", "shift", "posterior", "prior", "conditional"]
    assert modes.attrs["positions"] == "one"
    for mode in modes.mode.values:
        alone = vl.causal_effect_strength(model.lens, spatial_images(), mode=str(mode), seed=2, positions="one")
        np.testing.assert_array_equal(modes.ces.sel(mode=mode), alone)
        assert not np.array_equal(
            alone, vl.causal_effect_strength(model.lens, spatial_images(), mode=str(mode), seed=2)
        )


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ("on", r"positions is 'on'; expected 'all', 'one', or a position's indices, from \(0, 0\) to \(1, 1\)"),
        ((0,), r"positions is \(0,\); expected 'all', 'one', or a position's indices"),
        ((0, 2), r"positions is \(0, 2\); expected 'all'"),
        ((-1, 0), r"positions is \(-1, 0\); expected 'all'"),
        ((True, 0), r"positions is \(True, 0\); expected 'all'"),
        ((0.0, 1.0), r"positions is \(0\.0, 1\.0\); expected 'all'"),
        (3, "positions is 3; expected 'all'"),
        (None, "positions is None; expected 'all'"),
    ],
)
def test_positions_that_are_none_are_refused(coded, positions, message):
    with pytest.raises(vl.VaelensError, match=message):
        vl.latent_effects(coded([[0.1], [0.7]]).lens, spatial_images(), positions=positions)


@pytest.mark.parametrize("positions", ["one", (0, 0)])
def test_a_latent_without_positions_has_none_to_choose(linear, positions):
    model = linear()
    with pytest.raises(
        vl.VaelensError, match=r"but this latent has no positions: its codes are of shape \(3,\); leave"
    ):
        vl.latent_effects(model.lens, model.x, positions=positions)
