"""Models that draw, mix, keep things or are cast: every sweep gives what runs give, and the model is left as it was."""

import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl

IMAGE = (1, 8, 8)


class Plain(nn.Module):
    """Eight hidden units each way and three latents, the third of which reaches nothing."""

    def __init__(self):
        super().__init__()
        self.h, self.m, self.d, self.o = nn.Linear(64, 8), nn.Linear(8, 3), nn.Linear(3, 8), nn.Linear(8, 64)
        with torch.no_grad():
            self.d.weight[:, 2] = 0

    def hidden(self, x):
        return torch.relu(self.h(x.flatten(1)))

    def encode(self, x):
        return self.m(self.hidden(x))

    def image(self, h):
        return torch.sigmoid(self.o(torch.relu(h))).view(-1, *IMAGE)

    def decode(self, z):
        return self.image(self.d(z))


class DrawingDecoder(Plain):
    def decode(self, z):
        h = self.d(z)
        return self.image(h + torch.randn_like(h))


class DrawingEncoder(Plain):
    def encode(self, x):
        return self.m(functional.dropout(self.hidden(x), 0.5, training=True))


class DrawsByNumPy(Plain):
    def decode(self, z):
        noise = np.random.standard_normal((len(z), 8))  # noqa: NPY002
        return self.image(self.d(z) + torch.from_numpy(noise).to(z))


class OwnGenerator(Plain):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(7)

    def decode(self, z):
        return self.image(self.d(z) + torch.randn(len(z), 8, generator=self.generator))


class BatchStatistics(Plain):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(8, track_running_stats=False)

    def decode(self, z):
        return self.image(self.norm(self.d(z)))


class Centred(Plain):
    def encode(self, x):
        h = self.hidden(x)
        return self.m(h - h.mean(dim=0))


class Branches(Plain):
    """One code far out decides for the whole batch."""

    def decode(self, z):
        return super().decode(z / z.norm(dim=1, keepdim=True) if z.abs().max() > 2.5 else z)


class ReadsAsArray(Plain):
    def decode(self, z):
        return super().decode(z * (2.0 if z.numpy().max() > 2.5 else 1.0))


class ReusedBuffer(Plain):
    def __init__(self):
        super().__init__()
        self.out = torch.zeros(4096, *IMAGE)

    def decode(self, z):
        self.out[: len(z)] = super().decode(z)
        return self.out[: len(z)]


class KeepsThings(Plain):
    """Assigns attributes, fills a list, a dictionary and a set, counts in a buffer, and registers a buffer."""

    def __init__(self):
        super().__init__()
        self.mean, self.history, self.cache, self.seen = None, [], {"of": []}, set()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("grid", None)

    def encode(self, x):
        self.mean = super().encode(x)
        self.history.append(self.mean)
        self.cache["of"].append(len(x))
        self.cache[len(x)] = self.mean
        self.seen.add(len(x))
        self.count += 1
        self.h.last = self.mean
        return self.mean

    def decode(self, z):
        if self.grid is None:
            self.grid = torch.ones(8)
        return self.image(self.d(z) * self.grid)


class InferenceMode(Plain):
    @torch.inference_mode()
    def encode(self, x):
        return super().encode(x)

    @torch.inference_mode()
    def decode(self, z):
        return super().decode(z)


class CastInside(Plain):
    def encode(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super().encode(x)

    def decode(self, z):
        with torch.autocast("cpu", torch.bfloat16):
            return super().decode(z)


COUPLED = [DrawingDecoder, DrawingEncoder, DrawsByNumPy, OwnGenerator, BatchStatistics, Centred, Branches, ReadsAsArray]
ODD = [*COUPLED, ReusedBuffer, KeepsThings, InferenceMode, CastInside]


def lens_on(kind, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind().eval()
    example = torch.rand(2, *IMAGE, generator=torch.Generator().manual_seed(1))
    return vl.Lens(model, model.encode, model.decode, example=example, **options)


def images(n, seed=2):
    return torch.rand(n, *IMAGE, generator=torch.Generator().manual_seed(seed))


def sizes(lens, x, edit):
    change = lens.run(x, edit).reconstruction - lens.run(x).reconstruction
    return float(change.flatten(1).double().norm(dim=1).mean())


@pytest.mark.parametrize("execution", ["auto", "hooks"])
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("n", [3, 70])
def test_sweeps_give_what_runs_give(kind, n, execution):
    lens, x, y = lens_on(kind, execution=execution), images(n), images(n, 3)
    share = 2e-2 if kind is CastInside else 1e-4
    effects = vl.latent_effects(lens, x, values=[-2.0, 3.0], progress=False)
    for latent in range(3):
        for k, value in enumerate((-2.0, 3.0)):
            expected = sizes(lens, x, vl.Set("latent", latent, value))
            assert float(effects.effect[latent, k]) == pytest.approx(expected, rel=share, abs=1e-6)
    if kind not in (Branches, ReadsAsArray):  # whose third latent decides for the others
        assert float(effects.ces[2]) < 1e-6
    source = lens.run(y, capture="all")
    patching = vl.patching_effects(lens, x, y, sites=["encoder.0", "decoder.0"], outcome="image", progress=False)
    for k, (site, index) in enumerate(zip(patching.site.values, patching["index"].values, strict=True)):
        if index in (0, 5):
            expected = sizes(lens, x, vl.Patch(str(site), int(index), source))
            assert float(patching.effect[k]) == pytest.approx(expected, rel=share, abs=1e-6)


@pytest.mark.parametrize("kind", COUPLED)
def test_a_lens_says_why_it_runs_whole_chunks(kind):
    assert "forward hooks, because " in repr(lens_on(kind))


def left(model):
    return {
        "mean": model.mean,
        "history": list(model.history),
        "cache": {key: list(value) if key == "of" else value for key, value in model.cache.items()},
        "seen": set(model.seen),
        "count": float(model.count),
        "grid": model.grid,
        "last": hasattr(model.h, "last"),
    }


def test_what_a_forward_keeps_on_the_model_is_put_back():
    lens = lens_on(KeepsThings)
    model = lens.module
    before = left(model)
    assert before == {"mean": None, "history": [], "cache": {"of": []}, "seen": set(), "count": 0.0, "grid": None} | {
        "last": False
    }
    vl.latent_effects(lens, images(5), progress=False)
    vl.patching_effects(lens, images(5), images(5, 3), progress=False)
    assert left(model) == before
    with torch.no_grad():
        model.encode(images(4))
    assert float(model.count) == 1
    kept = left(model)
    lens.run(images(6))
    assert {key: value is kept[key] for key, value in left(model).items() if key in ("mean", "grid")} == {
        "mean": True,
        "grid": True,
    }
    assert left(model)["count"] == 1
    assert model.h.last is model.mean


def test_what_a_forward_keeps_is_put_back_after_an_error():
    lens = lens_on(KeepsThings)
    before = left(lens.module)
    lens.module.o.register_forward_hook(lambda *call: (_ for _ in ()).throw(RuntimeError("no")))
    with pytest.raises(RuntimeError, match="no"):
        lens.run(images(2))
    assert left(lens.module) == before


def test_numbers_that_differ_each_time_are_refused():
    ticks = iter(range(10**6))

    class Clock(Plain):
        def decode(self, z):
            return super().decode(z + 1e-2 * next(ticks))

    with pytest.raises(vl.VaelensError, match="gives other values each time it is given the same images"):
        lens_on(Clock)


def test_an_autocast_around_the_call_does_not_reach_in():
    lens, x = lens_on(Plain), images(4)
    expected, effects = lens.run(x).reconstruction, vl.latent_effects(lens, x, progress=False)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(lens.run(x).reconstruction, expected)
        assert vl.latent_effects(lens, x, progress=False).identical(effects)


def test_a_replaced_forward_is_followed():
    lens, x = lens_on(Plain), images(4)
    old = lens.module.d.forward
    lens.module.d.forward = lambda z: 2 * old(z)
    expected = sizes(lens, x, vl.Set("latent", 0, 3.0))
    assert float(vl.latent_effects(lens, x, values=[3.0], progress=False).ces[0]) == pytest.approx(expected, rel=1e-5)
    assert "a module's forward has been replaced" in lens.execution["decoder"]
    anew = vl.Lens(lens.module, lens.module.encode, lens.module.decode, example=x)
    assert float(vl.latent_effects(anew, x, values=[3.0], progress=False).ces[0]) == pytest.approx(expected, rel=1e-5)
    lens.module.d.forward = old


def test_runs_in_two_threads_are_those_of_one():
    lenses = [lens_on(DrawingDecoder), lens_on(Plain)]
    lenses.append(lenses[1])
    x, edits = images(6), [vl.Set("latent", 0, 2.0), vl.Ablate("decoder.0", [0, 1]), vl.Add("latent", 1, 1.0)]
    expected = [lens.run(x, edit).reconstruction for lens, edit in zip(lenses, edits, strict=True)]
    lenses[1].module.train()
    before, wrong = torch.get_rng_state(), []

    def work(k):
        wrong.extend(k for _ in range(60) if not torch.equal(lenses[k].run(x, edits[k]).reconstruction, expected[k]))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert lenses[1].module.training
    assert torch.equal(torch.get_rng_state(), before)


def test_another_default_type_changes_nothing():
    lens, x = lens_on(Plain), images(4)
    expected = vl.latent_effects(lens, x, progress=False)
    torch.set_default_dtype(torch.float64)
    try:
        effects = vl.latent_effects(lens_on_with(lens.module), x, progress=False)
        vl.patching_effects(lens_on_with(lens.module), x[:2], x[2:], progress=False)
        vl.mediation_effects(lens_on_with(lens.module), x[:2], x[2:], "latent", progress=False)
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_allclose(effects.ces, expected.ces, rtol=1e-5)


def lens_on_with(model):
    return vl.Lens(model, model.encode, model.decode, example=images(2))


class Tied(nn.Module):
    """Its decoder is the encoder's weights, transposed: no module runs in it."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 16), nn.Linear(16, 3)

    def encode(self, x):
        return self.b(torch.tanh(self.a(x.flatten(1))))

    def decode(self, z):
        h = torch.tanh(functional.linear(z, self.b.weight.t()))
        return torch.sigmoid(functional.linear(h, self.a.weight.t())).view(-1, *IMAGE)


def test_latents_have_effects_where_the_decoder_has_no_sites():
    lens, x = lens_on(Tied), images(5)
    assert list(lens.sites) == ["encoder.0", "latent"]
    effects = vl.latent_effects(lens, x, values=[2.0], progress=False)
    for latent in range(3):
        expected = sizes(lens, x, vl.Set("latent", latent, 2.0))
        assert float(effects.ces[latent]) == pytest.approx(expected, rel=1e-5)


def test_an_output_that_nobody_uses_is_no_obstacle():
    model = nn.ModuleDict({"mu": nn.Linear(64, 4), "lv": nn.Linear(64, 4), "dec": nn.Linear(4, 64)})
    encode = lambda x: (model["mu"](x.flatten(1)), model["lv"](x.flatten(1)))[0] * 1.0  # noqa: E731
    lens = vl.Lens(model, encode, lambda z: torch.sigmoid(model["dec"](z)).view(-1, *IMAGE), example=images(4))
    assert "mu" in repr(lens)
    assert vl.patching_effects(lens, images(3), images(3, 4), progress=False).sizes["unit"] > 0


class Tokens(nn.Module):
    """Attention over the tokens that a code is laid out as; inside, the images lie on the second axis."""

    def __init__(self, blocks):
        super().__init__()
        self.m, self.up, self.out = nn.Linear(64, 3), nn.Linear(3, 64), nn.Linear(8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False) if blocks else None

    def encode(self, x):
        return self.m(x.flatten(1))

    def decode(self, z):
        h = torch.relu(self.up(z)).view(-1, 8, 8)
        h = torch.relu(self.attention(h, h, h)[0]) if self.blocks is None else self.blocks(h)
        return torch.sigmoid(self.out(h)).view(-1, *IMAGE)


@pytest.mark.parametrize("blocks", [False, True])
def test_sweeps_through_attention_are_those_by_hooks(blocks):
    torch.manual_seed(0)
    model, base, source = Tokens(blocks), images(5), images(5, 1)
    by_steps, by_hooks = (
        vl.Lens(model, model.encode, model.decode, example=images(2), execution=execution)
        for execution in ("auto", "hooks")
    )
    assert "decoder by torch" in repr(by_steps)
    ours, theirs = (vl.patching_effects(lens, base, source, progress=False) for lens in (by_steps, by_hooks))
    np.testing.assert_allclose(ours.effect, theirs.effect, atol=1e-5)
    paths = [vl.path_effects(lens, base, source, "latent", "decoder.0") for lens in (by_steps, by_hooks)]
    np.testing.assert_allclose(*(effects.effect for effects in paths), atol=1e-5)
