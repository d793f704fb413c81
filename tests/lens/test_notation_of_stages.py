"""What belongs to a stage in one notation belongs to it in every other, and the stage's activation is known."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import vaelens as vl

X, Y = torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(1))


class View(nn.Module):
    """A reshape as many models have it, as a module of their own."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.view(x.shape[0], *self.shape)


class ChannelsFirst(nn.Module):
    def forward(self, x):
        return x.permute(0, 3, 1, 2)


def network(middle, last=torch.sigmoid, channels=4, heads=None, **modules):
    """A VAE with something between its decoder's dense layer and its convolutions, and something at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.ModuleDict(
            {
                "c": nn.Conv2d(1, 4, 4, 2, 1),
                "m": nn.Linear(256, 6),
                "d": nn.Linear(3, 64),
                "t": nn.ConvTranspose2d(channels, 4, 4, 2, 1),
                "o": nn.ConvTranspose2d(4, 1, 4, 2, 1),
                **modules,
            }
        )
    heads = heads or (lambda h: h.chunk(2, 1))

    def encode(x):
        return heads(model["m"](functional.relu(model["c"](x)).flatten(1)))

    def decode(z):
        return last(model["o"](functional.relu(model["t"](middle(model["d"](z))))))

    return vl.Lens(model, encode, decode, example=X[:2])


def shapes(lens):
    return {name: site.shape for name, site in lens.sites.items()}


def module(build):
    made = build()
    return made, {"made": made}


KEPT = {
    "own view": (lambda h: torch.relu(View(4, 4, 4)(h)), lambda: nn.Sequential(View(4, 4, 4), nn.ReLU())),
    "row first": (
        lambda h: h.reshape(h.shape[0], -1).view(-1, 4, 4, 4).relu(),
        lambda: nn.Sequential(nn.Flatten(), nn.Unflatten(1, (4, 4, 4)), nn.ReLU()),
    ),
    "pooling of stride 1": (
        lambda h: functional.max_pool2d(h.view(-1, 4, 4, 4), 3, 1, 1),
        lambda: nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.MaxPool2d(3, 1, 1)),
    ),
    "to the same size": (
        lambda h: functional.interpolate(h.view(-1, 4, 4, 4), size=(4, 4)).relu(),
        lambda: nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.Upsample(size=(4, 4)), nn.ReLU()),
    ),
    "shuffled": (
        lambda h: functional.channel_shuffle(h.view(-1, 4, 4, 4), 2),
        lambda: nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.ChannelShuffle(2)),
    ),
    "normalised": (
        lambda h: functional.local_response_norm(h.view(-1, 4, 4, 4), 2, 1.0),
        lambda: nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.LocalResponseNorm(2, 1.0)),
    ),
    "expit": (
        lambda h: torch.special.expit(h).view(-1, 4, 4, 4),
        lambda: nn.Sequential(nn.Sigmoid(), nn.Unflatten(1, (4, 4, 4))),
    ),
    "copied": (
        lambda h: h.clone().view(-1, 4, 4, 4).relu(),
        lambda: nn.Sequential(nn.Unflatten(1, (4, 4, 4)), nn.ReLU()),
    ),
}


@pytest.mark.parametrize("case", list(KEPT))
def test_what_a_module_keeps_a_function_keeps(case):
    function, build = KEPT[case]
    made, modules = module(build)
    lenses = [network(function), network(made, **modules)]
    for lens in lenses:
        assert shapes(lens)["decoder.0"] == (4, 4, 4)
        code = lens.encode(X)
        seen = lens.run(X, capture="decoder.0").activations["decoder.0"]
        torch.testing.assert_close(seen, function(lens_dense(lens)(code)))
        assert "forward hooks" not in str(lens.execution)
    assert lenses[0].sites == lenses[1].sites
    for method in ("patch", "mean"):
        first, second = (vl.patching_effects(lens, X, Y, method=method, progress=False).effect for lens in lenses)
        torch.testing.assert_close(torch.tensor(first.values), torch.tensor(second.values), rtol=1e-5, atol=1e-6)


def lens_dense(lens):
    return lens.module.get_submodule("d")


@pytest.mark.parametrize(
    "axes",
    [lambda h: h[:, :, None, None], lambda h: h.unsqueeze(-1).unsqueeze(-1), lambda h: h.view(-1, 64, 1, 1)],
    ids=["none", "unsqueeze", "view"],
)
def test_units_that_are_given_axes_of_positions_stay_in_their_stage(axes):
    lens = network(
        lambda h: functional.interpolate(torch.relu(axes(h)), scale_factor=4).clone(),
        channels=64,
    )
    assert shapes(lens)["decoder.0"] == (64, 1, 1)
    assert float(lens.run(X, capture="decoder.0").activations["decoder.0"].min()) == 0, "behind the nonlinearity"


@pytest.mark.parametrize(
    "middle",
    [
        lambda h: h.view(-1, 4, 4, 4).permute(0, 3, 1, 2),
        lambda h: h.relu().reshape(-1, 4, 4, 4).movedim(-1, 1),
        lambda h: h.view(-1, 4, 4, 4).relu().permute(0, 3, 1, 2),
        lambda h: ChannelsFirst()(h.view(-1, 4, 4, 4)),
        lambda h: h.view(-1, 16, 4).transpose(1, 2).reshape(-1, 4, 4, 4),
    ],
)
def test_channels_that_come_last_are_not_taken_for_positions(middle):
    """Behind the batch lie rows of positions there, which are no units: the site is the dense layer's neurons."""
    assert shapes(network(middle))["decoder.0"] == (64,)


@pytest.mark.parametrize(
    "heads",
    [
        lambda h: h.chunk(2, 1),
        lambda h: [part.contiguous() for part in h.chunk(2, 1)],
        lambda h: [part.clone() for part in h.split(3, dim=1)],
        lambda h: h.double().float().chunk(2, 1),
        lambda h: (h[:, [0, 1, 2]], h[:, [3, 4, 5]]),
        lambda h: h.view(-1, 2, 3).unbind(1),
    ],
)
def test_a_copy_of_the_encoder_s_result_is_no_site(heads):
    lens = network(lambda h: h.relu().view(-1, 4, 4, 4), heads=heads)
    assert list(lens.sites)[:2] == ["encoder.0", "latent"]
    assert lens.sites["m"].name == "latent"


@pytest.mark.parametrize(
    "last",
    [
        lambda h: h[:, :, 2:14, 2:14].sigmoid(),
        lambda h: h.narrow(2, 2, 12).narrow(3, 2, 12).sigmoid(),
        lambda h: functional.pad(h, (-2, -2, -2, -2)).sigmoid_(),
        lambda h: functional.interpolate(h.sigmoid(), size=(12, 12)),
    ],
)
def test_the_last_site_is_the_image_after_functions_too(last):
    x = X[:, :, 2:14, 2:14]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.ModuleDict({"m": nn.Linear(144, 3), "d": nn.Linear(3, 64), "o": nn.ConvTranspose2d(1, 1, 2, 2)})
    lens = vl.Lens(
        model,
        lambda x: model["m"](x.flatten(1)),
        lambda z: last(model["o"](model["d"](z).view(-1, 1, 8, 8))),
        example=x[:2],
    )
    run = lens.run(x, capture="decoder.1")
    assert shapes(lens)["decoder.1"] == (1, 12, 12)
    assert torch.equal(run.activations["decoder.1"], run.reconstruction)


def test_pixels_are_shuffled_into_the_last_site():
    lens = network(
        lambda h: h.relu().view(-1, 4, 4, 4),
        lambda h: torch.sigmoid(functional.pixel_shuffle(h, 2)),
        o=nn.Conv2d(4, 4, 3, 1, 1),
    )
    run = lens.run(X, capture="decoder.2")
    assert shapes(lens)["decoder.2"] == (1, 16, 16)
    assert torch.equal(run.activations["decoder.2"], run.reconstruction)


def test_a_gate_written_out_at_the_end_is_no_part_of_the_last_site():
    """The site is what both branches are given, so that setting it sets the image to 0.5 · sigmoid(0.5)."""
    lens = network(lambda h: h.relu().view(-1, 4, 4, 4), lambda h: torch.sigmoid(h) * h)
    image = lens.run(X, vl.Set("decoder.2", 0, 0.5)).reconstruction
    torch.testing.assert_close(image, torch.full_like(image, 0.5 / (1 + 2.718281828459045**-0.5)))


def plus(a, b):
    return torch.relu(a + b)


def iadd(a, b):
    a += b
    return torch.relu(a)


def in_place_throughout(a, b):
    return a.add_(b).relu_()


def then_a_module(a, b):
    a += b
    return nn.functional.relu(a)


@pytest.mark.parametrize("execution", ["auto", "hooks"])
@pytest.mark.parametrize("add", [plus, iadd, in_place_throughout, then_a_module, "module"])
def test_a_sum_written_over_a_layer_s_output_is_no_part_of_its_stage(add, execution):
    """Of h = b(x); h += x; relu(h) the site is b(x), as of relu(b(x) + x)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.ModuleDict(
            {"m": nn.Linear(256, 3), "d": nn.Linear(3, 8), "b": nn.Linear(8, 8), "o": nn.Linear(8, 256)}
        )
    model["relu"] = nn.ReLU()

    def with_module(a, b):
        a += b
        return model["relu"](a)

    def decode(z):
        x = torch.tanh(model["d"](z))
        h = (with_module if add == "module" else add)(model["b"](x), x)
        return torch.sigmoid(model["o"](h)).view(-1, 1, 16, 16)

    lens = vl.Lens(model, lambda x: model["m"](x.flatten(1)), decode, example=X[:2], execution=execution)
    z = lens.encode(X)
    x = torch.tanh(model["d"](z))
    run = lens.run(X, vl.Set("decoder.1", "all", 0.25), capture="decoder.1")
    torch.testing.assert_close(lens.run(X, capture="decoder.1").activations["decoder.1"], model["b"](x))
    expected = torch.sigmoid(model["o"](torch.relu(x + 0.25))).view(-1, 1, 16, 16)
    torch.testing.assert_close(run.reconstruction, expected)


def test_a_sum_is_no_part_of_a_stage_in_a_model_s_own_inference_mode():
    """No version tells there that something was written over an output."""
    model = nn.ModuleDict({"m": nn.Linear(256, 3), "d": nn.Linear(3, 8), "b": nn.Linear(8, 8), "o": nn.Linear(8, 256)})

    def decode(z):
        with torch.inference_mode():
            x = torch.tanh(model["d"](z))
            h = model["b"](x)
            h += x
            return torch.sigmoid(model["o"](h.relu())).view(-1, 1, 16, 16)

    lens = vl.Lens(model, lambda x: model["m"](x.flatten(1)), decode, example=X[:2])
    seen = lens.run(X, capture="decoder.1").activations["decoder.1"]
    torch.testing.assert_close(seen, model["b"](torch.tanh(model["d"](lens.encode(X)))))


@pytest.mark.parametrize("execution", ["torch.fx", "torch.export", "hooks"])
def test_a_function_that_is_given_its_input_by_name_belongs_to_its_stage(execution):
    model = nn.ModuleDict({"m": nn.Linear(256, 3), "d": nn.Linear(3, 8), "o": nn.Linear(8, 256)})
    lens = vl.Lens(
        model,
        lambda x: model["m"](x.flatten(1)),
        lambda z: torch.sigmoid(model["o"](functional.softplus(input=model["d"](z)))).view(-1, 1, 16, 16),
        example=X[:2],
        execution=execution,
    )
    assert lens.execution["decoder"].startswith(execution if execution != "hooks" else "forward hooks")
    base, source = (functional.softplus(model["d"](lens.encode(x))) for x in (X, Y))
    torch.testing.assert_close(lens.run(X, capture="decoder.0").activations["decoder.0"], base)
    base[:, 2] = source[:, 2]
    change = torch.sigmoid(model["o"](base)) - lens.reconstruct(X).flatten(1)
    effects = vl.patching_effects(lens, X, Y, sites="decoder.0", progress=False)
    assert float(effects.effect[2]) == pytest.approx(change.norm(dim=1).mean().item(), rel=1e-4)


@pytest.mark.parametrize("execution", ["torch.fx", "torch.export", "hooks"])
@pytest.mark.parametrize("later", [True, False])
@pytest.mark.parametrize(
    "same",
    [
        lambda h: h.float(),
        lambda h: h.contiguous(),
        lambda h: h.to(torch.float32),
        lambda h: functional.dropout(h, 0.5, training=False),
    ],
)
def test_what_a_function_hands_on_as_it_is_is_changed_for_its_other_readers_too(same, later, execution):
    model = nn.ModuleDict(
        {"m": nn.Linear(256, 3), "d": nn.Linear(3, 8), "o": nn.Linear(8, 256), "p": nn.Linear(8, 256)}
    )

    def ends(h):
        first, second = (same(h), h) if later else (h, same(h))
        return torch.sigmoid(model["o"](first) + model["p"](second)).view(-1, 1, 16, 16)

    lens = vl.Lens(
        model, lambda x: model["m"](x.flatten(1)), lambda z: ends(model["d"](z)), example=X[:2], execution=execution
    )
    assert lens.execution["decoder"].startswith(execution if execution != "hooks" else "forward hooks")
    base, source = (model["d"](lens.encode(x)) for x in (X, Y))
    base[:, 2] = source[:, 2]
    change = (ends(base) - lens.reconstruct(X)).flatten(1)
    effects = vl.patching_effects(lens, X, Y, sites="decoder.0", progress=False)
    assert float(effects.effect[2]) == pytest.approx(change.norm(dim=1).mean().item(), rel=1e-4)


def test_torch_fx_sees_a_nonlinearity_behind_a_copy_that_copies_nothing():
    lens = network(lambda h: functional.dropout(h.float(), training=False).contiguous().relu().view(-1, 4, 4, 4))
    assert lens.execution["decoder"] == "torch.fx"
    code = lens.encode(X)
    kept = lens.run(X, capture="decoder.0").activations["decoder.0"]
    assert kept.shape == (3, 4, 4, 4)
    assert float(kept.min()) == 0
    torch.testing.assert_close(lens.decode(code), lens.reconstruct(X))
