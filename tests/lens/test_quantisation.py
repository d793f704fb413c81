import json

import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.lens.quantisation import Quantisation, nearest, rows_that_differ


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def by_hand(points, codes):
    """Distances in float64, one pair at a time."""
    return np.array([np.argmin([((p - c) ** 2).sum() for c in codes]) for p in points.double().numpy()])


# The nearest code


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("codes", "width"), [(1, 1), (2, 3), (37, 4), (512, 64)])
def test_the_nearest_code_is_that_of_the_distances(codes, width, dtype):
    book = torch.randn(codes, width, generator=generator(), dtype=dtype)
    points = torch.randn(300, width, generator=generator(1), dtype=dtype)
    np.testing.assert_array_equal(nearest(points, book), by_hand(points, book.double().numpy()))


def test_the_lower_of_two_codes_as_near_is_taken():
    book = torch.tensor([[3.0], [1.0], [-1.0], [1.0]])
    assert nearest(torch.tensor([[0.0], [1.0], [2.0], [9.0]]), book).tolist() == [1, 1, 0, 0]


def test_a_point_on_the_boundary_goes_the_same_way_in_whatever_company():
    # codes on a line and points half-way between two: equally near but for rounding, which differs by the rows
    book = torch.randn(1, 64, generator=generator()).repeat(512, 1)
    book[:, 0] = torch.arange(512) * 0.37
    points = torch.randn(511, 64, generator=generator(1))
    points[:, 0] = (book[:-1, 0] + book[1:, 0]) / 2
    whole = nearest(points, book)
    for rows in (1, 2, 3, 16, 17, 255, 256, 257):
        assert torch.equal(torch.cat([nearest(block, book) for block in points.split(rows)]), whole)
    order = torch.randperm(511, generator=generator(2))
    assert torch.equal(nearest(points[order], book), whole[order])


def test_a_code_is_its_own_nearest_also_beside_its_double():
    book = torch.randn(512, 64, generator=generator())
    book[256:] = book[:256] * (1 + 2e-7)  # the last bit or two
    assert nearest(book, book).tolist() == list(range(512))


def test_positions_are_quantised_each_by_itself():
    book = Quantisation(torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]]))
    z = torch.tensor([[[0.9, 0.1], [0.2, -3.0]], [[0.8, 0.3], [1.9, 0.6]]]).movedim(0, 1)[None]  # (1, 2, 2, 2)
    found = book(z)
    expected = by_hand(z[0].flatten(1).T, book.codebook.double().numpy()).reshape(1, 2, 2)
    np.testing.assert_array_equal(found.indices, expected)
    assert found.indices.dtype == torch.int64
    for row in range(2):
        for column in range(2):
            assert torch.equal(found.embedding[0, :, row, column], book.codebook[found.indices[0, row, column]])


def test_a_latent_without_positions_is_one_code():
    found = Quantisation(torch.tensor([[0.0], [2.0]]))(torch.tensor([[0.4], [1.6], [1.0]]))
    assert found.indices.tolist() == [0, 1, 0]
    assert found.embedding.tolist() == [[0.0], [2.0], [0.0]]


def test_a_codebook_is_read_anew_each_time():
    codes = [torch.tensor([[0.0], [2.0]])]
    book = Quantisation(lambda: codes[0])
    assert book(torch.tensor([[1.5]])).embedding.tolist() == [[2.0]]
    codes[0] = torch.tensor([[1.0], [9.0]])
    assert book(torch.tensor([[1.5]])).embedding.tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("codebook", "message"),
    [
        ([[1.0]], r"the codebook is of type list; expected a tensor of floats \(codes, d\), or a function"),
        (torch.zeros(3), r"the codebook is of shape \(3,\) and float32; expected a tensor of floats \(codes, d\)"),
        (torch.zeros(3, 0), r"the codebook is of shape \(3, 0\)"),
        (
            torch.zeros(3, 2, dtype=torch.int64),
            r"the codebook is of shape \(3, 2\) and int64; expected a tensor of fl",
        ),
        (lambda: None, r"the codebook is of type NoneType"),
        (torch.full((2, 2), torch.nan), "the codebook contains NaN or infinite values; give the codes of a trained"),
    ],
)
def test_what_is_no_codebook_is_refused(codebook, message):
    with pytest.raises(VaelensError, match=message):
        Quantisation(codebook)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda z: z, r"quantise gave torch.float32 of shape \(2, 1, 3\); expected the index of a code .*\(2, 3\)"),
        (lambda z: [0], "quantise gave a list; expected the index of a code at each position"),
        (lambda z: torch.zeros(2, dtype=torch.int64), r"quantise gave torch.int64 of shape \(2,\)"),
        (lambda z: torch.full((2, 3), 2), r"quantise gave indices 2 to 2; the codebook's are 0 to 1"),
        (lambda z: torch.full((2, 3), -1), r"quantise gave indices -1 to -1; the codebook's are 0 to 1"),
    ],
)
def test_a_rule_that_gives_no_indices_is_refused(rule, message):
    with pytest.raises(VaelensError, match=message):
        Quantisation(torch.zeros(2, 1), rule)(torch.zeros(2, 1, 3))


def test_a_codebook_of_another_width_is_refused():
    with pytest.raises(VaelensError, match="the latent has 3 dimensions and the codebook's codes have 2; give the"):
        Quantisation(torch.zeros(4, 2))(torch.zeros(1, 3, 2, 2))


# The lens


@pytest.fixture(params=["quantised", "foreign quantised"])
def model(request, build):
    return build(request.param)


def test_a_lens_knows_the_codes_of_its_images(model):
    lens = model.lens
    z, book = lens.encode(model.x), lens.codebook
    indices = lens.code_indices(model.x)
    assert lens.quantised is True
    assert indices.shape == (5, *z.shape[2:])
    assert indices.dtype == torch.int64
    points = z.movedim(1, -1).reshape(-1, z.shape[1])
    np.testing.assert_array_equal(indices.flatten(), by_hand(points, book.double().numpy()))
    assert len(indices.unique()) > 1
    quantised = lens.quantise(z)
    assert torch.equal(quantised.indices, indices)
    assert torch.equal(quantised.embedding, book[indices].movedim(-1, 1))
    mean = np.array([[book.numpy()[i].mean(axis=0)] for i in indices.flatten(1).numpy()])[:, 0]
    np.testing.assert_allclose(lens.representation(model.x), mean, rtol=1e-5, atol=1e-8)
    assert lens.representation(model.x).shape == (5, lens.latents)


def test_the_codes_are_those_of_the_model(build):
    model = build("quantised")
    model.model.eval()  # in training, quantising moves the codebook
    with torch.no_grad():
        expected = model.model.quantise(model.model.encode(model.x)[0])
    assert torch.equal(model.lens.code_indices(model.x), expected.indices)
    assert torch.equal(model.lens.quantise(model.lens.encode(model.x)).embedding, expected.embedding)
    assert torch.equal(model.lens.codebook, model.model.quantiser.codebook)


def test_chunks_choose_the_same_codes(model):
    narrow = vl.Lens(model.model, model.encode, model.decode, example=model.x, memory_mb=1e-6, **model.extra)
    assert narrow.engine.rows == 1
    z = model.lens.encode(model.x)
    assert torch.equal(narrow.quantise(z).indices, model.lens.quantise(z).indices)
    assert torch.equal(narrow.code_indices(model.x), model.lens.code_indices(model.x))


def test_every_code_of_the_codebook_decodes_to_itself(model):
    lens, decode = model.lens, model.decode or (lambda e: model.model.mean(model.model.decoder(e)))
    z = lens.encode(model.x[:1])
    for index, code in enumerate(lens.codebook):
        edited = z.clone()
        edited[:, :, 2, 1] = code
        chosen = lens.quantise(z).indices
        chosen[:, 2, 1] = index
        assert torch.equal(lens.quantise(edited).indices, chosen)
        with torch.no_grad():
            assert torch.equal(lens.decode(edited), decode(lens.codebook[chosen].movedim(-1, 1)))


def test_a_full_size_codebook_decodes_to_itself():
    model = vl.build_model("vq-vae", image_shape=(1, 8, 8))
    with torch.no_grad():
        model.quantiser.codebook[256:] = model.quantiser.codebook[:256] * (1 + 2e-7)
    lens = vl.Lens(model)
    z = lens.codebook.reshape(32, 4, 4, 64).movedim(-1, 1)
    assert lens.quantise(z).indices.flatten().tolist() == list(range(512))
    assert torch.equal(lens.quantise(z).embedding, z)


def test_what_is_decoded_is_quantised_first(model):
    lens = model.lens
    z = lens.encode(model.x)
    moved = z + 1e-7 * torch.randn(z.shape, generator=generator())
    assert not torch.equal(moved, z)
    assert torch.equal(lens.decode(moved), lens.decode(z))
    assert torch.equal(lens.decode(lens.quantise(z).embedding), lens.decode(z))
    run = lens.run(model.x, vl.Add("latent", "all", 1e-7))
    assert torch.equal(run.reconstruction, lens.run(model.x).reconstruction)
    assert run.hits[0].change > 0  # it took place; the codes are the same
    assert torch.equal(run.code, z + 1e-7)


def test_a_rule_of_ones_own_decides(build):
    model = build("foreign quantised")
    lens = vl.Lens(
        model.model,
        model.encode,
        model.decode,
        codebook=model.extra["codebook"],
        quantise=lambda z: (z[:, 0] > 0).long() + 3,
        example=model.x,
    )
    z = lens.encode(model.x)
    assert torch.equal(lens.code_indices(model.x), (z[:, 0] > 0).long() + 3)
    with torch.no_grad():
        expected = model.decode(lens.codebook[lens.code_indices(model.x)].movedim(-1, 1))
    assert torch.equal(lens.decode(z), expected)


def test_a_rule_leaves_no_trace(build):
    model = build("foreign quantised")
    model.model.train()

    def rule(z):
        assert not model.model.training
        torch.rand(1)
        z.zero_()
        return torch.zeros(len(z), 4, 4, dtype=torch.int64)

    options = {"codebook": model.extra["codebook"], "quantise": rule, "example": model.x}
    lens = vl.Lens(model.model, model.encode, model.decode, **options)
    before = torch.get_rng_state()
    z = lens.encode(model.x)
    kept = z.clone()
    lens.quantise(z)
    lens.decode(z)
    assert torch.equal(z, kept)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.model.training


def test_a_codebook_that_changes_is_seen(build):
    model = build("quantised")
    before = model.lens.decode(model.lens.encode(model.x))
    with torch.no_grad():
        model.model.quantiser.codebook.add_(0.5)
    assert torch.equal(model.lens.codebook, model.model.quantiser.codebook)
    assert not torch.equal(model.lens.decode(model.lens.encode(model.x)), before)


def test_a_codebook_in_training_stays_as_it_is(build):
    model = build("quantised")
    model.model.train()
    state = {name: tensor.clone() for name, tensor in model.model.state_dict().items()}
    model.lens.run(model.x, vl.Set("latent", 0, 0.3), capture="all")
    model.lens.representation(model.x)
    for name, tensor in model.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name
    assert model.model.quantiser.training


def test_codes_cannot_be_sampled(model):
    with pytest.raises(VaelensError, match="gives no variance, so codes can't be sampled; use sample=False"):
        model.lens.run(model.x, sample=True)


def test_a_continuous_latent_has_no_codes(small):
    assert small.lens.quantised is False
    assert small.lens.codebook is None
    for call in (small.lens.code_indices, small.lens.quantise):
        with pytest.raises(VaelensError, match="the latent of this vae is continuous, so no position of it takes a"):
            call(small.x)


def test_codes_to_quantise_are_checked(model):
    with pytest.raises(VaelensError, match=r"codes have shape \(5, 1, 8, 8\)|codes have shape \(5, 1, 16, 16\)"):
        model.lens.quantise(model.x)


def test_a_quantised_latent_is_described(build):
    lens = build("quantised").lens
    record = lens.describe()
    assert record["latent"] == "quantised"
    assert record["codes"] == 6
    assert record["hyperparameters"]["codes"] == 6
    assert json.loads(json.dumps(record)) == record
    assert repr(lens).startswith("Lens on vq-vae, quantised by 6 codes\n")
    foreign = build("foreign quantised").lens
    assert foreign.describe()["codes"] == 5
    assert repr(foreign).startswith("Lens on ModuleDict, quantised by 5 codes\n")


def test_what_does_not_belong_together_is_refused(build, small):
    foreign = build("foreign quantised")
    with pytest.raises(VaelensError, match=r"quantise chooses codes of a codebook, and none was given; give codebook="):
        vl.Lens(foreign.model, foreign.encode, foreign.decode, quantise=lambda z: z)
    with pytest.raises(VaelensError, match="a VAE brings its own codebook, where it has one; leave codebook= out"):
        vl.Lens(small.model, codebook=torch.zeros(2, 3))
    with pytest.raises(VaelensError, match="the latent has 2 dimensions and the codebook's codes have 3"):
        vl.Lens(foreign.model, foreign.encode, foreign.decode, codebook=torch.zeros(2, 3), example=foreign.x)
    with pytest.raises(VaelensError, match="encode and decode belong together"):
        vl.Lens(nn.Linear(1, 1), encode=lambda x: x, codebook=torch.zeros(2, 3))


def test_rows_that_differ_are_found_with_positions_and_without():
    some, others = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([[1, 2], [3, 0], [0, 6]])
    assert rows_that_differ(some, others).tolist() == [1, 2]
    assert rows_that_differ(some[:, 0], others[:, 0]).tolist() == [2]
    assert rows_that_differ(some, some).tolist() == []
