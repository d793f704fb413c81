import numpy as np
import torch

from vaelens.data import Factor, Factors, GridDataset
from vaelens.observation import Observation


class Numbers(GridDataset):
    """A 2 x 1 x 3 grid whose one pixel is a + 10 b + 100 c, over 255."""

    name = "numbers"
    factors = Factors((Factor("a", 2), Factor("b", 1), Factor("c", 3)))
    observation = Observation.image((1, 1, 1))

    def render(self, factors):
        return (factors @ [1, 10, 100]).astype(np.uint8).reshape(-1, 1, 1, 1)


def test_last_factor_runs_fastest():
    ds = Numbers()
    assert len(ds) == 6
    assert [f.tolist() for _, f in ds] == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [1, 0, 0], [1, 0, 1], [1, 0, 2]]
    expected = torch.tensor([0, 100, 200, 1, 101, 201]) / 255
    torch.testing.assert_close(ds.images_at(range(6)).flatten(), expected)
    torch.testing.assert_close(ds.images([[1, 0, 2]]).flatten(), expected[-1:])


def test_pairs_are_exact_and_uniform():
    pairs = Numbers().pairs("c", 1200, seed=0)
    assert pairs.matched.all()
    assert (pairs.f[:, :2] == pairs.f2[:, :2]).all()
    moves = torch.bincount(3 * pairs.f[:, 2] + pairs.f2[:, 2], minlength=9).reshape(3, 3)
    assert moves.diagonal().tolist() == [0, 0, 0]
    assert moves[~torch.eye(3, dtype=torch.bool)].min() > 160  # 200 expected of each
    torch.testing.assert_close(pairs.x2.flatten(), (pairs.f2 @ torch.tensor([1, 10, 100])) / 255)
