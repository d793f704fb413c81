import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.lens.regions import Region, Regions, regions, resolve_positions

SITES = [
    vl.Site("dense", "decoder", 3, (3,)),
    vl.Site("tokens", "decoder", 2, (2, 5)),
    vl.Site("grid", "decoder", 3, (3, 4, 5)),
]
GRID, TOKENS, DENSE = SITES[2], SITES[1], SITES[0]
CUBE = vl.Site("cube", "decoder", 2, (2, 3, 3, 3))


@pytest.mark.parametrize(
    ("site", "unit", "count"),
    [
        (DENSE, "channel", 3),
        (GRID, "channel", 3),
        (GRID, "position", 20),
        (GRID, (2, 2), 6),
        (GRID, (4, 5), 1),
        (GRID, [3, 9], 2),
        (TOKENS, "position", 5),
        (TOKENS, (2,), 3),
        (CUBE, "channel", 2),
    ],
)
def test_the_units_of_a_site_cover_every_cell_once(site, unit, count):
    each, places = regions(site, unit)
    assert len(each) == count
    covered = torch.zeros(1, *site.shape)
    for region in each:
        region.put(covered, region.take(covered) + 1)
    assert (covered == 1).all()
    assert places["index"] == list(range(count))


def test_boxes_know_their_first_corner():
    each, places = regions(GRID, (3, 2))
    assert places == {"index": list(range(6)), "row": [0, 0, 0, 3, 3, 3], "column": [0, 2, 4, 0, 2, 4]}
    assert each[-1] == Region((0, 1, 2), (slice(3, 4), slice(4, 5)))
    assert regions(GRID, "position")[1]["row"][7:12] == [1, 1, 1, 2, 2]
    assert regions(TOKENS, (2,))[1] == {"index": [0, 1, 2], "row": [0, 2, 4], "column": [0, 0, 0]}


def test_several_regions_are_copied_together():
    one, other = torch.zeros(2, *GRID.shape), torch.ones(2, *GRID.shape)
    each, _ = regions(GRID, "position")
    both = Regions((each[0], each[19]))
    both.copy(other, one)
    assert one.sum() == 2 * 2 * 3
    assert (one[:, :, 0, 0] == 1).all()
    assert (one[:, :, 3, 4] == 1).all()


def test_boxes_of_three_axes_tile_a_cube():
    tiles, places = regions(CUBE, (2, 1, 2))
    counts = torch.zeros(1, *CUBE.shape)
    for tile in tiles:
        tile.put(counts, tile.take(counts) + 1)
    assert (counts == 1).all()
    assert list(places) == ["index", "axis_0", "axis_1", "axis_2"]
    corners = list(zip(places["axis_0"], places["axis_1"], places["axis_2"], strict=True))
    assert corners == [tuple(span.start for span in tile.positions) for tile in tiles]
    assert len(regions(CUBE, "position")[0]) == np.prod(CUBE.shape[1:])


@pytest.mark.parametrize(
    ("site", "unit", "message"),
    [
        (GRID, "pixel", r"unit is 'pixel'; expected 'channel', 'position', 'site' or the size of a box"),
        (GRID, (0, 2), r"unit is \(0, 2\); expected"),
        (GRID, (2, True), r"unit is \(2, True\); expected"),
        (GRID, 2, "unit is 2; expected"),
        (GRID, (1, 2, 3), r"grid has 2 axes of positions, so its units can't be \(1, 2, 3\); name sites that fit"),
        (GRID, (2,), r"grid has 2 axes of positions, so its units can't be \(2,\); name sites that fit"),
        (DENSE, "position", "dense has no positions, so its units can't be each a position"),
    ],
)
def test_units_that_a_site_has_not_are_refused(site, unit, message):
    with pytest.raises(vl.VaelensError, match=message):
        regions(site, unit)


@pytest.mark.parametrize(
    ("site", "positions", "box"),
    [
        (GRID, "all", None),
        (GRID, None, None),
        (DENSE, "all", None),
        (GRID, (1, 2), ((1, 2), (2, 3))),
        (GRID, [np.int64(1), 2], ((1, 2), (2, 3))),
        (GRID, torch.tensor([3, 4]), ((3, 4), (4, 5))),
        (GRID, (slice(1, 3), slice(None)), ((1, 3), (0, 5))),
        (GRID, ((1, 3), (0, 2)), ((1, 3), (0, 2))),
        (GRID, np.array([[0, 4], [2, 3]]), ((0, 4), (2, 3))),
        (GRID, (2, (0, 5)), ((2, 3), (0, 5))),
        (TOKENS, 4, ((4, 5),)),
        (TOKENS, slice(1, None), ((1, 5),)),
        (TOKENS, ((1, 3),), ((1, 3),)),
    ],
)
def test_positions_are_a_box(site, positions, box):
    expected = None if box is None else tuple(slice(*ends) for ends in box)
    assert resolve_positions(positions, site) == expected


@pytest.mark.parametrize(
    ("site", "positions", "message"),
    [
        (DENSE, 0, "dense has no positions, only 3 units; leave positions out"),
        (GRID, "left", "positions at grid: 'left' given; expected 'all', an index for each axis"),
        (GRID, 1, "positions at grid: 1 given; expected 'all', an index for each axis"),
        (GRID, (1,), r"positions at grid: \(1,\) has 1 axes, and the site has 2, of 4 × 5 positions"),
        (TOKENS, (1, 3), r"positions at tokens: \(1, 3\) has 2 axes, and the site has 1, of 5 positions"),
        (GRID, (4, 0), r"positions at grid: \(4, 0\) reaches outside; the site's positions on that axis are 0 to 3"),
        (GRID, (-1, 0), r"positions at grid: \(-1, 0\) reaches outside"),
        (GRID, ((0, 5), 0), r"reaches outside; the site's positions on that axis are 0 to 3"),
        (GRID, ((2, 2), 0), r"positions at grid: \(\(2, 2\), 0\) is empty"),
        (GRID, (slice(3, 1), 0), "is empty; a box holds the positions from its start to before its stop"),
        (GRID, (slice(0, 4, 2), 0), "given; expected 'all', an index for each axis, or a"),
        (GRID, (0.5, 0), "given; expected 'all', an index for each axis, or a"),
        (GRID, (True, 0), "given; expected 'all', an index for each axis, or a"),
        (GRID, ((0, 1, 2), 0), "given; expected 'all', an index for each axis, or a"),
    ],
)
def test_positions_that_a_site_has_not_are_refused(site, positions, message):
    with pytest.raises(vl.VaelensError, match=message):
        resolve_positions(positions, site)


# Interventions at positions

CONV = "decoder.2"  # 32×8×8
BOX = (slice(1, 3), slice(4, 8))
INSIDE = (slice(None), [2, 0], *BOX)
WHOLE = torch.arange(5.0 * 2 * 64).reshape(5, 2, 8, 8) / 100


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, torch.full((5, 2, 2, 4), 0.5)),
        ([0.25, -0.5], torch.tensor([0.25, -0.5])[None, :, None, None].expand(5, 2, 2, 4)),
        (torch.arange(10.0).reshape(5, 2), torch.arange(10.0).reshape(5, 2, 1, 1).expand(5, 2, 2, 4)),
        (WHOLE, WHOLE[:, :, 1:3, 4:8]),
        (WHOLE[:, :, 1:3, 4:8], WHOLE[:, :, 1:3, 4:8]),
        (WHOLE[:1, :1], WHOLE[:1, :1, 1:3, 4:8].expand(5, 2, 2, 4)),
    ],
)
def test_values_land_in_the_box_and_nowhere_else(small, value, expected):
    before = small.lens.run(small.x, capture=CONV).activations[CONV]
    for make, new in (
        (vl.Set, expected),
        (vl.Add, before[INSIDE] + expected),
        (vl.Scale, before[INSIDE] * expected),
    ):
        run = small.lens.run(small.x, make(CONV, [2, 0], value, positions=BOX), capture=CONV)
        full = before.clone()
        full[INSIDE] = new
        assert torch.equal(run.activations[CONV], full)
        assert run.hits[0].change == pytest.approx(float((full - before).double().norm()), rel=1e-5)
        assert run.hits[0].hits == 1


def test_a_value_of_another_shape_is_refused_and_both_shapes_are_named(small):
    with pytest.raises(vl.VaelensError, match=r"or \(5, 2, 8, 8\) or \(5, 2, 2, 4\)"):
        small.lens.run(small.x, vl.Set(CONV, [2, 0], WHOLE[:, :, :3], positions=BOX))


def test_ablations_and_patches_of_a_box(small):
    before = small.lens.run(small.x, capture=CONV).activations[CONV]
    source = small.lens.run(small.y, capture=CONV)
    partner = vl.lens.other_images(5, 3)
    for edit, new in (
        (vl.Ablate(CONV, [2, 0], positions=((1, 3), (4, 8))), torch.zeros(5, 2, 2, 4)),
        (vl.Ablate(CONV, [2, 0], "mean", positions=BOX), before[INSIDE].mean(dim=0, keepdim=True)),
        (vl.Ablate(CONV, [2, 0], "resample", 3, positions=BOX), before[partner][INSIDE]),
        (vl.Patch(CONV, [2, 0], source, positions=BOX), source.activations[CONV][INSIDE]),
    ):
        full = before.clone()
        full[INSIDE] = new
        assert torch.equal(small.lens.run(small.x, edit, capture=CONV).activations[CONV], full)


def test_patching_every_box_is_patching_the_site(build):
    for name in ("spatial", "attention", "recurrent", "quantised"):
        model = build(name)
        source = model.lens.run(model.y, capture="all")
        for site in model.lens.sites.values():
            if len(site.shape) == 1:
                continue
            each, _ = regions(site, "position")
            edits = [vl.Patch(site.name, "all", source, positions=region.positions) for region in each]
            whole = model.lens.run(model.x, vl.Patch(site.name, "all", source), capture=site.name)
            boxes = model.lens.run(model.x, edits, capture=site.name)
            assert torch.equal(boxes.activations[site.name], source.activations[site.name])
            assert torch.equal(boxes.reconstruction, whole.reconstruction)
            squares = sum(hit.change**2 for hit in boxes.hits)
            assert squares**0.5 == pytest.approx(whole.hits[0].change, rel=1e-5)


def test_positions_of_a_site_without_any_are_refused_before_anything_runs(small):
    with pytest.raises(vl.VaelensError, match="latent has no positions, only 3 units; leave positions out"):
        small.lens.run(small.x, vl.Ablate("latent", 0, positions=(0, 0)))
