"""Directions as the units of interventions: hand arithmetic, laws, and what is refused."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import nn

import vaelens as vl

X = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OBLIQUE = torch.tensor([[1.0, 2.0, 0.0, -1.0], [0.0, 1.0, 1.0, 0.0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def lens():
    return vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=4, seed=1).double().eval())


def spread_vectors(units, k, seed=3):
    return torch.randn(k, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def least_squares(activation, vectors):
    """Coordinates along vectors of length 1, by NumPy, (n, k, *positions)."""
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).numpy()
    flat = np.moveaxis(activation.numpy(), 1, 0).reshape(activation.shape[1], -1)
    solved = np.linalg.lstsq(unit.T, flat, rcond=None)[0]
    shape = (len(unit), len(activation), *activation.shape[2:])
    return torch.from_numpy(np.moveaxis(solved.reshape(shape), 0, 1).copy()), torch.from_numpy(unit)


@pytest.mark.parametrize("site", ["encoder.1", "encoder.2", "latent", "decoder.1"])
@pytest.mark.parametrize("kind", ["set", "add", "scale", "zero", "mean", "resample", "patch"])
def test_every_intervention_moves_coordinates_alone(lens, site, kind):
    vectors = spread_vectors(lens.sites[site].units, 2)
    direction = vl.Direction(site, vectors)
    before = lens.run(X, capture=[site]).activations[site]
    other = lens.run(X.flip(0), capture=[site])
    intervention, wanted = {
        "set": (vl.Set(site, direction, [2.0, -1.0]), lambda y: torch.tensor([2.0, -1.0]).to(y)),
        "add": (vl.Add(site, direction, 0.5), lambda y: y + 0.5),
        "scale": (vl.Scale(site, direction, 3.0), lambda y: 3 * y),
        "zero": (vl.Ablate(site, direction), lambda y: 0 * y),
        "mean": (vl.Ablate(site, direction, "mean"), lambda y: y.mean(dim=0, keepdim=True).expand_as(y)),
        "resample": (vl.Ablate(site, direction, "resample", seed=4), lambda y: y[vl_partners()]),
        "patch": (vl.Patch(site, direction, other), lambda y: y.flip(0)),
    }[kind]
    run = lens.run(X, intervention, capture=[site])
    y, unit = least_squares(before, vectors)
    new = wanted(y)
    new = new.reshape(1, 2, *[1] * (y.ndim - 2)).expand_as(y) if new.ndim == 1 else new
    by_hand = before + torch.einsum("ku,nk...->nu...", unit, new - y)
    torch.testing.assert_close(run.activations[site], by_hand, rtol=1e-9, atol=1e-10)
    assert run.hits[0].change == pytest.approx(float((by_hand - before).norm()), rel=1e-9)


def vl_partners():
    from vaelens.lens import other_images

    return torch.as_tensor(other_images(len(X), 4))


def test_unit_vectors_are_the_units(lens):
    eye = torch.eye(64)[[3, 5]]
    for edit in (lambda units: vl.Set("decoder.1", units, 2.0), lambda units: vl.Ablate("decoder.1", units, "mean")):
        along, plain = (
            lens.run(X, edit(units), capture=["decoder.1"]) for units in (vl.Direction("decoder.1", eye), [3, 5])
        )
        torch.testing.assert_close(along.activations["decoder.1"], plain.activations["decoder.1"], rtol=0, atol=1e-15)
        torch.testing.assert_close(along.reconstruction, plain.reconstruction, rtol=1e-14, atol=1e-15)


def test_all_orthonormal_directions_together_patch_the_site(lens):
    square = torch.linalg.qr(spread_vectors(64, 64))[0]
    source = lens.run(X.flip(0), capture=["decoder.1"])
    along, whole = (
        lens.run(X, vl.Patch("decoder.1", units, source)) for units in (vl.Direction("decoder.1", square), "all")
    )
    torch.testing.assert_close(along.reconstruction, whole.reconstruction, rtol=1e-10, atol=1e-12)


def test_an_identity_patch_changes_no_bit(lens):
    direction = vl.Direction("decoder.1", spread_vectors(64, 3))
    base = lens.run(X, capture=["decoder.1"])
    again = lens.run(X, vl.Patch("decoder.1", direction, base), capture=["decoder.1"])
    assert torch.equal(again.activations["decoder.1"], base.activations["decoder.1"])
    assert again.hits[0].change == 0


def test_positions_are_a_box(lens):
    direction = vl.Direction("decoder.1", spread_vectors(64, 2))
    base = lens.run(X, capture=["decoder.1"]).activations["decoder.1"]
    run = lens.run(X, vl.Add("decoder.1", direction, [1.0, -2.0], positions=((1, 3), 0)), capture=["decoder.1"])
    change = run.activations["decoder.1"] - base
    step = direction.vectors[0] - 2 * direction.vectors[1]
    expected = torch.zeros_like(change)
    expected[:, :, 1:3, 0] = step[:, None]
    torch.testing.assert_close(change, expected, rtol=1e-9, atol=1e-12)


def test_a_treatment_along_directions_holds_in_every_rerun(lens):
    """A mediator behind it: the direct and indirect effects of a direction's change add up as any treatment's do."""
    treated = vl.Set("encoder.2", vl.Direction(spread_vectors(256, 1)), 4.0)
    effects = vl.mediation_effects(lens, X, treated, "latent", units="all", progress=False)
    assert float(effects.indirect[0]) == pytest.approx(1, abs=1e-9)
    total = lens.run(X, treated).reconstruction - lens.reconstruct(X)
    assert float(effects.total_norm) == pytest.approx(float(total.flatten(1).norm(dim=1).mean()), rel=1e-9)


def test_the_model_is_left_as_found(lens):
    before = {name: value.clone() for name, value in lens.module.state_dict().items()}
    direction = vl.Direction("decoder.1", spread_vectors(64, 2))
    with pytest.raises(vl.VaelensError, match="source has shape"):
        lens.run(X, vl.Patch("decoder.1", direction, torch.zeros(2, 3)))
    along = lens.along(direction)
    along.run(X, vl.Set("decoder.1", 0, 1.0))
    after = lens.run(X, capture="all")
    assert all(torch.equal(value, before[name]) for name, value in lens.module.state_dict().items())
    assert not any(module._forward_hooks for module in lens.module.modules())
    assert not lens.directions
    assert list(along.directions) == ["decoder.1"]
    plain = vl.Lens(lens.module).run(X, capture="all")
    assert all(torch.equal(after.activations[name], plain.activations[name]) for name in lens.sites)


# A lens along directions


def test_along_directions_units_are_coordinates(lens):
    vectors = {"encoder.1": spread_vectors(64, 2), "latent": OBLIQUE, "decoder.1": spread_vectors(64, 3)}
    along = lens.along(*(vl.Direction(site, rows) for site, rows in vectors.items()))
    plain, run = lens.run(X, capture="all"), along.run(X, capture="all")
    torch.testing.assert_close(run.reconstruction, plain.reconstruction, rtol=1e-12, atol=1e-12)
    for site, rows in vectors.items():
        coordinates = run.activations[site]
        expected, _ = least_squares(plain.activations[site], rows)
        torch.testing.assert_close(coordinates[:, : len(rows)], expected, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(along.decode(along.encode(X)), plain.reconstruction, rtol=1e-12, atol=1e-12)


def test_setting_a_unit_along_directions_is_setting_the_direction(lens):
    for site, rows in (("latent", OBLIQUE), ("decoder.1", spread_vectors(64, 2))):
        direction = vl.Direction(site, rows)
        along = lens.along(direction).run(X, vl.Set(site, 1, 1.5)).reconstruction
        by_set = lens.run(X, vl.Set(site, direction, torch.tensor([[torch.nan, 1.5]]).nan_to_num(0.0)))
        y, _ = least_squares(lens.run(X, capture=[site]).activations[site], rows)
        held = y.clone()
        held[:, 1] = 1.5
        by_hand = lens.run(X, vl.Set(site, direction, held)).reconstruction
        torch.testing.assert_close(along, by_hand, rtol=1e-10, atol=1e-12)
        assert not torch.allclose(along, by_set.reconstruction)


def test_samples_are_of_the_same_posterior(lens):
    along = lens.along(vl.Direction("latent", OBLIQUE))
    plain, run = (each.run(X, sample=True, seed=3) for each in (lens, along))
    torch.testing.assert_close(run.reconstruction, plain.reconstruction, rtol=1e-12, atol=1e-12)


def test_a_codebook_is_the_same_along_directions(vq_lens):
    x = X.float()
    along = vq_lens.along(vl.Direction("latent", spread_vectors(4, 4)))
    assert torch.equal(along.code_indices(x), vq_lens.code_indices(x))
    torch.testing.assert_close(along.reconstruct(x), vq_lens.reconstruct(x))
    coordinates, _ = least_squares(vq_lens.codebook.double(), spread_vectors(4, 4))
    torch.testing.assert_close(along.codebook.double(), coordinates, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def vq_lens():
    model = vl.build_model("vq-vae", image_shape=(1, 16, 16), latent_dim=4, codes=8, seed=2).eval()
    with torch.no_grad():
        model.encoder.code.weight.mul_(30)
        embeddings = model.encode(X.float())[0].movedim(1, -1).reshape(-1, 4)
        model.quantiser.codebook.copy_(embeddings[:8])
    return vl.Lens(model)


# What the next layer cannot see


def test_the_unseen_share_is_that_of_the_null_space_by_hand():
    """Of three neurons the next layer reads a + b alone: (1, −1, 0) and (0, 0, 1) are not seen, (1, 0, 0) half."""
    encoder, decoder = nn.Linear(4, 2), nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4))
    with torch.no_grad():
        decoder[2].weight.copy_(torch.tensor([[1.0, 1.0, 0.0]] * 4) * torch.tensor([[1.0], [2.0], [-1.0], [0.5]]))
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    lens = vl.Lens(model, encoder, decoder, example=torch.randn(2, 4))
    vectors = [[1.0, -1.0, 0.0], [0.0, 0.0, 5.0], [1.0, 0.0, 0.0]]
    shares = lens.unseen_share(vl.Direction("decoder.0", vectors))
    np.testing.assert_allclose(shares, [1, 1, 0.5], atol=1e-7)
    pair = vl.Direction("decoder.0", vectors[1:], together=True)  # (e₃, e₁): (1 + ½) / 2
    np.testing.assert_allclose(lens.unseen_share(pair), [0.75], atol=1e-7)
    np.testing.assert_allclose(lens.unseen_share(vl.Direction("latent", [[1.0, 2.0]])), [0], atol=1e-7)
    assert np.isnan(lens.unseen_share(vl.Direction([[1.0] * 4]), "decoder.1")).all()


@pytest.mark.parametrize("kind", ["conv", "grouped", "transposed", "grouped transposed", "flattened", "1-d", "add"])
def test_the_unseen_share_of_a_convolution_is_what_no_tap_sees(kind):
    torch.manual_seed(0)
    flat = kind == "1-d"
    shape = (1, 4) if flat else (1, 2, 2)
    after = {
        "conv": lambda: nn.Conv2d(6, 1, (1, 2), padding=(0, 1), bias=False),
        "grouped": lambda: nn.Conv2d(6, 2, 1, groups=2, bias=False),
        "transposed": lambda: nn.ConvTranspose2d(6, 1, (1, 2), bias=False),
        "grouped transposed": lambda: nn.ConvTranspose2d(6, 2, 1, groups=2, bias=False),
        "flattened": lambda: nn.Sequential(nn.Flatten(), nn.Linear(24, 2, bias=False)),
        "1-d": lambda: nn.Conv1d(6, 3, 1, bias=False),
        "add": lambda: nn.Conv2d(6, 6, 1, bias=False),
    }[kind]()
    outputs = after(torch.zeros(1, 6, *shape[1:])).numel()
    first = (nn.Conv1d if flat else nn.Conv2d)(1, 6, 1)
    model = nn.ModuleDict({"e": nn.Linear(4, 4), "first": first, "after": after, "last": nn.Linear(outputs, 4)})

    def decode(z):
        hidden = model["first"](z.view(-1, *shape)).relu()
        seen = hidden + model["after"](hidden) if kind == "add" else model["after"](hidden)
        return model["last"](seen.flatten(1)).view(-1, *shape)

    lens = vl.Lens(model, lambda x: model["e"](x.flatten(1)), decode, example=torch.rand(2, *shape))
    direction = vl.Direction("decoder.0", spread_vectors(6, 2))
    shares = lens.unseen_share(direction)
    if kind == "add":  # the channels themselves go on too
        assert np.isnan(shares).all()
        return
    # By hand: what each channel alone, at each position alone, brings about; a mix that brings about nothing is unseen.
    columns = []
    for unit in torch.eye(6):
        responses = []
        for place in np.ndindex(*shape[1:]):
            field = torch.zeros(1, 6, *shape[1:])
            field[(0, slice(None), *place)] = unit
            responses.append(after(field).flatten().detach().double())
        columns.append(torch.cat(responses))
    matrix = torch.stack(columns, dim=1)  # (outputs · positions, units)
    null = torch.eye(6, dtype=torch.float64) - torch.linalg.pinv(matrix, rtol=1e-5) @ matrix
    by_hand = [float((null @ vector).square().sum()) for vector in direction.vectors]
    np.testing.assert_allclose(shares, by_hand, atol=1e-5)
    assert (shares > 0.05).all() == (kind != "flattened")


# Where directions come from


def test_principal_components_are_those_of_scikit_learn(lens):
    direction = vl.Direction.principal(lens, X, "decoder.1", k=3)
    samples = lens.run(X, capture=["decoder.1"]).activations["decoder.1"].movedim(1, -1).reshape(-1, 64)
    expected = PCA(3).fit(samples.numpy()).components_
    np.testing.assert_allclose(np.abs((direction.vectors.numpy() * expected).sum(axis=1)), 1, atol=1e-8)
    np.testing.assert_allclose(direction.vectors @ direction.vectors.T, np.eye(3), atol=1e-12)
    assert direction.names == ("PC 1", "PC 2", "PC 3")
    assert (direction.vectors.gather(1, direction.vectors.abs().argmax(dim=1, keepdim=True)) > 0).all()
    assert len(vl.Direction.principal(lens, X[:3])) == 2  # three codes span two
    with pytest.raises(vl.VaelensError, match="k is 4, and the activations at latent vary along 2"):
        vl.Direction.principal(lens, X[:3], k=4)
    with pytest.raises(vl.VaelensError, match="are the same for all"):
        vl.Direction.principal(lens, X[:1].expand(3, -1, -1, -1))


def test_a_probes_weights_are_taken_back_to_the_activations_units():
    generator = np.random.default_rng(0)
    points = generator.normal(size=(200, 3)) * [1.0, 10.0, 0.1] + 5
    target = points @ [2.0, -0.3, 4.0]
    for probe in (LinearRegression(), make_pipeline(StandardScaler(), LinearRegression())):
        direction = vl.Direction.from_probe("latent", probe.fit(points, target))
        np.testing.assert_allclose(direction.vectors[0] * direction.lengths, [2.0, -0.3, 4.0], rtol=1e-6)
    labels = np.where(target > np.median(target), "high", "low")
    binary = vl.Direction.from_probe("latent", LogisticRegression().fit(points, labels))
    assert binary.names == ("high to low",)
    three = LogisticRegression(C=0.1, max_iter=2000).fit(points, generator.integers(3, size=200))
    assert vl.Direction.from_probe("latent", three, label=2).names == ("2",)
    with pytest.raises(vl.VaelensError, match="unknown label of the probe '7'"):
        vl.Direction.from_probe("latent", three, label=7)
    with pytest.raises(vl.VaelensError, match="StandardScaler has no coef_"):
        vl.Direction.from_probe("latent", StandardScaler().fit(points))
    with pytest.raises(vl.VaelensError, match="begins with a MinMaxScaler"):
        vl.Direction.from_probe("latent", make_pipeline(MinMaxScaler(), LinearRegression()).fit(points, target))


def test_the_difference_of_class_means(lens):
    direction = vl.Direction.difference(lens, X[:2], X[2:], "encoder.1")
    mean = lens.run(X, capture=["encoder.1"]).activations["encoder.1"].mean(dim=(2, 3))
    expected = mean[2:].mean(dim=0) - mean[:2].mean(dim=0)
    torch.testing.assert_close(direction.vectors[0] * direction.lengths, expected)
    with pytest.raises(vl.VaelensError, match="same mean activation"):
        vl.Direction.difference(lens, X, X)


def test_between_two_values_of_a_factor():
    planted = vl.planted_model("rotated", depth=2)
    direction = vl.Direction.between(planted.lens, planted.dataset, "first", (0, 4), n=125)
    torch.testing.assert_close(direction.lengths, torch.tensor([4.0], dtype=torch.float64), atol=1e-5, rtol=0)
    code = planted.lens.encode(planted.images)
    levels = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    _, factors = planted.dataset.sample(125)
    images = planted.dataset.images(factors)
    along = planted.lens.encode(images) @ direction.vectors[0].float()
    torch.testing.assert_close(along, levels[factors[:, 0]], atol=1e-5, rtol=0)
    assert code.shape[1] == direction.vectors.shape[1]
    assert direction.names == ("first 0 to 4",)
    for values in ((0, 0), (0, 9), (1,), "ab"):
        with pytest.raises(vl.VaelensError, match="expected two different values of first, by index from 0 to 4"):
            vl.Direction.between(planted.lens, planted.dataset, "first", values)
    with pytest.raises(vl.VaelensError, match="none of the 2 observations drawn has first"):
        vl.Direction.between(planted.lens, planted.dataset, "first", (0, 4), n=2)
    with pytest.raises(vl.VaelensError, match="did you mean 'first'"):
        vl.Direction.between(planted.lens, planted.dataset, "frist", (0, 4))


def test_directions_by_number_and_by_gram_and_schmidt():
    direction = vl.Direction("latent", OBLIQUE, names=["a", "b"])
    assert (len(direction), direction[1].names, direction[[1]].lengths.tolist()) == (2, ("b",), [2**0.5])
    orthonormal = direction.orthonormal()
    torch.testing.assert_close(orthonormal.vectors @ orthonormal.vectors.T, torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(orthonormal.vectors[0], direction.vectors[0])
    assert repr(vl.Direction(OBLIQUE, together=True)) == "Direction(a subspace of 2 in 4 units of any site)"


# What is refused


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"vectors": [[1.0, 0, 0, 0], [2.0, 0, 0, 0]]}, "linearly dependent: they span 1 dimensions"),
        ({"vectors": torch.ones(5, 4)}, "linearly dependent"),
        ({"vectors": [[1.0, 0, 0, 0], [0.0, 0, 0, 0]]}, "vector 1 of the directions is zero"),
        ({"vectors": [[1.0, np.nan, 0, 0]]}, "contain NaN"),
        ({"vectors": "abc"}, "expected numbers"),
        ({"vectors": [[1.0, 2.0], [1.0]]}, "expected numbers"),
        ({"vectors": np.zeros((1, 2, 3))}, r"shape \(1, 2, 3\); expected \(k, units\)"),
        ({"vectors": []}, r"shape \(1, 0\)"),
        ({"site": 3, "vectors": [1.0]}, "site is 3"),
        ({"vectors": [1.0, 0.0], "names": ["a", "b"]}, "2 names were given for 1 directions"),
    ],
)
def test_what_is_no_direction_is_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(vl.VaelensError, match=sentence):
        vl.Direction(**arguments)


def test_what_does_not_fit_a_site_is_refused_in_a_sentence(lens):
    narrow, of_latent = vl.Direction([1.0, 2.0]), vl.Direction("latent", [1.0, 2.0, 3.0, 4.0])
    cases = [
        (lambda: lens.run(X, vl.Set("latent", narrow, 1.0)), "directions have 2 entries and latent has 4 units"),
        (lambda: lens.run(X, vl.Set("encoder.2", of_latent, 1.0)), "are of latent, and encoder.2 was asked for"),
        (lambda: lens.run(X, vl.Set("latent", of_latent, [1.0, 2.0, 3.0])), "value at latent has shape"),
        (lambda: lens.along(narrow), "names no site"),
        (lambda: lens.along(of_latent, of_latent), "directions at latent, latent"),
        (lambda: lens.along(of_latent).along(of_latent), "directions at latent, latent"),
        (lambda: lens.along(), "directions at no site"),
        (lambda: lens.along([1.0]), "is not a Direction"),
        (lambda: lens.along(vl.Direction("latnet", [1.0])), "did you mean 'latent'"),
        (lambda: lens.unseen_share(of_latent, "decoder.0"), "are of latent, and decoder.0 was asked for"),
        (lambda: lens.along(of_latent).name_sites({"a": "decoder"}), "name sites of the lens that it was made from"),
    ]
    for refused, sentence in cases:
        with pytest.raises(vl.VaelensError, match=sentence):
            refused()
