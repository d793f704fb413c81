"""Sequential stopping of level 1: each factor takes the pairs that its output effect needs, and no more."""

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl

SIDE = 4
FACTORS = ["row", "brightness", "nothing"]


@pytest.fixture(scope="module")
def ds():
    """Images on a grid of three factors, of which the last changes nothing."""
    row, brightness, nothing = (grid.ravel() for grid in np.meshgrid(range(4), range(6), range(3), indexing="ij"))
    images = np.full((len(row), 1, SIDE, SIDE), 0.1, dtype=np.float32)
    images[np.arange(len(row)), 0, row] = (0.2 + 0.15 * brightness)[:, None]
    return vl.ArrayDataset(images, np.stack([row, brightness, nothing], axis=1), FACTORS)


@pytest.fixture(scope="module")
def lens():
    """A linear code of two of the rows, drawn again by a sigmoid."""
    model = nn.ModuleDict({"encoder": nn.Linear(SIDE * SIDE, 2), "decoder": nn.Linear(2, SIDE * SIDE)})
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return vl.Lens(
        model,
        lambda x: model["encoder"](x.flatten(1)),
        lambda z: torch.sigmoid(model["decoder"](z)).view(-1, 1, SIDE, SIDE),
        torch.zeros(1, 1, SIDE, SIDE),
    )


def sizes(lens, x, x2):
    return (lens.reconstruct(x2) - lens.reconstruct(x)).flatten(1).norm(dim=1).numpy()


def by_hand(groups, tolerance, together):
    """How many of each group's effects, in order, it takes, and the sequence then."""
    found = []
    for effects in groups:
        sequence = vl.statistics.ConfidenceSequence((1,), (0, float(SIDE)), 1 - 0.05 / together)
        for start in range(0, len(effects), 64):
            sequence.update(effects[start : start + 64, None])
            if np.subtract(*sequence.interval()[::-1]).max() / 2 <= tolerance:
                break
        found.append(sequence)
    return found


def test_each_factor_stops_as_soon_as_its_sequence_is_narrow_enough(lens, ds):
    found = vl.input_effects(lens, ds, n=2000, seed=4, tolerance=0.15, progress=False)
    pairs = [ds.pairs(name, 2000, seed=4) for name in FACTORS]
    sequences = by_hand([sizes(lens, one.x, one.x2) for one in pairs], 0.15, together=3)
    assert found.pairs_used.values.tolist() == [sequence.count for sequence in sequences]
    assert len({sequence.count for sequence in sequences}) > 1
    assert max(sequence.count for sequence in sequences) < 2000
    low, high = (np.concatenate(ends) for ends in zip(*(one.interval() for one in sequences), strict=True))
    np.testing.assert_allclose(found.output_effect_low, low, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.output_effect_high, high, rtol=1e-5)
    np.testing.assert_allclose(found.output_effect, [float(one.mean[0]) for one in sequences], rtol=1e-5, atol=1e-7)
    assert found.matched.values.tolist() == found.pairs_used.values.tolist()
    assert (found.attrs["pairs"], found.attrs["pairs_given"]) == (found.pairs_used.max(), 2000)
    assert (found.attrs["tolerance"], found.attrs["tolerance_reached"]) == (0.15, 1)


def test_everything_else_is_of_the_pairs_used(lens, ds):
    stopped = vl.input_effects(lens, ds, ["row"], n=2000, seed=4, tolerance=0.2, progress=False)
    used = int(stopped.pairs_used[0])
    assert used < 2000
    pairs = ds.pairs("row", 2000, seed=4)
    change = (lens.encode(pairs.x2[:used]) - lens.encode(pairs.x[:used])).abs().numpy()
    both = torch.cat([lens.encode(pairs.x[:used]), lens.encode(pairs.x2[:used])]).double().numpy()
    np.testing.assert_allclose(stopped.latent_effect[0], change.mean(axis=0) / both.std(axis=0), rtol=1e-5)


def test_manipulations_stop_each_by_itself(lens):
    names = ["brightness", "noise", "shift"]
    ds = vl.ArrayDataset(np.random.default_rng(0).random((2000, 1, SIDE, SIDE)).astype(np.float32))
    stopped = vl.input_effects(lens, ds, manipulations=names, n=2000, seed=1, tolerance=0.12, progress=False)
    used = stopped.pairs_used.values
    assert used.max() < 2000
    assert len(set(used.tolist())) > 1
    drawn = ds.images_at(ds.draw(2000, 1))
    for name, count in zip(names, used, strict=True):
        effects = sizes(lens, drawn, vl.manipulate(drawn, name, seed=1))
        (sequence,) = by_hand([effects], 0.12, together=3)
        assert sequence.count == count
        np.testing.assert_allclose(stopped.sel(manipulation=name).output_effect, sequence.mean[0], rtol=1e-5)


def test_too_few_pairs_are_all_used_and_give_the_usual_numbers(lens, ds):
    with pytest.warns(
        vl.VaelensWarning,
        match=r"not reached: all 70 pairs leave the output effect of row known to ±.*; give more pairs",
    ):
        asked = vl.input_effects(lens, ds, n=70, tolerance=0.01, progress=False)
    usual = vl.input_effects(lens, ds, n=70, progress=False)
    assert (asked.pairs_used == 70).all()
    assert asked.attrs["tolerance_reached"] == 0
    for name in set(usual.data_vars) - {"output_effect_low", "output_effect_high"}:
        np.testing.assert_allclose(asked[name], usual[name], rtol=1e-6, err_msg=name)
    assert (asked.output_effect_low <= usual.output_effect_low).all()
    assert (asked.output_effect_high >= usual.output_effect_high).all()
    assert not {"tolerance", "pairs_used"} & {*usual.attrs, *usual.data_vars}


def test_progress_ends_at_the_end(lens, ds):
    seen = []
    vl.input_effects(lens, ds, n=2000, tolerance=0.2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (6000, 6000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize("tolerance", [0, -1.0, True, "small", float("nan")])
def test_a_tolerance_is_positive(lens, ds, tolerance):
    with pytest.raises(vl.VaelensError, match=r"tolerance is .*; expected a positive number"):
        vl.input_effects(lens, ds, tolerance=tolerance)


def test_a_factor_is_named_once(lens, ds):
    with pytest.raises(vl.VaelensError, match=r"factor 'row' was named 2 times; name each once"):
        vl.input_effects(lens, ds, ["row", "nothing", "row"])
