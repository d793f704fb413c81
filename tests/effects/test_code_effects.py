"""Codes one by one: against arithmetic by hand, a slow loop, and quantisers of other people's making."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

import vaelens as vl
from vaelens.effects import SCHEMAS
from vaelens.effects.code_changes import CodeGrid
from vaelens.effects.code_occurrences import occurrences
from vaelens.lens.adapters.quantisers import quantisation_of

SLOW = {"codes": 99, "images_each": 99, "alternative": "nearest", "progress": False}


def test_what_each_code_does_by_hand(coded):
    """Pixels are codes: code c at k of an image's four positions, replaced by its nearest e, moves it by |c − e| √k."""
    model = coded([[0.0], [0.25], [1.0], [9.0]])
    x = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]], [[[0.25, 1.0], [1.0, 1.0]]], [[[0.3, 0.2], [0.25, 0.25]]]]).double()
    effects = vl.code_effects(model.lens, x, **SLOW)
    assert effects.code.values.tolist() == [1, 2, 0]  # used 5, 4 and 3 times; code 3 by nobody
    assert effects["count"].values.tolist() == [5, 4, 3]
    np.testing.assert_allclose(effects.share, np.array([5, 4, 3]) / 12)
    assert effects.images.values.tolist() == [2, 2, 1]
    assert effects.nearest_code.values.tolist() == [0, 1, 1]
    np.testing.assert_allclose(effects.nearest_distance, [0.25, 0.75, 0.25])
    np.testing.assert_allclose(effects.effect, [0.25 * (1 + 2) / 2, 0.75 * (1 + 3**0.5) / 2, 0.25 * 3**0.5])
    np.testing.assert_allclose(effects.effect_once, [0.25, 0.75, 0.25])
    np.testing.assert_allclose(effects.reach, [0, 0, 0])
    # Where the swaps act: code 2 at the last pixel of both its images, at two others of one.
    np.testing.assert_allclose(effects.effect_map[1, 0], [[0, 0.375], [0.375, 0.75]])
    np.testing.assert_allclose(effects.occurrence[1], [0, 1 / 3, 1 / 3, 2 / 3])
    assert effects.row.values.tolist() == [0, 0, 1, 1]
    # The pixels 0.25 lie on code 1; of the two in the last image the first is kept.
    assert effects.exemplar_image[0].values.tolist() == [1, 2, -1, -1, -1, -1]
    assert effects.exemplar_position[0].values.tolist() == [0, 2, -1, -1, -1, -1]
    assert effects.attrs["codes"] == 4
    assert effects.attrs["codes_used"] == 3
    # Code 0 is put where others are: 0.25 or 1 away, code 1 lies 0.25 or 0.75 away from the others.
    assert 0.25 <= float(effects.effect_placed[2]) <= 1
    assert SCHEMAS["code_effects"].faults(effects) == []


def test_of_two_codes_in_use_one_takes_the_place_of_the_other(coded):
    model = coded([[0.0], [0.4], [1.0]])
    x = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]], [[[1.0, 1.0], [1.0, 1.0]]]]).double()
    drawn = vl.code_effects(model.lens, x, codes=[2, 0], progress=False)
    assert drawn.code.values.tolist() == [2, 0]
    np.testing.assert_allclose(drawn.effect, [(1 + 2) / 2, 3**0.5])
    np.testing.assert_allclose(drawn.effect_once, [1, 1])
    np.testing.assert_allclose(drawn.effect_placed, [1, 1])
    unused = vl.code_effects(model.lens, x, codes=[1], progress=False)
    assert np.isnan(unused.effect[0])
    assert float(unused["count"][0]) == 0
    assert 0.4 <= float(unused.effect_placed[0]) <= 0.6


def test_a_change_that_spreads_has_a_reach(coded):
    """Each pixel shows its own position's code and, as strongly, its neighbour's to the left."""
    w = np.eye(4)
    w[1, 0] = w[3, 2] = 1.0
    model = coded([[0.0], [1.0]], w=w)
    x = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0], [1.0, 0.0]]]]).double()
    effects = vl.code_effects(model.lens, x, codes=[1], progress=False)
    np.testing.assert_allclose(effects.effect_once, [2**0.5])
    np.testing.assert_allclose(effects.reach, [1])


def test_the_cells_of_a_grid_and_what_is_around_them():
    grid = CodeGrid((2, 2), (8, 6))
    assert grid.span(3) == [(4, 8), (3, 6)]
    assert grid.span(0, around=1) == [(-4, 8), (-3, 6)]
    distances = grid.distances(np.array([0]))
    assert int(distances[0, 3, 2]) == 0
    assert int(distances[0, 7, 2]) == 4
    assert int(distances[0, 4, 5]) == 3
    image = torch.arange(48.0).reshape(1, 1, 8, 6)
    patch = grid.patches(image, np.array([3]))[0, 0]
    assert patch.shape == (12, 9)
    np.testing.assert_array_equal(patch[:8, :6], image[0, 0])
    assert np.isnan(patch[8:]).all()
    assert not CodeGrid((4,), (8, 6)).fits
    assert not CodeGrid((), ()).fits


@pytest.mark.parametrize("memory_mb", [None, 0.02])
def test_the_slow_way_gives_the_same(vq_vae, memory_mb):
    """Every image and code by `lens.decode` of the codes themselves, whatever the chunks."""
    lens = vl.Lens(vq_vae(), memory_mb=memory_mb)
    x = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    effects = vl.code_effects(lens, x, **SLOW)
    indices, book = lens.code_indices(x), lens.codebook
    base = lens.decode(book[indices].movedim(-1, 1))
    for row, code in enumerate(effects.code.values.tolist()):
        takes = indices == code
        images = takes.flatten(1).any(dim=1)
        swapped = torch.where(takes, int(effects.nearest_code[row]), indices)
        change = (lens.decode(book[swapped].movedim(-1, 1)) - base)[images]
        assert float(effects.effect[row]) == pytest.approx(float(change.flatten(1).norm(dim=1).mean()), rel=1e-5)
        np.testing.assert_allclose(effects.effect_map[row], change.abs().mean(dim=0), rtol=1e-4, atol=1e-7)
        at = effects.exemplar_image[row, 0].item(), effects.exemplar_position[row, 0].item()
        distance = (lens.encode(x)[at[0]].flatten(1)[:, at[1]] - book[code]).norm()
        assert float(effects.exemplar_distance[row, 0]) == pytest.approx(float(distance), rel=1e-4, abs=1e-6)
    low, high = effects.effect_once_low, effects.effect_once_high
    assert ((low <= effects.effect_once + 1e-6) & (effects.effect_once <= high + 1e-6)).all()


def test_exemplars_are_the_nearest_whatever_the_chunks(vq_vae):
    x = torch.rand(9, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    found = [
        occurrences(lens, lens.batch(x), lens.codebook, 2)[1]
        for lens in (vl.Lens(vq_vae()), vl.Lens(vq_vae(), memory_mb=0.02))
    ]
    np.testing.assert_array_equal(found[0].image, found[1].image)
    np.testing.assert_array_equal(found[0].position, found[1].position)
    lens = vl.Lens(vq_vae())
    z, indices = lens.encode(x).flatten(2), lens.code_indices(x).flatten(1)
    for code, (first, second) in enumerate(found[0].distance):
        nearest = []
        for image, positions in enumerate(indices):
            inside = (positions == code).nonzero()[:, 0]
            if len(inside):
                nearest.append(float((z[image][:, inside] - lens.codebook[code][:, None]).norm(dim=0).min()))
        expected = sorted(nearest)[:2] + [np.nan] * 2
        np.testing.assert_allclose([first, second], expected[:2], rtol=1e-5, atol=1e-6)


def test_memory_does_not_hold_a_codebook_of_thousands_times_images(coded):
    """8,192 codes, of which the 5 most used are looked at."""
    codes = np.linspace(0, 1, 8192)[:, None]
    model = coded(codes, dtype=torch.float32)
    x = torch.rand(40, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    effects = vl.code_effects(model.lens, x, codes=5, progress=False)
    assert effects.sizes["code"] == 5
    assert effects.attrs["codes"] == 8192
    assert (np.diff(effects["count"]) <= 0).all()


class Quantised(nn.Module):
    """An encoder and a decoder around a quantiser of vector-quantize-pytorch."""

    def __init__(self, quantiser):
        super().__init__()
        torch.manual_seed(0)
        self.encoder, self.quantiser, self.decoder = nn.Conv2d(1, 3, 4, 4), quantiser, nn.ConvTranspose2d(3, 1, 4, 4)
        with torch.no_grad():
            self.encoder.weight.mul_(6)
            self.encoder.bias.zero_()

    def encode(self, x):
        return self.encoder(x - 0.5)

    def indices(self, z):
        return self.quantiser(z)[1]


def quantisers():
    from vector_quantize_pytorch import FSQ, LFQ, ResidualVQ, VectorQuantize

    def plain():
        quantiser = VectorQuantize(dim=3, codebook_size=8, accept_image_fmap=True)
        with torch.no_grad():
            quantiser.codebook.copy_(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
        return Quantised(quantiser.eval()), quantiser.codebook, None

    def finite():  # whose rule takes a code's own embedding to another code
        quantiser = FSQ(levels=[5, 5, 3], dim=3)
        model = Quantised(quantiser)
        return model, quantiser.implicit_codebook, model.indices

    def binary():
        quantiser = LFQ(codebook_size=8, dim=3)
        model = Quantised(quantiser.eval())
        return model, quantiser.codebook, model.indices

    def residual():  # whose codes are the sums of one code of each level
        quantiser = ResidualVQ(dim=3, num_quantizers=2, codebook_size=4).eval()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for level in quantiser.layers:
                level.codebook.copy_(torch.randn(4, 3, generator=generator))
        coarse, fine = quantiser.codebooks
        book = (coarse[:, None] + fine).flatten(0, 1)

        def indices(z):
            levels = quantiser(z.flatten(2).transpose(1, 2))[1]
            return (levels @ torch.tensor([4, 1])).view(len(z), *z.shape[2:])

        return Quantised(quantiser), book, indices

    return {"VectorQuantize": plain, "FSQ": finite, "LFQ": binary, "ResidualVQ": residual}


@pytest.mark.parametrize("name", ["VectorQuantize", "FSQ", "LFQ", "ResidualVQ"])
def test_quantisers_of_vector_quantize_pytorch(name):
    model, book, rule = quantisers()[name]()
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    lens = vl.Lens(
        model, model.encode, lambda z: model.decoder(z).sigmoid(), example=x[:2], codebook=book, quantise=rule
    )
    effects = vl.code_effects(lens, x, **SLOW)
    indices = lens.code_indices(x)
    assert (
        effects["count"].values.tolist()
        == sorted(indices.flatten().bincount().tolist(), reverse=True)[: len(effects.code)]
    )
    base = model.decoder(book[indices].movedim(-1, 1)).sigmoid()
    for row, code in enumerate(effects.code.values.tolist()):
        takes = indices == code
        swapped = torch.where(takes, int(effects.nearest_code[row]), indices)
        change = (model.decoder(book[swapped].movedim(-1, 1)).sigmoid() - base)[takes.flatten(1).any(dim=1)]
        expected = float(change.detach().flatten(1).norm(dim=1).mean())
        assert float(effects.effect[row]) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(effects.reach, 0)  # a decoder of one layer draws each position's own cell


@pytest.mark.parametrize("name", ["VectorQuantize", "FSQ", "LFQ", "ResidualVQ"])
def test_a_quantiser_itself_is_its_codes_and_its_rule(name):
    model, book, rule = quantisers()[name]()
    x = torch.rand(12, 1, 8, 8, generator=torch.Generator().manual_seed(3))
    parts = {"encode": model.encode, "decode": lambda z: model.decoder(z).sigmoid(), "example": x[:2]}
    model.quantiser.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}

    whole = vl.code_effects(vl.Lens(model, codebook=model.quantiser, **parts), x, **SLOW)

    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert model.quantiser.training
    model.quantiser.eval()
    xr.testing.assert_allclose(whole, vl.code_effects(vl.Lens(model, codebook=book, quantise=rule, **parts), x, **SLOW))


def more_quantisers():
    import vector_quantize_pytorch as package

    torch.manual_seed(0)
    return {
        "in a space of its own": package.VectorQuantize(dim=6, codebook_size=8, codebook_dim=3),
        "by cosine": package.VectorQuantize(dim=6, codebook_size=8, use_cosine_sim=True),
        "channels first": package.VectorQuantize(dim=6, codebook_size=8, channel_last=False),
        "FSQ, projected": package.FSQ(levels=[5, 3], dim=6),
        "FSQ, channels first": package.FSQ(levels=[5, 3], dim=6, channel_first=True),
        "LFQ, projected": package.LFQ(codebook_size=8, dim=6),
        "residual FSQ": package.ResidualFSQ(levels=[3, 3], num_quantizers=2, dim=6),
        "residual LFQ": package.ResidualLFQ(dim=6, codebook_size=8, num_quantizers=2),
        "SimVQ": package.SimVQ(dim=6, codebook_size=8),
        "channels first, projected": package.VectorQuantize(dim=6, codebook_size=8, codebook_dim=3, channel_last=False),
        "residual, of one level": package.ResidualVQ(dim=6, num_quantizers=1, codebook_size=4),
        "residual, of two sizes": package.ResidualVQ(dim=6, codebook_size=(4, 3)),
        "pictures first": package.VectorQuantize(dim=6, codebook_size=8, codebook_dim=3, accept_image_fmap=True),
        "volumes first": package.VectorQuantize(dim=6, codebook_size=8, accept_3d_fmap=True),
    }


@pytest.mark.parametrize("name", list(more_quantisers()))
def test_the_codes_of_a_quantiser_are_what_it_gives(name):
    quantiser = more_quantisers()[name].eval()
    shape = {"pictures first": (2, 2), "volumes first": (2, 1, 2)}.get(name, (4,))
    z = torch.randn(5, 6, *shape, generator=torch.Generator().manual_seed(1))
    first = "first" in name

    with torch.no_grad():
        expected = quantiser(z if first else z.transpose(1, 2))[0]
    found = quantisation_of(quantiser, None)(z)

    torch.testing.assert_close(found.embedding, expected if first else expected.transpose(1, 2))


def test_a_quantiser_whose_codes_cannot_be_told_is_refused_in_a_sentence():
    import vector_quantize_pytorch as package

    heads = package.VectorQuantize(dim=6, codebook_size=8, heads=2, separate_codebook_per_head=True)
    cases = [
        (heads, "VectorQuantize"),
        (package.ResidualVQ(dim=6, num_quantizers=8, codebook_size=1024), r"1024\^8 = 1,208,.* 65,536 can be listed"),
        (package.ResidualVQ(dim=6, codebook_size=(400, 300)), r"has 400 · 300 = 120,000 codes, of which 65,536"),
        (
            package.GroupedResidualVQ(dim=6, groups=2, num_quantizers=2, codebook_size=4),
            "codes of this Grouped.* listed",
        ),
        (torch.nn.Linear(2, 2), "codebook is a Linear; expected the codes"),
    ]
    for quantiser, sentence in cases:
        with pytest.raises(vl.VaelensError, match=sentence):
            quantisation_of(quantiser, None)

    untrained = package.VectorQuantize(dim=6, codebook_size=8, kmeans_init=True)
    before = {name: value.clone() for name, value in untrained.state_dict().items()}
    with pytest.raises(vl.VaelensError, match="not trained yet"):
        quantisation_of(untrained, None)
    assert all(torch.equal(value, before[name]) for name, value in untrained.state_dict().items())


def test_a_tokeniser_of_diffusers():
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = diffusers.VQModel(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(4, 4),
        latent_channels=3,
        num_vq_embeddings=16,
        norm_num_groups=2,
    )
    with torch.no_grad():
        model.quantize.embedding.weight.normal_()
    lens = vl.Lens(model.eval(), example=torch.rand(2, 1, 8, 8))
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    effects = vl.code_effects(lens, x, **SLOW)
    indices, code, other = lens.code_indices(x), int(effects.code[0]), int(effects.nearest_code[0])
    quantised = lens.codebook[torch.where(indices == code, other, indices)].movedim(-1, 1)
    before = lens.decode(lens.codebook[indices].movedim(-1, 1))
    change = (lens.decode(quantised) - before)[(indices == code).flatten(1).any(dim=1)]
    assert float(effects.effect[0]) == pytest.approx(float(change.flatten(1).norm(dim=1).mean()), rel=1e-4)
    assert effects.exemplar_patch.dims == ("code", "exemplar", "channel", "patch_height", "patch_width")


def test_what_is_refused_in_a_sentence(coded):
    model = coded([[0.0], [1.0]])
    x = torch.tensor([[[[0.0, 0.0], [0.0, 1.0]]]]).double()
    plain = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=2))
    cases = [
        (lambda: vl.code_effects(plain, torch.rand(2, 1, 16, 16)), "has no codebook, so it has no codes"),
        (lambda: vl.code_effects(model.lens, 0 * x), "take code 0, so none can be swapped"),
        (lambda: vl.code_effects(model.lens, x, codes=[0, 2]), r"indices from 0 to 1, such as"),
        (lambda: vl.code_effects(model.lens, x, codes=[0, 0]), "different indices"),
        (lambda: vl.code_effects(model.lens, x, codes="all"), "codes is 'all'"),
        (lambda: vl.code_effects(model.lens, x, codes=0), "codes is 0; expected a whole number"),
        (lambda: vl.code_effects(model.lens, x, images_each=0), "images_each is 0"),
        (lambda: vl.code_effects(model.lens, x, exemplars=-1), "exemplars is -1"),
        (lambda: vl.code_effects(model.lens, x, alternative="near"), "did you mean 'nearest'"),
        (lambda: vl.code_effects(model.lens, 3 * x), "images range from 0 to 3"),
    ]
    for refused, sentence in cases:
        with pytest.raises(vl.VaelensError, match=sentence):
            refused()
