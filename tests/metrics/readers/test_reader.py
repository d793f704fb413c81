import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.metrics.readers.reader import ROWS


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_probabilities_add_to_one_whatever_the_type(trained, dtype):
    read = trained[0].read(torch.rand(3, 1, 16, 16).to(dtype))
    assert {name: tuple(shares.shape) for name, shares in read.items()} == {"row": (3, 3), "column": (3, 4)}
    for shares in read.values():
        assert shares.dtype == torch.float32
        assert not shares.requires_grad
        torch.testing.assert_close(shares.sum(dim=1), torch.ones(3))


def test_images_in_chunks_are_read_as_each_alone(trained):
    images = np.random.default_rng(0).random((ROWS + 3, 1, 16, 16), dtype=np.float32)
    together = trained[0].read(images)
    for index in (0, ROWS, ROWS + 2):
        for name, alone in trained[0].read(images[index : index + 1]).items():
            torch.testing.assert_close(together[name][index : index + 1], alone)


def test_images_of_another_shape_or_range_are_refused(trained):
    with pytest.raises(vl.VaelensError, match=r"shape \(1, 8, 8\) each, this model takes \(1, 16, 16\)"):
        trained[0].read(torch.rand(2, 1, 8, 8))
    with pytest.raises(vl.VaelensError, match="range from"):
        trained[0].read(torch.rand(2, 1, 16, 16) * 255)


def test_a_reader_prints_as_a_table(trained):
    lines = repr(trained[0]).splitlines()
    assert lines[0] == "FactorReader of arrays, on 120 held-out images"
    cells = [line.split() for line in lines[1:]]
    assert cells[0][:4] == ["factor", "values", "kind", "accuracy"]
    assert [row[0] for row in cells[1:]] == ["row", "column", "nothing"]
    assert [row[-1] for row in cells[1:]] == ["yes", "yes", "no"]
    assert cells[1][3] == "100.0%"
    assert len(lines) == 5
    assert repr(trained[0].only("row")).endswith("\nread: row")


def test_a_decoder_that_moves_the_square_is_specific_to_its_place(trained, joined, layer):
    # Latent 0 fades the square of column 0 and row 0 into that of row 2, latent 1 does nothing that shows.
    squares = torch.zeros(2, 16, 16)
    squares[0, 1:5, 1:4], squares[1, 9:13, 1:4] = 1, 1
    first, last = squares.flatten(1)
    model = joined(
        torch.nn.Sequential(torch.nn.Flatten(), layer(torch.stack([last / 12, first * 0]), dtype=torch.float32)),
        torch.nn.Sequential(
            layer(torch.stack([last - first, first * 0], dim=1), first, torch.float32),
            torch.nn.Unflatten(1, (1, 16, 16)),
        ),
    )
    lens = vl.Lens(model, model.encoder, model.decoder, example=squares[:1, None])
    effects = vl.latent_effects(
        lens, squares[:1, None], values=[1.0], over="factors", reader=trained[0].only(["row", "column"])
    )
    row, column = effects.factor_effect[0].values
    assert row > 0.95
    assert column < 0.05
    assert float(effects.specificity_normalised[0]) > 0.7
    np.testing.assert_array_equal(effects.factor_effect[1], [0, 0])
    assert np.isnan(effects.specificity[1])
