import math

import pytest
import torch
from torch import nn

from vaelens.errors import VaelensError
from vaelens.models import backbone


def leaves_in_call_order(module, given):
    called = []
    handles = [
        leaf.register_forward_hook(lambda leaf, args, output: called.append((leaf, output.shape)))
        for leaf in module.modules()
        if not list(leaf.children())
    ]
    module(given)
    for handle in handles:
        handle.remove()
    return called


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 16, 28, 32, 64, 128])
def test_code_and_image_have_the_shapes_asked_for(side, channels):
    shape = (channels, side, side)
    assert backbone.encoder(shape, 7)(torch.zeros(2, *shape)).shape == (2, 7)
    assert backbone.decoder(shape, 7)(torch.zeros(2, 7)).shape == (2, *shape)
    assert backbone.encoder(shape, 7, spatial=True)(torch.zeros(2, *shape)).shape == (2, 7, 4, 4)
    assert backbone.decoder(shape, 7, spatial=True)(torch.zeros(2, 7, 4, 4)).shape == (2, *shape)


def test_layers_at_64_are_the_published_ones():
    encoder = backbone.encoder((1, 64, 64), 20)
    decoder = backbone.decoder((1, 64, 64), 10)
    convolutions = [layer for layer in encoder if isinstance(layer, nn.Conv2d)]
    transposed = [layer for layer in decoder if isinstance(layer, nn.ConvTranspose2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 32, 64, 64]
    assert [layer.out_channels for layer in transposed] == [64, 32, 32, 1]
    assert {(layer.kernel_size, layer.stride) for layer in convolutions + transposed} == {((4, 4), (2, 2))}
    dense = [(layer.in_features, layer.out_features) for layer in [*encoder, *decoder] if isinstance(layer, nn.Linear)]
    assert dense == [(1024, 256), (256, 20), (10, 256), (256, 1024)]


def test_spatial_layers_are_one_by_one_convolutions_in_place_of_the_dense_ones():
    for make, spatial in ((backbone.encoder, [(64, 256), (256, 5)]), (backbone.decoder, [(5, 256), (256, 64)])):
        layers = list(make((1, 64, 64), 5, spatial=True))
        assert not any(isinstance(layer, nn.Linear | nn.Flatten | nn.Unflatten) for layer in layers)
        small = [layer for layer in layers if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)]
        assert [(layer.in_channels, layer.out_channels) for layer in small] == spatial
        dense = [
            layer for layer in make((1, 64, 64), 5) if not isinstance(layer, nn.Linear | nn.Flatten | nn.Unflatten)
        ]
        kept = [layer for layer in layers if layer not in small]
        assert [type(layer) for layer in kept] == [type(layer) for layer in dense]


@pytest.mark.parametrize("spatial", [False, True])
@pytest.mark.parametrize("side", [28, 64])
def test_every_leaf_is_called_once_in_order_and_relus_keep_their_input(side, spatial):
    code = (1, 4, 4, 4) if spatial else (1, 4)
    for module, given in (
        (backbone.encoder((1, side, side), 4, spatial), torch.zeros(1, 1, side, side)),
        (backbone.decoder((1, side, side), 4, spatial), torch.zeros(code)),
    ):
        called = leaves_in_call_order(module, given)
        assert [leaf for leaf, _ in called] == list(module)
        assert not any(leaf.inplace for leaf in module if isinstance(leaf, nn.ReLU))


def test_the_last_grid_is_64_by_4_by_4():
    for side in (28, 32, 64, 128):
        shapes = [
            tuple(shape) for _, shape in leaves_in_call_order(backbone.decoder((1, side, side), 4), torch.zeros(1, 4))
        ]
        assert (1, 64, 4, 4) in shapes
        shapes = [
            shape
            for leaf, shape in leaves_in_call_order(backbone.encoder((1, side, side), 4), torch.zeros(1, 1, side, side))
            if isinstance(leaf, nn.Flatten)
        ]
        assert math.prod(shapes[0]) == 64 * 4 * 4


def test_28_is_the_middle_of_32():
    torch.manual_seed(0)
    small, large = backbone.encoder((1, 28, 28), 4), backbone.encoder((1, 32, 32), 4)
    large.load_state_dict(small.state_dict())
    x = torch.rand(2, 1, 28, 28)
    framed = torch.zeros(2, 1, 32, 32)
    framed[:, :, 2:30, 2:30] = x
    assert torch.equal(small(x), large(framed))
    small, large = backbone.decoder((1, 28, 28), 4), backbone.decoder((1, 32, 32), 4)
    large.load_state_dict(small.state_dict())
    z = torch.randn(2, 4)
    assert torch.equal(small(z), large(z)[:, :, 2:30, 2:30])


@pytest.mark.parametrize("shape", [(1, 30, 30), (2, 64, 64), (1, 32, 64), (64, 0), "1x64x64", 64, (1, 64.0, 64.0)])
def test_other_shapes_are_refused_with_what_is_supported(shape):
    with pytest.raises(VaelensError, match=r"unsupported image shape .*1 or 3 channels, square, with side 8, 16, 28"):
        backbone.check_image_shape(shape)
