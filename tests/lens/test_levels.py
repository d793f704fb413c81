"""The levels of a hierarchical decoder as sites: however each is drawn, and whether drawn or its mean."""

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

import vaelens as vl

WAYS = {
    "randn_like": lambda mean, sd: mean + sd * torch.randn_like(mean),
    "scaled in place": lambda mean, sd: torch.randn_like(mean).mul_(sd).add_(mean),
    "less": lambda mean, sd: mean - torch.randn(mean.shape) * sd,
    "addcmul": lambda mean, sd: torch.addcmul(mean, sd, torch.randn_like(sd)),
    "normal": torch.normal,
    "normal about zero": lambda mean, sd: mean + torch.normal(torch.zeros_like(mean), sd),
    "deviations": lambda mean, sd: mean + torch.normal(0.0, sd),
    "rsample": lambda mean, sd: Normal(mean, sd).rsample(),
    "sample": lambda mean, sd: Normal(mean, sd).sample(),
    "covariance": lambda mean, sd: MultivariateNormal(mean, torch.diag_embed(sd)).rsample(),
}


class Hierarchy(nn.Module):
    """Two levels below the code, each drawn given the one above."""

    def __init__(self, draw):
        super().__init__()
        self.draw, self.encoder = draw, nn.Linear(4, 2)
        self.first, self.second = nn.Linear(2, 6), nn.Linear(3, 4)
        self.out = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 4))

    def decode(self, z, change=lambda level, value: value):
        for level, prior in enumerate((self.first, self.second), start=1):
            mean, spread = prior(z).chunk(2, dim=1)
            z = change(level, self.draw(mean, spread.exp()))
        return self.out(z)


def lens_on(model, **options):
    return vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 4), **options)


@pytest.mark.parametrize("noise", ["drawn", "mean"])
@pytest.mark.parametrize("way", WAYS)
def test_each_level_is_a_site_that_can_be_read_and_set(way, noise):
    model, x = Hierarchy(WAYS[way]), torch.randn(5, 4)
    lens = lens_on(model, noise=noise)
    assert list(lens.sites) == ["latent", "decoder.0", "level.1", "decoder.1", "level.2", "decoder.2", "decoder.3"]
    assert [lens.sites[f"level.{k}"].shape for k in (1, 2)] == [(3,), (2,)]

    base = lens.run(x, capture="level.*")
    run = lens.run(x, vl.Set("level.1", 1, 2.0), capture=["level.1", "decoder.1", "level.2"])

    expected = base.activations["level.1"].clone()
    expected[:, 1] = 2.0
    assert torch.equal(run.activations["level.1"], expected), "the draw is the base run's but for what is set"
    torch.testing.assert_close(run.activations["decoder.1"], model.second(expected).detach())
    torch.testing.assert_close(run.reconstruction, model.out(run.activations["level.2"]).detach())
    if noise == "mean":
        torch.testing.assert_close(base.activations["level.1"], model.first(base.code)[:, :3].detach())


def into_zeros(mean, sd):
    filled = torch.zeros_like(mean)
    filled += mean
    return torch.normal(filled, sd)


def multiplied(mean, sd):
    noise = torch.randn_like(mean)
    noise *= sd
    noise += mean
    return noise


IN_PLACE = {
    "noise that a mean is added to": lambda mean, sd: torch.randn_like(mean).mul_(sd).add_(mean),
    "noise, by operators": multiplied,
    "zeros that a mean is added to": into_zeros,
    "zeros that a mean is copied to": lambda mean, sd: Normal(torch.zeros_like(mean).copy_(mean), sd).sample(),
    "all noise at once": lambda mean, sd: mean + sd * torch.randn(len(mean), 2 * mean.shape[1])[:, : mean.shape[1]],
    "noise in two parts": lambda mean, sd: mean + torch.randn(len(mean), 2 * mean.shape[1]).chunk(2, dim=1)[0] * sd,
}


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("way", IN_PLACE)
def test_what_is_written_over_is_neither_noise_nor_zero_any_more(way, mode):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.prior, self.skip = nn.Linear(4, 2), nn.Linear(2, 6), nn.Linear(2, 3)
            self.out = nn.Linear(3, 4)

        def decode(self, z, change=lambda value: value):
            with mode():
                mean, spread = self.prior(z).chunk(2, dim=1)
                return self.out(change(IN_PLACE[way](mean, spread.exp())) + self.skip(z))

    model, x = Residual(), torch.randn(5, 4)
    lens = vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 4))
    assert [name for name in lens.sites if name.startswith("level")] == ["level.1"]
    with torch.no_grad():
        torch.manual_seed(0)
        expected = model.decode(model.encoder(x), lambda level: level * torch.tensor([1.0, 1.0, 0.0]))
    torch.testing.assert_close(lens.run(x, vl.Ablate("level.1", 2)).reconstruction, expected)


@pytest.mark.parametrize("noise", ["drawn", "mean"])
def test_patching_a_level_equals_the_model_with_its_units_exchanged(noise):
    model = Hierarchy(WAYS["randn_like"])
    lens = lens_on(model, noise=noise)
    base, source = torch.randn(2, 6, 4)
    of_source = lens.run(source, capture="level.1").activations["level.1"]
    start = lens.run(base).reconstruction
    distances = []
    for unit in range(3):
        changed = lens.run(base, vl.Patch("level.1", [unit], of_source)).reconstruction
        distances.append((changed - start).norm(dim=1).mean())

    effects = vl.patching_effects(lens, base, source, sites="level.1", progress=False)

    torch.testing.assert_close(torch.as_tensor(effects.effect.values), torch.stack(distances).double())
    whole = lens.run(base, vl.Patch("level.1", "all", of_source)).reconstruction
    if noise == "mean":  # nothing passes the level by
        torch.testing.assert_close(whole, lens.run(source).reconstruction)


def test_sweeps_follow_levels_by_steps_where_they_are_means_as_by_hooks():
    model = Hierarchy(WAYS["randn_like"])
    base, source = torch.randn(2, 6, 4)
    by_steps, by_hooks = lens_on(model, noise="mean"), lens_on(model, noise="mean", execution="hooks")
    assert "decoder by torch.export" in repr(by_steps)
    ours, theirs = (vl.patching_effects(lens, base, source, progress=False) for lens in (by_steps, by_hooks))
    torch.testing.assert_close(torch.as_tensor(ours.effect.values), torch.as_tensor(theirs.effect.values))


def test_a_level_of_a_convolutional_decoder_has_channels_for_units():
    class Spatial(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Conv2d(1, 2, 2, 2)
            self.prior, self.out = nn.Conv2d(2, 8, 1), nn.ConvTranspose2d(4, 1, 2, 2)

        def decode(self, z):
            mean, spread = self.prior(z).chunk(2, dim=1)
            return torch.sigmoid(self.out(Normal(mean, spread.exp()).rsample()))

    model = Spatial()
    lens = vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 1, 8, 8))
    assert lens.sites["level.1"].shape == (4, 4, 4)
    effects = vl.patching_effects(lens, *torch.rand(2, 4, 1, 8, 8), sites="level.*", progress=False)
    assert effects.sizes["unit"] == 4
    assert (effects.effect.values > 0).all()


def test_noise_on_the_observation_is_no_level_and_names_can_be_given():
    model = Hierarchy(WAYS["randn_like"])

    def decode(z):
        mean = model.decode(z)
        return mean + 0.1 * torch.randn_like(mean)

    lens = vl.Lens(model, model.encoder, decode, example=torch.zeros(2, 4), sites={"lower": "level.2"})
    assert [name for name in lens.sites if "decoder" not in name] == ["latent", "level.1", "lower"]


def test_the_model_has_no_module_more_afterwards():
    model = Hierarchy(WAYS["rsample"])
    modules = list(model.modules())
    lens_on(model).run(torch.zeros(2, 4), vl.Scale("level.2", 0, 2.0))
    assert list(model.modules()) == modules
    assert not any(module._forward_hooks for module in modules)


def test_draws_that_follow_the_layout_in_memory_are_shared_by_every_run_of_a_sweep():
    class Spatial(nn.Module):
        def __init__(self):
            super().__init__()
            # Convolutions with several channels, which sweeps run with the channels last in memory.
            self.encoder = nn.Sequential(nn.Conv2d(1, 4, 4, 2, 1), nn.ReLU(), nn.Conv2d(4, 3, 4, 2, 1))
            self.first, self.prior, self.out = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(3, 1, 1)

        def decode(self, z):
            mean, spread = self.prior(self.first(z)).chunk(2, dim=1)
            return torch.nn.functional.interpolate(
                self.out(mean + spread.exp() * torch.randn_like(mean)), scale_factor=4
            )

    model = Spatial()
    lens = vl.Lens(model, model.encoder, model.decode, example=torch.zeros(2, 1, 16, 16))
    base = torch.rand(5, 1, 16, 16)
    source = (base + 1e-3).clamp(max=1)

    def decoded(codes):
        torch.manual_seed(0)
        return model.decode(codes)

    with torch.no_grad():
        codes, given = model.encoder(base), model.first(model.encoder(source))
        expected = []
        for unit in range(4):

            def exchange(module, inputs, output, unit=unit):
                return torch.cat([output[:, :unit], given[:, unit : unit + 1], output[:, unit + 1 :]], dim=1)

            hook = model.first.register_forward_hook(exchange)
            patched = decoded(codes)
            hook.remove()
            expected.append((patched - decoded(codes)).flatten(1).norm(dim=1).mean())

    effects = vl.patching_effects(lens, base, source, sites="first", progress=False)

    torch.testing.assert_close(
        torch.as_tensor(effects.effect.values), torch.stack(expected).double(), rtol=1e-3, atol=1e-5
    )
