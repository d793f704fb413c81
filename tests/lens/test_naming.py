import pytest
import torch
from torch import nn

import vaelens as vl


class Block(nn.Module):
    """Adds what its layers make of its input to it."""

    def __init__(self, channels):
        super().__init__()
        self.inside = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1), nn.ReLU(inplace=True))

    def forward(self, x):
        return torch.relu(x + self.inside(x))


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.start = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Unflatten(1, (4, 4, 4)))
        self.block = Block(4)
        self.last = nn.ConvTranspose2d(4, 1, 4, 2, 1)

    def forward(self, z):
        return torch.sigmoid(self.last(self.block(self.block(self.start(z)))))


class Loose(nn.Module):
    def forward(self, x):
        return {"x": x}


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.ReLU(), nn.Linear(9, 3))
        self.loose, self.unused = Loose(), nn.Linear(2, 2)
        self.decoder = Decoder()

    def decode(self, z):
        return self.decoder(self.loose(z)["x"])


def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Whole().eval()


def lens_on(module, **options):
    return vl.Lens(module, module.encoder, module.decode, example=torch.rand(2, 1, 8, 8), **options)


FOUND = ["encoder.0", "latent", "decoder.0", "decoder.1", "decoder.2", "decoder.3"]  # 1 and 2 are one convolution
X, Y = torch.rand(2, 5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_names_are_given_by_module_path_call_and_found_name():
    module = model()
    lens = lens_on(
        module,
        sites={
            "second": (module.decoder.block, 1),
            "first": ("decoder.block", 0),
            "dense": "encoder.1",
            "hidden": "encoder.0",
            "grid": "decoder.start.2",
        },
    )
    # `grid` is the module whose output was decoder.0; the dense layer stands before the stage that it opens
    assert repr(lens.sites) == "\n".join(
        [
            "site       part     units  shape  module",
            "dense      encoder  9      9      encoder.1",
            "hidden     encoder  9      9      encoder.2",
            "latent     latent   3      3",
            "grid       decoder  4      4×4×4  decoder.start.2",
            "decoder.1  decoder  4      4×4×4  decoder.block.inside.1, call 0",
            "first      decoder  4      4×4×4  decoder.block, call 0",
            "decoder.2  decoder  4      4×4×4  decoder.block.inside.1, call 1",
            "second     decoder  4      4×4×4  decoder.block, call 1",
            "decoder.3  decoder  1      1×8×8  decoder.last",
        ]
    )
    assert lens.sites.output == "decoder.3"
    assert lens.sites["first"] == vl.Site("first", "decoder", 4, (4, 4, 4))
    assert (lens.sites["second"].module, lens.sites["second"].call) == ("decoder.block", 1)
    assert (lens.sites["grid"].module, lens.sites["grid"].call) == ("decoder.start.2", None)


def test_names_are_given_later_and_add_up():
    module = model()
    lens = lens_on(module, sites={"grid": "decoder.0"})
    lens.name_sites({"again": ("decoder.block", 1)})
    lens.name_sites({"start": "grid"})
    assert list(lens.sites) == ["encoder.0", "latent", "start", "decoder.1", "decoder.2", "again", "decoder.3"]
    with pytest.raises(vl.VaelensError, match="the name 'again' is that of another site; choose one"):
        lens.name_sites({"again": "encoder.0"})
    assert list(lens.sites) == ["encoder.0", "latent", "start", "decoder.1", "decoder.2", "again", "decoder.3"]
    assert torch.equal(
        lens.run(X, vl.Patch("start", "all", lens.run(Y, capture="start"))).reconstruction, lens.run(Y).reconstruction
    )


def test_names_are_given_at_first_or_later():
    module = model()
    lens = vl.Lens(module, module.encoder, module.decode, example=X, sites={"grid": module.decoder.start})
    lens.name_sites({"first": ("decoder.block", 0)})
    assert list(lens.sites) == ["encoder.0", "latent", "decoder.0", "grid", "decoder.1", "first", *FOUND[4:]]


def test_nothing_named_is_nothing_changed():
    assert list(lens_on(model()).sites) == list(lens_on(model(), sites={}).sites) == FOUND


def plain(module, child, call, unit, values):
    """Decoded images with one unit of one call of a module at other values, by a plain hook that counts."""
    counted = []

    def hook(_, arguments, output):
        counted.append(None)
        if len(counted) - 1 != call:
            return None
        output = output.clone()
        output[:, unit] = values[:, unit]
        return output

    handle = child.register_forward_hook(hook)
    with torch.no_grad():
        image = module.decode(module.encoder(X))
    handle.remove()
    assert len(counted) == 2
    return image


def test_every_unit_of_a_block_called_twice_is_that_of_a_plain_hook():
    module = model()
    block = module.decoder.block
    lens = lens_on(module, sites={"first": (block, 0), "second": (block, 1)})
    source = lens.run(Y, capture="all")
    for name, child, call in (
        ("first", block, 0),
        ("second", block, 1),
        ("decoder.1", block.inside[1], 0),
        ("decoder.2", block.inside[1], 1),
    ):
        assert not torch.equal(source.activations[name], lens.run(X, capture=name).activations[name])
        for unit in range(4):
            expected = plain(module, child, call, unit, source.activations[name])
            assert torch.equal(lens.run(X, vl.Patch(name, unit, source)).reconstruction, expected)
    # all that follows the first call of the block passes through it; its layers are gone past
    for name, whole in (("first", True), ("second", True), ("decoder.1", False), ("decoder.2", False)):
        image = lens.run(X, vl.Patch(name, "all", source)).reconstruction
        assert torch.equal(image, source.reconstruction) == whole


def test_every_unit_of_a_layer_called_twice_is_that_of_a_plain_hook(build):
    given = build("reused")
    twice = given.model["twice"]
    source = given.lens.run(given.y, capture="all")
    for name, call in (("decoder.1", 0), ("decoder.2", 1)):
        for unit in range(16):
            counted = []

            def hook(_, arguments, output, call=call, unit=unit, name=name, counted=counted):
                counted.append(None)
                output = output.clone()
                if len(counted) - 1 == call:
                    output[:, unit] = source.activations[name][:, unit]
                return output

            handle = twice.register_forward_hook(hook)
            with torch.no_grad():
                expected = given.decode(given.lens.encode(given.x))
            handle.remove()
            assert torch.equal(given.lens.run(given.x, vl.Patch(name, unit, source)).reconstruction, expected)


def test_a_module_that_runs_in_both_parts_is_counted_through_both():
    module = nn.ModuleDict({"e": nn.Linear(4, 4), "shared": nn.Linear(4, 4), "d": nn.Linear(4, 4)})
    lens = vl.Lens(
        module,
        lambda x: module["e"](torch.tanh(module["shared"](x.flatten(1)))),
        lambda z: module["d"](torch.tanh(module["shared"](z))).view(-1, 1, 2, 2),
        example=torch.rand(2, 1, 2, 2),
        sites={"out": ("shared", 1), "in": (module["shared"], 0)},
    )
    assert {name: (site.part, site.call) for name, site in lens.sites.items()} == {
        "in": ("encoder", 0),
        "encoder.0": ("encoder", 0),  # with its tanh
        "latent": ("latent", None),
        "out": ("decoder", 1),
        "decoder.0": ("decoder", 1),
        "decoder.1": ("decoder", None),
    }


def test_a_module_around_the_output_is_the_output():
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.Unflatten(1, (1, 2, 2))))
    given = module[0], module[1]
    options = {"example": torch.rand(2, 1, 2, 2)}
    lens = vl.Lens(module, lambda x: given[0](x.flatten(1)), given[1], sites={"image": given[1]}, **options)
    assert list(lens.sites) == ["latent", "image"]  # it hands over what its last module gave
    scaled = model()
    lens = lens_on(scaled, sites={"image": scaled.decoder})
    assert list(lens.sites) == [*FOUND[:-1], "image"]  # after the sigmoid
    assert lens.sites.output == "image"
    run = lens.run(X, capture="image")
    assert torch.equal(run.activations["image"], run.reconstruction)


def test_what_comes_after_the_image_and_holds_none_is_refused():
    module = nn.ModuleDict({"e": nn.Linear(4, 4), "d": nn.Linear(4, 4), "aside": nn.Identity()})

    def decode(z):
        image = module["d"](z)
        whole = image.view(-1, 1, 2, 2)
        module["aside"](whole[:, :, :1])
        return whole

    with pytest.raises(vl.VaelensError, match=r"'aside' comes after decoder\.0, which holds the image, and holds none"):
        vl.Lens(
            module,
            lambda x: module["e"](x.flatten(1)),
            decode,
            example=torch.rand(2, 1, 2, 2),
            sites={"aside": "aside"},
        )


@pytest.mark.parametrize(
    ("sites", "message"),
    [
        (["decoder.0"], "sites are a list; give a mapping from names to submodules"),
        ({3: "decoder.0"}, "3 is no name for a site; give a text"),
        ({"": "decoder.0"}, "'' is no name for a site; give a text"),
        ({"latent": "decoder.0"}, "the name 'latent' is taken; choose another"),
        ({"all": "decoder.0"}, "the name 'all' is taken; choose another"),
        ({"grid*": "decoder.0"}, r"the name 'grid\*' has one of \*\?\[, which select sites by pattern"),
        ({"decoder.1": "decoder.0"}, r"the name 'decoder\.1' is that of another site"),
        ({"z": "latent"}, "'z' is to rename the site latent, which keeps its name"),
        ({"x": nn.Linear(2, 2)}, "site 'x' is a Linear that is not in the Whole under the lens; give one of its subm"),
        ({"x": "decoder.blok"}, r"given 'decoder\.blok', which is neither .*; did you mean 'decoder\.block'\?"),
        ({"x": 3}, r"site 'x' is given 3; expected a submodule, its path, a pair \(either of these, call number\)"),
        ({"x": ("decoder.block", True)}, r"site 'x' is given \('decoder\.block', True\); expected a submodule"),
        ({"x": ("decoder.block", "0")}, r"site 'x' is given \('decoder\.block', '0'\); expected a submodule"),
        ({"x": "unused"}, "site 'x' is unused, which neither encode nor decode calls; name a module that runs"),
        (
            {"x": "decoder.block"},
            r"is called 2 times; say which call: \('decoder\.block', 0\) to \('decoder\.block', 1\)",
        ),
        ({"x": ("decoder.block", 2)}, r"site 'x' is call 2 of decoder\.block, which has calls 0 to 1"),
        ({"x": ("decoder.block", -1)}, r"site 'x' is call -1 of decoder\.block, which has calls 0 to 1"),
        ({"x": "loose"}, r"site 'x' is loose, which gives a dict; expected a tensor with the images in front"),
        ({"x": "decoder.start", "y": "decoder.start"}, "'y' and 'x' name the same module's output; give it one name"),
    ],
)
def test_names_that_stand_for_nothing_are_refused(sites, message):
    with pytest.raises(vl.VaelensError, match=message):
        lens_on(model(), sites=sites)
