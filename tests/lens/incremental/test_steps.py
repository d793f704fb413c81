"""What user code does inside a part: either right as steps, or refused with the reason and right under hooks."""

import math
from collections import namedtuple

import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl
from vaelens.lens.regions import Region

# TorchScript is on its way out, but there are models of it.
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

HOOKS = "forward hooks, because "
Pair = namedtuple("Pair", ["mean", "logvar"])


def encoder_of(forward, **modules):
    """Builds the encoder of three latents that `forward` makes of itself and the images."""

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(16, 8), nn.Linear(8, 3)
            self.register_buffer("seen", torch.zeros(()))
            for name, make in modules.items():
                setattr(self, name, make())

        def forward(self, x):
            return forward(self, x)

    return Encoder


class FlattenDouble(nn.Module):
    def forward(self, x):
        return 2 * x.flatten(1)


class View(nn.Module):
    def forward(self, x):
        return x.view(x.size(0), -1)


class Both(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = nn.Linear(8, 8)

    def forward(self, x):
        return Pair(self.inside(x), x)


def first(self, x):
    return self.a(x.flatten(1))


def block():
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU())


def grids(channels=2):
    return lambda: nn.Conv2d(1, channels, 3, 1, 1)


# Writing over


def unused_relu_(self, x):
    h = first(self, x)
    functional.relu_(h)
    return self.b(h)


def added_in_place(self, x):
    h = first(self, x)
    h += 1
    return self.b(h)


def view_written_over(self, x):
    h = first(self, x)
    h.view(-1).mul_(2)
    return self.b(h)


def columns_set(self, x):
    h = first(self, x)
    h[:, :2] = 0
    return self.b(h)


def chunk_written_over(self, x):
    left, right = first(self, x).chunk(2, 1)
    left.add_(1)
    return self.b(torch.cat([left, right], 1))


def same_chunk_twice(self, x):
    halves = first(self, x).chunk(2, 1)
    halves[0].mul_(3)
    return self.b(torch.cat([halves[0], halves[1]], 1))


def input_written_over(self, x):
    return self.b(self.a(x.mul_(2).sub_(1).flatten(1)))


def out_in_place(self, x):
    return self.b(self.act(first(self, x)))


def buffer_written(self, x):
    self.seen.add_(1)
    return self.b(first(self, x))


# Shapes


def sized_view(self, x):
    return self.b(self.a(x.view(x.shape[0], -1)))


def unpacked(self, x):
    b, c, h, w = x.shape
    return self.b(self.a(x.reshape(b, c * h * w)))


def indexed(self, x):
    return self.b(first(self, x)[torch.arange(x.size(0))])


def with_zeros(self, x):
    return self.b(first(self, x) + torch.zeros(x.size(0), 8))


def cells_as_rows(self, x):
    rows = self.c(x).permute(0, 2, 3, 1).reshape(-1, 2)
    return self.b(self.a(rows.tanh().reshape(x.shape[0], -1)[:, :16]))


def time_first(self, x):
    return self.b(self.a(self.t(x.squeeze(1).permute(1, 0, 2)).permute(1, 0, 2).flatten(1)))


def tokens_in_a_row(self, x):
    return self.b(self.o(self.t(x.squeeze(1)).flatten(1)))


def scaled_by_shape(self, x):
    return self.b(first(self, x) / math.sqrt(x.shape[-1]))


def new_layer(self, x):
    return self.b(self.a(self.new_layer(self.c(x)).flatten(1)))


def flatten_double(self, x):
    return self.b(self.o(self.f(self.c(x))))


def viewed_grid(self, x):
    h = self.c(x)
    return self.b(self.o(h.view(h.size(0), -1)))


def a_view_module(self, x):
    return self.b(self.o(self.f(self.d(self.c(x)))))


def by_kind(self, x):
    return self.b(first(self, x) if isinstance(x, torch.Tensor) else x["image"])


# Several values


def named_pair(self, x):
    h = first(self, x)
    return Pair(self.b(h), self.b(h).tanh())


def pair_inside(self, x):
    mean, skip = self.p(first(self, x))
    return self.b(mean + skip)


def state_of_a_recurrent(self, x):
    out, (h, _) = self.r(x.squeeze(1))
    return self.b(out[:, -1] + h[-1])


# Random numbers


def noisy(self, x):
    h = first(self, x)
    return self.b(h + torch.randn_like(h))


def noisy_by_size(self, x):
    return self.b(first(self, x) + torch.randn(x.shape[0], 8))


def one_noise_for_all(self, x):
    return self.b(first(self, x) + torch.randn(8))


def drawn_in_vain(self, x):
    h = first(self, x)
    torch.randn_like(h)
    return self.b(h + torch.randn_like(h))


def noise_in_pieces(self, x):
    return self.b(first(self, x) + torch.randn(2 * x.shape[0], 4).view(-1, 8))


def always_dropped(self, x):
    return self.b(functional.dropout(first(self, x), training=True))


def coins(self, x):
    return self.b(torch.bernoulli(torch.sigmoid(first(self, x))))


# Mixing


def centred(self, x):
    h = first(self, x)
    return self.b(h - h.mean(0))


def softmax_over_images(self, x):
    return self.b(first(self, x).softmax(0))


def summed_so_far(self, x):
    return self.b(first(self, x).cumsum(0))


def by_value(self, x):
    return self.b(first(self, x) if x.mean() > 0 else -first(self, x))


def through_a_block(self, x):
    return self.b(self.p(first(self, x)))


def one_is_special(self, x):
    return self.b(first(self, x)).unsqueeze(0).squeeze()


CONV = {"c": grids(), "o": lambda: nn.Linear(32, 8)}
RIGHT = [
    (unused_relu_, {}, "torch.fx"),
    (added_in_place, {}, "torch.fx"),
    (view_written_over, {}, "torch.export"),
    (columns_set, {}, "torch.export"),
    (chunk_written_over, {}, "torch.export"),
    (same_chunk_twice, {}, "torch.export"),
    (input_written_over, {}, "torch.fx"),
    (out_in_place, {"act": lambda: nn.ReLU(inplace=True)}, "torch.fx"),
    (sized_view, {}, "torch.fx"),
    (unpacked, {}, "torch.fx"),
    (indexed, {}, "torch.fx"),
    (with_zeros, {}, "torch.export"),
    (cells_as_rows, {"c": grids()}, "torch.fx"),
    (tokens_in_a_row, {"t": lambda: nn.Linear(4, 8), "o": lambda: nn.Linear(32, 8)}, "torch.fx"),
    (scaled_by_shape, {}, "torch.fx"),
    (new_layer, {"c": grids(), "new_layer": lambda: nn.Conv2d(2, 1, 3, 1, 1)}, "torch.fx"),
    (flatten_double, {**CONV, "f": FlattenDouble}, "torch.fx"),
    (viewed_grid, CONV, "torch.fx"),
    (a_view_module, {**CONV, "d": lambda: nn.Conv2d(2, 2, 3, 1, 1), "f": View}, "torch.fx"),
    (by_kind, {}, "torch.export"),
    (named_pair, {}, "torch.fx"),
    (pair_inside, {"p": Both}, "torch.fx"),
    (through_a_block, {"p": lambda: torch.compile(block())}, "torch.export"),
]
DRAWS = "it draws random numbers"
MIXES = "what it makes of an image depends on the others of its batch"
READS = "its code reads values of its input, so that one row may decide for all of a batch"
REFUSED = [
    (time_first, {"t": lambda: nn.Linear(4, 4)}, "the images lie behind another axis at encoder.0"),
    (buffer_written, {}, "writes to a parameter or buffer"),
    (state_of_a_recurrent, {"r": lambda: nn.LSTM(4, 8, batch_first=True)}, "has no row an image"),
    (noise_in_pieces, {}, DRAWS),
    (always_dropped, {}, DRAWS),
    (coins, {}, DRAWS),
    (noisy, {}, DRAWS),
    (noisy_by_size, {}, DRAWS),
    (one_noise_for_all, {}, DRAWS),
    (drawn_in_vain, {}, DRAWS),
    (centred, {}, MIXES),
    (softmax_over_images, {}, MIXES),
    (summed_so_far, {}, MIXES),
    (by_value, {}, READS),
    (one_is_special, {}, MIXES),
    (through_a_block, {"p": lambda: torch.jit.script(block())}, "ScriptModule"),
]


def names(cases):
    return [case[0].__name__ for case in cases]


def few_units(units):
    return lambda site: [Region((k,)) for k in units(site.units, 4)]


def check_twice(lens, x, y, every):
    """That running again gives the same bits a second time, and leaves what is kept as it was."""
    sites = [*lens.sites.of("encoder"), "latent"]
    sources = lens.run(y, capture=sites).activations
    replay = lens.engine.cached_run(x, sites)
    kept = {step: value.clone() for step, value in replay._encoder.values.items() if isinstance(value, torch.Tensor)}
    for site in sites:
        groups = [Region((k,)) for k in range(lens.sites[site].units)]
        before, after = (every(replay, site, groups, sources[site], "image") for _ in range(2))
        assert torch.equal(before, after)
    assert all(torch.equal(replay._encoder.values[step], value) for step, value in kept.items())


@pytest.mark.parametrize(("forward", "modules", "way"), RIGHT, ids=names(RIGHT))
def test_steps_give_what_whole_runs_give(forward, modules, way, small_lens, pictures, exchanges, units, every):
    lens, before = small_lens(encoder_of(forward, **modules)), pictures.clone()
    assert lens.execution["encoder"] == way
    exchanges(lens, *pictures, few_units(units))
    check_twice(lens, *pictures, every)
    assert torch.equal(pictures, before)


@pytest.mark.parametrize(("forward", "modules", "reason"), REFUSED, ids=names(REFUSED))
def test_the_rest_runs_under_hooks_and_says_why(
    forward, modules, reason, small_lens, pictures, exchanges, units, every
):
    lens = small_lens(encoder_of(forward, **modules))
    assert lens.execution["encoder"].startswith(HOOKS)
    assert reason in lens.execution["encoder"]
    assert lens.execution["decoder"] == "torch.fx"
    exchanges(lens, *pictures, few_units(units))
    check_twice(lens, *pictures, every)


@pytest.mark.parametrize("case", [*RIGHT, *REFUSED], ids=names([*RIGHT, *REFUSED]))
def test_hooks_that_were_asked_for_give_the_same(case, small_lens, pictures, exchanges, units):
    lens, before = small_lens(encoder_of(case[0], **case[1]), execution="hooks"), pictures.clone()
    assert lens.execution["encoder"] in {f"{HOOKS}{reason}" for reason in ("they were asked for", DRAWS, MIXES, READS)}
    exchanges(lens, *pictures, few_units(units))
    lens.engine.encode(pictures[0])
    assert torch.equal(pictures, before)


def test_what_torch_says_when_it_gives_up_is_in_the_reason_alone(small_lens, capfd):
    lens = small_lens(encoder_of(through_a_block, p=lambda: torch.jit.script(block())))
    assert "torch.export can't follow it" in lens.execution["encoder"]
    assert capfd.readouterr() == ("", "")


def test_noise_is_that_of_a_whole_run(small_lens, pictures):
    lens = small_lens(encoder_of(noisy))
    for _ in range(2):  # the first of them also measures the forms
        torch.testing.assert_close(lens.engine.cached_run(pictures[0]).code, lens.run(pictures[0]).code)
    quiet = small_lens(encoder_of(lambda self, x: self.b(first(self, x))))
    assert float((lens.run(pictures[0]).code - quiet.run(pictures[0]).code).abs().min()) > 0


def test_another_path_of_python_is_noticed(small_lens, pictures, monkeypatch):
    def switched(self, x):
        h = first(self, x)
        return self.b(-h if self.turned else h)

    monkeypatch.setattr("vaelens.lens.trust._SECONDS", 0.0)
    monkeypatch.setattr("vaelens.lens.trust._SHARE", 0)
    lens = small_lens(encoder_of(switched, turned=lambda: False))
    lens.engine.cached_run(pictures[0])
    lens.module["e"].turned = True
    with pytest.raises(vl.VaelensError, match="gives other values than when its sites were found"):
        lens.engine.cached_run(pictures[0])


@pytest.mark.parametrize(("share", "looks"), [(0, 4), (10**6, 1)])  # at two images, and at one alone
def test_a_model_that_takes_long_is_looked_at_seldom(small_lens, pictures, monkeypatch, share, looks):
    ran = []

    def counted(self, x):
        ran.append(type(x))
        return self.b(first(self, x))

    monkeypatch.setattr("vaelens.lens.trust._SECONDS", 0.0)
    monkeypatch.setattr("vaelens.lens.trust._SHARE", share)
    lens = small_lens(encoder_of(counted))
    assert lens.execution["encoder"] == "torch.fx"  # whose steps run none of this
    ran.clear()
    for _ in range(4):
        lens.engine.cached_run(pictures[0])
    assert len(ran) == 2 * looks


def test_a_replaced_module_is_noticed(small_lens, pictures):
    lens = small_lens(encoder_of(added_in_place))
    lens.module["e"].a = nn.Linear(16, 8)
    with pytest.raises(vl.VaelensError, match=r"e\.a of ModuleDict is another module than when its sites were found"):
        lens.engine.cached_run(pictures[0])


@pytest.mark.parametrize("when", ["before", "after"])
def test_hooks_of_the_user_have_their_effect(when, small_lens, pictures, exchanges, units):
    plain = small_lens(encoder_of(out_in_place, act=nn.Tanh)).run(pictures[0]).code

    def made():
        encoder = encoder_of(out_in_place, act=nn.Tanh)()
        if when == "before":
            encoder.a.register_forward_hook(lambda *call: 2 * call[2])
        return encoder

    lens = small_lens(made)
    if when == "after":
        assert lens.execution["encoder"] == "torch.fx"
        lens.module["e"].a.register_forward_hook(lambda *call: 2 * call[2])
    assert lens.execution["encoder"] == f"{HOOKS}a module has hooks of its own"
    exchanges(lens, *pictures, few_units(units))
    replayed = lens.engine.cached_run(pictures[0]).code
    torch.testing.assert_close(replayed, lens.run(pictures[0]).code)
    assert float((replayed - plain).abs().min()) > 1e-4


@pytest.mark.parametrize(("size", "kind"), [(8, "Tensor"), (1024, "FakeTensor")])
def test_of_what_a_small_latent_becomes_in_a_large_image_only_shapes_are_followed(size, kind):
    given = []

    class Enlarged(nn.Module):
        def forward(self, x):
            given.append((type(x).__name__, len(x)))
            return functional.interpolate(x, (size, size))

    model = nn.ModuleDict(
        {
            "e": nn.Sequential(nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(9, 9)),
            "d": nn.Sequential(nn.Linear(9, 9), nn.Unflatten(1, (9, 1, 1)), Enlarged()),
        }
    )
    lens = vl.Lens(
        model,
        lambda x: model["e"](x),
        lambda z: model["d"](z).mean(1, keepdim=True),
        torch.rand(2, 1, size, size),
    )
    assert lens.execution["decoder"] == "torch.fx"
    assert {name for name, images in given if images > 3} == {kind}  # three are run once, with nothing kept
