"""The forms of linear layers: each is the plain one but for rounding, and follows the model's weights."""

import itertools

import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.lens import Region, SitePatch
from vaelens.lens.incremental.layers import CHANNELS_LAST, FORMS, PLAIN, layer_of
from vaelens.lens.incremental.steps import Step

CONVOLUTIONS = [
    {"kernel_size": kernel, "stride": stride, "padding": padding}
    for kernel, stride, padding in [
        (1, 1, 0),
        (3, 1, 1),
        (4, 2, 1),
        (3, 2, 0),
        ((3, 5), (1, 2), (1, 2)),
        (3, 1, "same"),
    ]
]
TRANSPOSED = [
    {"kernel_size": kernel, "stride": stride, "padding": padding, "output_padding": extra}
    for kernel, stride, padding, extra in [
        (4, 2, 1, 0),
        (2, 2, 0, 0),
        (4, 2, 0, 0),
        (4, 2, 1, 1),
        (6, 3, 2, 1),
        (6, 2, 2, 1),
        (4, 4, 1, 1),
        (3, 2, 1, 1),
        (4, 2, 0, 1),
        (3, 1, 1, 0),
        ((4, 2), (2, 2), (1, 0), 0),
        (4, 2, (1, 0), 0),
    ]
]
SPLIT = [True] * 3 + [True, True, True, True] + [False] * 4 + [True]  # of TRANSPOSED: whether it falls into phases


def of(module):
    given = Step("input")
    layer = layer_of(Step("layer", module, (given,), module=module))
    assert layer is not None
    return layer


def close(found, expected):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= 1e-5 * float(expected.abs().max())


@pytest.fixture
def generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@torch.no_grad()
def check_forms(module, channels):
    layer, data = of(module), torch.randn(2, channels, 6, 5)
    for form in layer.forms:
        layer.form = form
        close(layer.apply(data), module(data))
        close(layer.apply(data.contiguous(memory_format=torch.channels_last)), module(data))
        columns = torch.tensor([channels - 1, 0][: min(2, channels)])
        changed = data.clone()
        changed[:, columns] += torch.randn(2, len(columns), 6, 5)
        update = layer.update((changed - data)[:, columns], columns)
        close(module(data) + update, module(changed))
    return layer


@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.usefixtures("generator")
def test_forms_of_convolutions(options):
    for inputs, outputs, bias in itertools.product((1, 3), (1, 3), (True, False)):
        layer = check_forms(nn.Conv2d(inputs, outputs, bias=bias, **options), inputs)
        assert layer.forms == (PLAIN, CHANNELS_LAST)


@pytest.mark.parametrize(("options", "splits"), [*zip(TRANSPOSED, SPLIT, strict=True)], ids=str)
@pytest.mark.usefixtures("generator")
def test_forms_of_transposed_convolutions(options, splits):
    for inputs, outputs, bias in itertools.product((1, 3), (1, 3), (True, False)):
        layer = check_forms(nn.ConvTranspose2d(inputs, outputs, bias=bias, **options), inputs)
        assert layer.forms == (FORMS if splits else (PLAIN, CHANNELS_LAST))


@torch.no_grad()
def test_what_comes_of_a_single_channel_lies_channels_last():
    convolution = nn.Conv2d(1, 3, 4, 2, 1)
    layer, data = of(convolution), torch.rand(5, 1, 8, 6)
    layer.form = CHANNELS_LAST
    for made in (layer.apply(data), layer.update(data, [0])):
        assert made.is_contiguous(memory_format=torch.channels_last)
        assert not made.is_contiguous()


@torch.no_grad()
@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("bias", [True, False])
def test_the_update_of_a_linear_layer(bias):
    module = nn.Linear(7, 4, bias=bias)
    layer, data, columns = of(module), torch.randn(3, 7), torch.tensor([5, 1])
    changed = data.clone()
    changed[:, columns] = torch.randn(3, 2)
    assert layer.forms == (PLAIN,)
    close(module(data) + layer.update((changed - data)[:, columns], columns), module(changed))


@torch.no_grad()
@pytest.mark.usefixtures("generator")
@pytest.mark.parametrize("kind", [nn.Conv2d, nn.ConvTranspose2d])
def test_grouped_convolutions_are_right_and_not_updated(kind):
    module = kind(4, 6, 4, 2, 1, groups=2)
    layer, data = of(module), torch.randn(2, 4, 6, 6)
    assert not layer.updatable
    assert layer.forms == (PLAIN, CHANNELS_LAST)
    layer.form = CHANNELS_LAST
    close(layer.apply(data), module(data))


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"),
        nn.Conv1d(2, 2, 3),
        type("Own", (nn.Linear,), {})(2, 2),
        nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
    ],
    ids=["circular", "one axis", "subclass", "parametrised"],
)
def test_what_does_more_than_a_linear_layer_is_left_alone(module):
    assert layer_of(Step("layer", module, (Step("input"),), module=module)) is None


def scaled_in_place(model):
    for parameter in model.parameters():
        parameter.mul_(1.5)


def scaled_by_data(model):
    for parameter in model.parameters():
        parameter.data.mul_(1.5)


def put_by_data(model):
    for parameter in model.parameters():
        parameter.data = parameter.data * 1.5


def loaded(model):
    model.load_state_dict({name: 1.5 * tensor for name, tensor in model.state_dict().items()})


def assigned(model):
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            setattr(module, name, nn.Parameter(1.5 * parameter))


@torch.no_grad()
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("change", [scaled_in_place, scaled_by_data, put_by_data, loaded, assigned])
def test_changed_weights_are_seen(change, form, monkeypatch):
    monkeypatch.setattr(
        "vaelens.lens.incremental.choice.form_of",
        lambda layer, inputs: form if form in layer.forms else layer.forms[-1],
    )
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3, seed=1))
    x, y = torch.rand(2, 3, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    before = lens.engine.cached_run(x, ["decoder.1"]).image
    change(lens.module)
    replay, run = lens.engine.cached_run(x, ["decoder.1"]), lens.run(x)
    close(replay.image, run.reconstruction)
    assert float((replay.image - before).abs().max()) > 1e-3
    source = lens.run(y, capture=["decoder.1"]).activations["decoder.1"]
    (rows,) = replay.interchange(SitePatch("decoder.1", source, [Region((4,))]), "image")
    close(rows.values["image"], lens.run(x, vl.Patch("decoder.1", 4, source)).reconstruction[rows.images])
    assert form in {*lens.engine.parts.encoder.forms.values(), *lens.engine.parts.decoder.forms.values()}
