import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl


def hooks(module):
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    return [[list(getattr(child, kind).items()) for kind in kinds] for child in module.modules()]


def state(module):
    """All that a run must leave as it was."""
    return {
        "modes": [child.training for child in module.modules()],
        "hooks": hooks(module),
        "torch": torch.get_rng_state().tolist(),
        "numpy": repr(np.random.get_state(legacy=False)),  # noqa: NPY002
        "weights": {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()},
        "requires_grad": [parameter.requires_grad for parameter in module.parameters()],
        "grads": [None if p.grad is None else p.grad.unique().tolist() for p in module.parameters()],
        "grad mode": torch.is_grad_enabled(),
    }


def mixed(module):
    """Some submodules in train mode, some not, some frozen."""
    for number, child in enumerate(module.modules()):
        child.training = number % 2 == 0
    for number, parameter in enumerate(module.parameters()):
        parameter.requires_grad = number % 3 != 0
        parameter.grad = torch.full_like(parameter, 0.5) if number % 2 else None


def test_a_run_leaves_no_trace(any_model):
    lens, model = any_model.lens, any_model.model
    mixed(model)
    before = state(model)
    edits = [vl.Set("latent", 0, 1.0), vl.Ablate("decoder.0", 0, "mean"), vl.Ablate(lens.sites.output, 0, "resample")]
    run = lens.run(any_model.x, edits, capture="all")
    lens.encode(any_model.x)
    lens.decode(run.code)
    vl.Lens(model, any_model.encode, any_model.decode, **any_model.extra, example=any_model.x)
    assert state(model) == before
    assert not any(values.requires_grad for values in (run.code, run.reconstruction, *run.activations.values()))


def test_effects_leave_no_trace(build):
    small = build("batch norm")
    mixed(small.model)
    before = state(small.model)
    vl.latent_effects(small.lens, small.x, mode="prior")
    vl.latent_effects(small.lens, small.x, mode="posterior", over="latents")
    vl.patching_effects(small.lens, small.x, small.y)
    vl.patching_effects(small.lens, small.x, method="resample")
    vl.mediation_effects(small.lens, small.x, vl.Set("latent", 0, 1.0), "decoder.0")
    vl.circuit_modularity(small.lens, small.x)
    vl.input_effects(small.lens, vl.ArrayDataset(small.x), n=4)
    assert state(small.model) == before


class Bomb(nn.Module):
    """Raises once it is armed."""

    armed = False

    def forward(self, x):
        if self.armed:
            torch.rand(1)
            raise RuntimeError("the module raised")
        return x


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_a_run_leaves_no_trace_when_the_model_raises_in_the_middle(layer, joined, part):
    rng = np.random.default_rng(0)
    bomb = Bomb()
    inside = {"encoder": [], "decoder": []} | {part: [bomb]}
    model = joined(
        nn.Sequential(
            nn.Flatten(), layer(rng.normal(size=(5, 4))), nn.Tanh(), *inside["encoder"], layer(np.ones((2, 5)))
        ),
        nn.Sequential(
            layer(np.ones((4, 2))), nn.ReLU(), *inside["decoder"], layer(np.eye(4)), nn.Unflatten(1, (1, 2, 2))
        ),
    )
    mixed(model)
    lens = vl.Lens(model, model.encoder, model.decoder, example=torch.rand(2, 1, 2, 2))
    before = state(model)
    bomb.armed = True
    with pytest.raises(RuntimeError, match="the module raised"):
        lens.run(torch.rand(2, 1, 2, 2, generator=torch.Generator()), vl.Set("decoder.0", 0, 1.0), capture="all")
    assert state(model) == before


def test_finding_sites_leaves_no_trace_when_the_model_raises(layer, joined):
    bomb = Bomb()
    bomb.armed = True
    model = joined(nn.Sequential(nn.Flatten(), layer(np.eye(4)), bomb), layer(np.eye(4)))
    mixed(model)
    before = state(model)
    with pytest.raises(vl.VaelensError, match="the module raised"):
        vl.Lens(model, model.encoder, model.decoder, example=torch.zeros(2, 1, 2, 2))
    assert state(model) == before


def test_an_edit_that_raises_leaves_no_trace(small, monkeypatch):
    def fail(self, current, given):
        raise RuntimeError("the edit raised")

    monkeypatch.setattr(vl.Set, "apply", fail)
    mixed(small.model)
    before = state(small.model)
    for site in ("encoder.1", "latent", "decoder.1"):
        with pytest.raises(RuntimeError, match="the edit raised"):
            small.lens.run(small.x, vl.Set(site, 0, 1.0), capture="all")
        assert state(small.model) == before


def test_the_users_own_hooks_survive_and_fire(small):
    seen = []
    model = small.model
    handles = [
        model.encoder[0].register_forward_hook(lambda module, arguments, output: seen.append("conv")),
        model.decoder[1].register_forward_pre_hook(lambda module, arguments: seen.append("relu")),
        model.decoder[1].register_forward_hook(lambda module, arguments, output: output * 0 + 7),
    ]
    before = hooks(model)
    run = small.lens.run(small.x, vl.Set("decoder.0", 3, 1.0), capture=["encoder.0", "decoder.0"])
    assert seen == ["conv", "relu"]
    assert hooks(model) == before
    assert (run.activations["decoder.0"][:, 3] == 1).all()  # the edit comes after the hook that was there before
    assert (run.activations["decoder.0"][:, :3] == 7).all()
    for handle in handles:
        handle.remove()


def test_a_module_in_train_mode_runs_in_eval_mode(build):
    model = build("batch norm")
    assert model.model.training
    assert torch.equal(model.lens.encode(model.x), model.lens.encode(model.x))  # no dropout
    torch.testing.assert_close(model.lens.encode(model.x)[:1], model.lens.encode(model.x[:1]))  # no batch statistics
    assert model.model.training


def test_a_submodule_with_a_way_of_its_own_into_eval_mode_goes_it(layer, joined):
    asked = []

    class Cautious(nn.Linear):
        def train(self, mode=True):
            asked.append(mode)
            return super().train(mode)

    decoder = nn.Sequential(Cautious(2, 4), nn.Unflatten(1, (1, 2, 2)))
    model = joined(nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), decoder).train()
    x = torch.rand(2, 1, 2, 2)
    vl.Lens(model, model.encoder, model.decoder, example=x).reconstruct(x)
    assert False in asked
    assert all(module.training for module in model.modules())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_keeps_its_mode_and_is_passed_over(layer, joined):
    class Whole(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Flatten(), layer(np.eye(4)))
            self.unseen = torch.jit.script(nn.Sequential(layer(np.eye(4)), nn.Dropout(0.5)))
            self.decoder = nn.Sequential(layer(np.eye(4)), nn.Unflatten(1, (1, 2, 2)))

        def decode(self, z):
            return self.decoder(self.unseen(z))

    model, images = Whole().train(), torch.rand(3, 1, 2, 2)
    lens = vl.Lens(model, model.encoder, model.decode, example=images)
    assert list(lens.sites) == ["latent", "decoder.0"]
    assert torch.equal(lens.reconstruct(images), images)  # nothing is dropped
    assert all(module.training for module in model.modules())
    for sites in ({"hidden": "unseen"}, {"hidden": model.unseen}, {"hidden": ("unseen", 0)}):
        with pytest.raises(vl.VaelensError, match="site 'hidden' is TorchScript, which takes no hooks; give the lens"):
            vl.Lens(model, model.encoder, model.decode, example=images, sites=sites)
    unseen = vl.Lens(model, model.encoder, lambda z: model.unseen(z).view(-1, 1, 2, 2), example=images)
    assert list(unseen.sites) == ["latent"]
    assert "the decoder has no sites: no layer in it takes hooks and keeps the images in order" in repr(unseen)
    assert float(vl.latent_effects(unseen, images, values=[3.0], progress=False).ces.min()) > 0


def test_runs_work_inside_inference_mode_and_give_the_same(any_model):
    expected = any_model.lens.run(any_model.x, vl.Add("latent", 0, 1.0), capture="all")
    with torch.inference_mode():
        lens = vl.Lens(any_model.model, any_model.encode, any_model.decode, **any_model.extra, example=any_model.x)
        run = lens.run(any_model.x.clone(), vl.Add("latent", 0, 1.0), capture="all")
        assert torch.is_inference_mode_enabled()
        again = lens.run(any_model.x, vl.Patch("decoder.0", "all", run), capture="all")
        assert torch.equal(again.reconstruction, run.reconstruction)
    assert torch.equal(run.reconstruction, expected.reconstruction)
    for name in lens.sites:
        assert torch.equal(run.activations[name], expected.activations[name])


def test_values_that_carry_gradients_are_taken_as_numbers(small):
    value = torch.tensor([2.0], requires_grad=True)
    for site in ("encoder.1", "latent", "decoder.1"):
        run = small.lens.run(small.x.clone().requires_grad_(), vl.Set(site, 0, value), capture=site)
        assert not run.reconstruction.requires_grad
        assert not run.code.requires_grad
        assert (run.activations[site][:, 0] == 2).all()


def test_an_encoder_that_draws_gives_the_same_every_time_and_shares_its_draw(layer, joined):
    model = joined(nn.Sequential(nn.Flatten(), layer(np.eye(4))), nn.Sequential(layer(np.eye(4))))
    lens = vl.Lens(
        model,
        lambda x: model.encoder(x) + torch.randn(len(x), 4),
        lambda z: model.decoder(z).view(-1, 1, 2, 2),
        example=torch.zeros(2, 1, 2, 2),
    )
    x = torch.rand(3, 1, 2, 2)
    first = lens.run(x)
    before = torch.get_rng_state()
    assert torch.equal(lens.run(x, vl.Set("decoder.0", 0, 1.0)).code, first.code)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(lens.run(x, seed=1).code, first.code)


def test_a_run_does_not_write_on_the_images(build):
    model = build("in place")
    x = torch.rand(3, 1, 8, 8)
    y = x.double()
    kept = x.clone()
    model.lens.run(x, capture="all")
    model.lens.encode(y)
    codes = torch.tensor([[-1.0, 2.0, -3.0]])
    model.lens.decode(codes)
    assert torch.equal(x, kept)
    assert torch.equal(y, kept.double())
    assert codes.tolist() == [[-1.0, 2.0, -3.0]]
