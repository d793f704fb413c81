"""What holds for a lens on every architecture of the catalogue."""

import json

import pytest
import torch

import vaelens as vl
from vaelens.models.catalogue import CATALOGUE

IMAGES = torch.rand(2, 5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=CATALOGUE)
def lens(request):
    model = vl.build_model(request.param, image_shape=(3, 16, 16), latent_dim=4).train()
    if model.quantiser is not None:
        with torch.no_grad():  # the codes of an untrained codebook are so far from its images that all take one
            found = model.encode(IMAGES[0])[0].movedim(1, -1).reshape(-1, 4)
            model.quantiser.codebook.copy_(found[torch.arange(512) % len(found)])
    return vl.Lens(model)


def test_the_model_is_as_it_was_also_after_an_exception(lens):
    state = {name: tensor.clone() for name, tensor in lens.module.state_dict().items()}
    random = torch.get_rng_state()
    lens.run(IMAGES[0], [vl.Set("latent", 0, 1.0), vl.Ablate("decoder.0", "all")], capture="all")
    with pytest.raises(vl.VaelensError, match=r"value at decoder\.0 is not finite"):
        lens.run(IMAGES[0], [vl.Set("decoder.0", 0, float("inf"))])
    for name, tensor in lens.module.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert all(child.training and not child._forward_hooks for child in lens.module.modules())
    assert torch.equal(torch.get_rng_state(), random)


def test_patching_with_itself_changes_no_bit_and_a_whole_site_hands_over_everything(lens):
    base, source = (lens.run(images, capture="all") for images in IMAGES)
    for site in lens.sites:
        same = lens.run(IMAGES[0], vl.Patch(site, "all", base))
        assert torch.equal(same.reconstruction, base.reconstruction)
        assert same.hits[0].change == 0
        given = lens.run(IMAGES[0], vl.Patch(site, "all", source))
        assert torch.equal(given.reconstruction, source.reconstruction)


def test_sites_and_shapes_fit(lens):
    run = lens.run(IMAGES[0], capture="all")
    assert run.reconstruction.shape == IMAGES[0].shape
    assert run.reconstruction.min() >= 0
    assert run.reconstruction.max() <= 1
    assert {name: tuple(a.shape[1:]) for name, a in run.activations.items()} == {
        name: site.shape for name, site in lens.sites.items()
    }
    assert run.code.shape == (5, *lens.module.code_shape)
    assert torch.equal(lens.encode(IMAGES[0]), run.code)
    assert torch.equal(lens.reconstruct(IMAGES[0]), run.reconstruction)
    assert lens.latents == 4
    assert lens.representation(IMAGES[0]).shape == (5, 4)


def test_it_computes_what_the_model_does(lens):
    model = lens.module.eval()
    with torch.no_grad():
        mean, logvar = model.encode(IMAGES[0])
        assert torch.equal(lens.decode(mean), model.decode(mean))
        assert torch.equal(lens.posterior(IMAGES[0])[0], mean)
    assert lens.quantised == (model.quantiser is not None) == (logvar is None)


def test_it_is_described_in_plain_types(lens):
    record = lens.describe()
    assert json.loads(json.dumps(record)) == record
    assert record["model"] == lens.module.objective
    assert record["latent"] == ("quantised" if lens.quantised else "continuous")
