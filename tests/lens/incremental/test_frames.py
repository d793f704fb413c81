import pytest
import torch
from torch import nn

import vaelens as vl


class Frames(nn.Module):
    """A model of clips (n, 1, frames, 4, 4), whose second layer is given each frame as a row of its own."""

    def __init__(self):
        super().__init__()
        self.encoder, self.first = nn.Conv3d(1, 2, 1), nn.Conv3d(2, 3, 1)
        self.second = nn.Conv2d(3, 1, 3, padding=1)

    def decode(self, z):
        h = self.first(z)
        n, channels, frames, height, width = h.shape
        rows = h.transpose(1, 2).reshape(n * frames, channels, height, width)
        return self.second(rows).reshape(n, frames, 1, height, width).transpose(1, 2)


@pytest.mark.parametrize("way", ["torch.export", "hooks"])
def test_a_patch_reaches_a_layer_whose_rows_are_frames(way):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Frames().double()
        x, y = torch.rand(2, 3, 1, 2, 4, 4, dtype=torch.float64)
    lens = vl.Lens(model, model.encoder, model.decode, example=x, execution=way)
    assert lens.execution["decoder"].startswith("torch.export" if way == "torch.export" else "forward hooks")
    effects = vl.patching_effects(lens, x, y, sites=["latent", "decoder.0"])
    with torch.no_grad():
        change = model.first(model.encoder(y)) - model.first(model.encoder(x))
        expected = []
        for unit in range(3):  # the second layer is linear: a unit's share is its channel of the kernel on the change
            rows = change[:, unit].flatten(0, 1)[:, None]
            moved = torch.conv2d(rows, model.second.weight[:, unit : unit + 1], padding=1)
            expected.append(moved.reshape(3, -1).norm(dim=1).mean())
    actual = torch.from_numpy(effects.effect.values[effects.site.values == "decoder.0"])
    torch.testing.assert_close(actual, torch.stack(expected), rtol=1e-6, atol=0)
