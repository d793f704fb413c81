import pytest
import torch
from torch import nn

import vaelens as vl


class Own(nn.Module):
    """A VAE as its author wrote it: layers of his own names, some of them shared, some that never run."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, 1, 1)
        self.norm = nn.BatchNorm2d(4)
        self.act = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(64, 10), nn.Tanh(), nn.Dropout(0.5))
        self.fc_mu, self.fc_logvar = nn.Linear(10, 3), nn.Linear(10, 3)
        self.fc3 = nn.Linear(3, 16)
        self.up = nn.ModuleList([nn.Sequential(nn.Linear(16, 16), nn.Tanh()) for _ in range(2)])
        self.twice = nn.Linear(16, 16)
        self.out = nn.Linear(16, 64)
        self.spare = nn.Linear(2, 2)

    def encode(self, x):
        h = self.trunk(self.pool(self.act(self.norm(self.conv(x)))))
        return self.fc_mu(h), self.fc_logvar(h)

    def decode(self, z):
        h = torch.relu(self.fc3(z))
        for block in self.up:
            h = block(h)
        return torch.sigmoid(self.out(torch.tanh(self.twice(self.twice(h))))).view(-1, 1, 8, 8)


@pytest.fixture(scope="module")
def lens():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = Own()
    return vl.Lens(module, module.encode, module.decode, example=torch.rand(2, 1, 8, 8))


X, Y = torch.rand(2, 4, 1, 8, 8, generator=torch.Generator().manual_seed(1))

PATHS = {
    "conv": "encoder.0",
    "norm": "encoder.0",
    "act": "encoder.0",
    "trunk": "encoder.1",
    "trunk.1": "encoder.1",
    "trunk.2": "encoder.1",
    "trunk.3": "encoder.1",
    "fc_mu": "latent",
    "fc3": "decoder.0",
    "up": "decoder.2",
    "up.0": "decoder.1",
    "up.0.0": "decoder.1",
    "up.0.1": "decoder.1",
    "up.1": "decoder.2",
    "up.1.0": "decoder.2",
    "up.1.1": "decoder.2",
    "out": "decoder.5",
}


def test_a_path_stands_for_the_site_whose_stage_the_module_belongs_to(lens):
    for path, name in PATHS.items():
        assert lens.sites[path] is lens.sites[name]
        assert path in lens.sites
        assert lens.sites.get(path).name == name
    assert not set(PATHS) & set(lens.sites)
    assert len(lens.sites) == 9


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("pool", r"pool belongs to no site: it is no layer, .* by lens\.name_sites\(\{'name': 'pool'\}\)"),
        ("trunk.0", r"trunk\.0 belongs to no site"),
        ("twice", r"twice runs several times, in the sites decoder\.3, decoder\.4; name one of these"),
        ("fc_logvar", "fc_logvar gives the log-variance, which is no site; the mean is the site 'latent'"),
        ("spare", "spare is no site: neither encode nor decode calls it; name a module that runs"),
        ("fc4", r"unknown site 'fc4'; known: encoder\.0, .*, decoder\.5; did you mean 'fc3'\?"),
        ("up.0.2", r"did you mean 'up\.0\.[01]'\?"),
        ("decoder.6", r"did you mean 'decoder\.[0-5]'\?"),
        ("", "unknown site ''"),
    ],
)
def test_paths_that_are_no_site_say_why(lens, path, message):
    assert path not in lens.sites
    assert lens.sites.get(path, "none") == "none"
    with pytest.raises(vl.VaelensError, match=message):
        lens.sites[path]
    with pytest.raises(vl.VaelensError, match=message):
        lens.run(X, vl.Set(path, 0, 1.0))


def test_a_path_is_taken_wherever_a_name_is(lens):
    source = lens.run(Y, capture=["fc3", "up.*", "fc_mu"])
    assert list(source.activations) == ["latent", "decoder.0", "decoder.1", "decoder.2"]
    assert source.activations["fc3"] is source.activations["decoder.0"]
    assert source.activations.get("up.1.1") is source.activations["decoder.2"]
    assert "out" not in source.activations
    assert source.activations.get("out") is None
    with pytest.raises(vl.VaelensError, match=r"of out was not captured, only latent, .*; give capture='out'"):
        source.activations["out"]
    for by_path, by_name in (
        (vl.Set("fc3", 1, 2.0), vl.Set("decoder.0", 1, 2.0)),
        (vl.Patch("up.0", "all", source), vl.Patch("decoder.1", "all", source)),
        (vl.Ablate("up", [0, 3], method="mean"), vl.Ablate("decoder.2", [0, 3], method="mean")),
        ([vl.Add("fc_mu", 0, 1.0), vl.Scale("latent", 0, 2.0)], [vl.Add("latent", 0, 1.0), vl.Scale("latent", 0, 2.0)]),
    ):
        run, named = lens.run(X, by_path), lens.run(X, by_name)
        assert torch.equal(run.reconstruction, named.reconstruction)
        assert run.hits[0].change == named.hits[0].change > 0
    both = lens.run(X, [vl.Ablate("norm", 0), vl.Set("conv", 0, 3.0)], capture="encoder.0").activations["act"]
    assert (both[:, 0] == 3).all()


def test_effects_take_paths(lens):
    options = {"progress": False}
    patching = vl.patching_effects(lens, X, Y, sites=["fc3", "conv"], **options)
    assert patching.identical(vl.patching_effects(lens, X, Y, sites=["decoder.0", "encoder.0"], **options))
    boxes = vl.patching_effects(lens, X, Y, sites="trunk.1", unit="site", **options)
    assert boxes.site.values.tolist() == ["encoder.1"]
    mediation = vl.mediation_effects(lens, X, vl.Set("fc_mu", 0, 2.0), site="up.0", **options)
    assert mediation.identical(vl.mediation_effects(lens, X, vl.Set("latent", 0, 2.0), site="decoder.1", **options))
    ablated = [vl.Ablate("conv", 0, "mean"), vl.Ablate("encoder.0", 1)]
    mediation = vl.mediation_effects(lens, X, ablated, site="fc3", **options)
    named = [vl.Ablate("encoder.0", 0, "mean"), vl.Ablate("encoder.0", 1)]
    assert mediation.identical(vl.mediation_effects(lens, X, named, site="decoder.0", **options))
    paths = vl.path_effects(lens, X, Y, "trunk", "up", units=[0, 1], **options)
    assert paths.identical(vl.path_effects(lens, X, Y, "encoder.1", "decoder.2", units=[0, 1], **options))
    with pytest.raises(vl.VaelensError, match=r"receiver decoder\.0 does not come after the sender decoder\.1"):
        vl.path_effects(lens, X, Y, "up.0", "fc3", **options)


def test_patterns_are_of_names_and_only_else_of_paths(lens):
    assert lens.sites.select("decoder.*") == (
        "decoder.0",
        "decoder.1",
        "decoder.2",
        "decoder.3",
        "decoder.4",
        "decoder.5",
    )
    assert lens.sites.select("*.1") == ("encoder.1", "decoder.1")  # names; of paths trunk.1, up.1 and up.0.1 match too
    assert lens.sites.select("up.*") == ("decoder.1", "decoder.2")
    assert lens.sites.select(["trunk*", "latent"]) == ("encoder.1", "latent")
    with pytest.raises(vl.VaelensError, match=r"no site matches 'down\.\*'; sites: encoder\.0"):
        lens.sites.select("down.*")


def test_a_name_is_that_of_the_site_where_a_module_has_it_too():
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.ReLU(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))
    module = nn.ModuleDict({"encoder": encoder, "decoder": nn.Sequential(nn.Linear(2, 64), nn.Unflatten(1, (1, 8, 8)))})
    lens = vl.Lens(module, encoder, module["decoder"], example=X)
    assert [lens.sites[f"encoder.{k}"].units for k in range(2)] == [5, 4]
    assert lens.sites["encoder.3"].name == "encoder.1"
    assert (lens.sites["encoder.5"].name, lens.sites["encoder"].name) == ("latent", "latent")
    assert lens.sites["decoder"].name == "decoder.0"


def test_names_of_ones_own_and_parts_of_leaves():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.ModuleDict(
            {
                "vae": nn.ModuleDict(
                    {
                        "e": nn.utils.parametrizations.weight_norm(nn.Linear(64, 6)),
                        "attention": nn.MultiheadAttention(6, 2, batch_first=True),
                        "mu": nn.Linear(6, 2),
                        "d": nn.Sequential(nn.Linear(2, 64), nn.Sigmoid()),
                    }
                )
            }
        )
    vae = module["vae"]

    def encode(x):
        h = vae["e"](x.flatten(1))[:, None]
        return vae["mu"](vae["attention"](h, h, h)[0][:, 0])

    lens = vl.Lens(module, encode, lambda z: vae["d"](z).view(-1, 1, 8, 8), example=X, sites={"pixels": "vae.d.0"})
    assert list(lens.sites) == ["encoder.0", "encoder.1", "latent", "pixels", "decoder.0"]
    assert lens.sites["vae.e.parametrizations.weight"].name == "encoder.0"
    assert lens.sites["vae.attention.out_proj"].name == "encoder.1"
    assert (lens.sites["vae.d.0"].name, lens.sites["vae.d.1"].name) == ("pixels", "decoder.0")
    with pytest.raises(vl.VaelensError, match="vae holds stages of the encoder and of the decoder; name a module of"):
        lens.sites["vae"]


def test_the_engine_takes_paths(lens):
    run = lens.engine.cached_run(X, ["fc3"], capture=["up.1"])
    patch = vl.lens.SitePatch("fc3", lens.run(Y, capture="fc3").activations["fc3"], [vl.lens.Region((0,))])
    rows = [(found.images.tolist(), found.values["decoder.2"]) for found in run.interchange(patch, ["up.1"])]
    by_name = lens.engine.cached_run(X, ["decoder.0"], capture=["decoder.2"])
    named = vl.lens.SitePatch("decoder.0", patch.source, patch.groups)
    for (images, values), found in zip(rows, by_name.interchange(named, "decoder.2"), strict=True):
        assert images == found.images.tolist()
        assert torch.equal(values, found.values["decoder.2"])
    assert run.activation("up.1") is run.activation("decoder.2")
