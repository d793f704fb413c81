"""Running again against hooks: every model of the battery, every architecture, every way."""

import pytest
import torch

import vaelens as vl
from vaelens.lens.regions import Region, Regions, has_units, regions
from vaelens.models.catalogue import CATALOGUE

HOOKS = "forward hooks, because "
# What torch.export can't follow of the battery, by model and part, and why.
NOT_EXPORTED = {
    "in place": {"encoder": "it writes over what it is given", "decoder": "it writes over what it is given"},
    # They return a pair.
    "multihead attention": {"encoder": "as steps, encoder.1 has another shape"},
    "recurrent": {
        "encoder": "as steps, encoder.0 has another shape",
        "decoder": "as steps, decoder.1 has another shape",
    },
}
IMAGES = torch.rand(2, 4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def architecture(name, **options):
    """An architecture of the catalogue, its codes such that something is chosen between."""
    model = vl.build_model(name, image_shape=(3, 16, 16), latent_dim=4, seed=1)
    if model.quantiser is not None:
        with torch.no_grad():
            found = model.encode(IMAGES[0])[0].movedim(1, -1).reshape(-1, 4)
            model.quantiser.codebook.copy_(found[torch.arange(512) % len(found)])
    return vl.Lens(model, **options)


def few_regions(site):
    """Several units; all of them; a few positions; boxes; a unit in a box."""
    groups = [Region(tuple(range(0, site.units, 2))), Region((site.units - 1, 0) if site.units > 1 else (0,))]
    groups.append(Region(tuple(range(site.units))))
    if has_units(site, "position"):
        groups += regions(site, "position")[0][1:3]
        groups.append(Region((0,), tuple(slice(0, max(1, size // 2)) for size in site.shape[1:])))
        last = Region((site.units - 1,), tuple(slice(size // 2, size) for size in site.shape[1:]))
        groups.append(Regions((groups[-1], last)))
    if has_units(site, (2, 3)):
        groups += regions(site, (2, 3))[0][:2]
    groups.append(Regions((Region((0,)), Region(tuple(range(site.units - 1, site.units))))))
    return groups


def small_boxes(site):
    """Regions of few units, which a layer behind them is updated by."""
    if site.units < 2 or len(site.shape) < 2:
        return []
    box = tuple(slice(size // 3, size) for size in site.shape[1:])
    return [Region((1,), box), Region((0,), box), Region((1, 0)[: max(1, site.units // 2)])]


def test_the_battery(any_model, exchanges, units):
    lens = any_model.lens
    assert set(lens.execution.values()) == {"torch.fx"}
    groups = lambda site: [Region((k,)) for k in units(site.units, 6)]  # noqa: E731
    exchanges(lens, any_model.x, any_model.y, groups)
    exchanges(lens, any_model.x, any_model.y, few_regions)
    exchanges(lens, any_model.x, any_model.y, small_boxes)


def test_the_battery_under_hooks(any_model, exchanges, build, request):
    found = build(request.node.callspec.params["any_model"], execution="hooks")
    assert set(found.lens.execution.values()) == {f"{HOOKS}they were asked for"}
    exchanges(found.lens, found.x, found.y, lambda site: [Region((0,)), *small_boxes(site)[:1]])


def test_the_battery_by_torch_export(any_model, exchanges, build, request):
    name = request.node.callspec.params["any_model"]
    found = build(name, execution="torch.export")
    reasons = NOT_EXPORTED.get(name, {})
    assert found.lens.execution == {
        part: f"{HOOKS}{reasons[part]}" if part in reasons else "torch.export" for part in ("encoder", "decoder")
    }
    exchanges(found.lens, found.x, found.y, lambda site: [Region((0,)), *small_boxes(site)[:1]])


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_architecture(name, exchanges, units):
    lens = architecture(name)
    assert lens.execution == {"encoder": "torch.fx", "decoder": "torch.fx"}
    exchanges(lens, *IMAGES, lambda site: [Region((k,)) for k in units(site.units, 3)] + few_regions(site)[:1])


def interventions(lens, site, source):
    """Every kind of intervention at a site, the last two at some positions where there are any."""
    shape = lens.sites[site].shape
    where = tuple((0, max(1, size // 2)) for size in shape[1:]) or "all"
    return [
        vl.Set(site, 0, 0.3),
        vl.Add(site, "all", 0.2),
        vl.Scale(site, [0], -2.0),
        vl.Ablate(site, "all"),
        vl.Ablate(site, [0], "mean"),
        vl.Ablate(site, "all", "resample", seed=3),
        vl.Patch(site, "all", source),
        vl.Patch(site, [0], source, positions=where),
        vl.Scale(site, "all", 0.5, positions=where),
    ]


def check_treatment(lens, x, treatment, same):
    replay, run = (
        lens.engine.cached_run(x, (), treatment, capture=list(lens.sites)),
        lens.run(x, treatment, capture="all"),
    )
    same(replay.code, run.code, f"{treatment}: code")
    same(replay.image, run.reconstruction, f"{treatment}: image")
    assert replay.activations.keys() == run.activations.keys()
    for site, activation in run.activations.items():
        same(replay.activation(site), activation, f"{treatment}: {site}")


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_treatment_of_every_architecture(name, same):
    lens = architecture(name)
    sources = lens.run(IMAGES[1], capture="all").activations
    for site in ("encoder.1", "latent", "decoder.1"):
        for intervention in interventions(lens, site, sources[site]):
            check_treatment(lens, IMAGES[0], [intervention], same)


def test_every_treatment_of_the_battery(any_model, same):
    lens, x = any_model.lens, any_model.x
    sources = lens.run(any_model.y, capture="all").activations
    each = [interventions(lens, site, sources[site]) for site in lens.sites]
    for kind in range(len(each[0])):
        check_treatment(lens, x, [each[kind % len(each)][kind]], same)
        check_treatment(lens, x, [every[kind] for every in each], same)


@pytest.mark.parametrize("execution", ["auto", "hooks"])
def test_what_a_treatment_has_set_stays_so(any_model, exchanges, build, request, units, execution):
    found = build(request.node.callspec.params["any_model"], execution=execution)
    lens = found.lens
    for site in [*lens.sites][::3]:
        treatment = [vl.Set(site, 0, 0.4)]
        others = [name for name in lens.sites if name != site]
        exchanges(lens, found.x, found.y, lambda at: [Region((k,)) for k in units(at.units, 1)], others, treatment)
