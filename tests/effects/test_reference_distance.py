import numpy as np
import pytest
import torch

import vaelens as vl
from vaelens.effects.reference_distance import reference_distance
from vaelens.lens import Engine
from vaelens.statistics import poisson_weights


def all_distances(model):
    images = model.z @ model.w.T + model.b
    return np.array([np.linalg.norm(images[i] - images[j]) for i in range(len(images)) for j in range(i)])


def test_the_reference_distance_is_over_all_pairs_of_few_images(linear):
    model = linear(d=2, shape=(1, 2, 2), images=40)
    mean, replicates = reference_distance(model.lens, model.lens.encode(model.x), seed=1, resamples=300)
    distances = all_distances(model)
    assert mean == pytest.approx(distances.mean(), rel=1e-9)
    assert replicates.shape == (300,)
    assert replicates.mean() == pytest.approx(mean, rel=0.05)
    assert 0 < replicates.std() < 0.2 * mean


@pytest.mark.parametrize("images", [513, 1100])
def test_the_reference_distance_of_many_images_is_over_seeded_pairs(linear, images):
    model = linear(d=2, shape=(1, 2, 2), images=images)
    codes = model.lens.encode(model.x)
    first, again, other = (reference_distance(model.lens, codes, seed=seed, resamples=2)[0] for seed in (0, 0, 1))
    distances = all_distances(model)
    assert first == again != other
    # 50,000 of the pairs, among at least 513 images: within five standard errors of the images' mean
    assert first == pytest.approx(distances.mean(), abs=5 * distances.std() / np.sqrt(len(model.z)))
    assert first != pytest.approx(distances.mean(), rel=1e-9)


def test_512_images_are_still_compared_pair_by_pair(linear):
    model = linear(d=2, shape=(1, 2, 2), images=512)
    mean = reference_distance(model.lens, model.lens.encode(model.x), resamples=1)[0]
    assert mean == pytest.approx(all_distances(model).mean(), rel=1e-9)


def test_one_image_has_no_distance(linear):
    model = linear(images=1)
    mean, replicates = reference_distance(model.lens, model.lens.encode(model.x), resamples=3)
    assert np.isnan(mean)
    assert np.isnan(replicates).all()


def test_a_replicate_weighs_a_pair_by_both_its_images(linear):
    model = linear(d=2, shape=(1, 2, 2), images=6)
    weights = poisson_weights(6, 5, seed=2)
    images = model.z @ model.w.T + model.b
    expected = []
    for w in weights:
        pairs = [(w[i] * w[j], np.linalg.norm(images[i] - images[j])) for i in range(6) for j in range(i)]
        total = sum(a for a, _ in pairs)
        expected.append(sum(a * b for a, b in pairs) / total if total else np.nan)
    np.testing.assert_allclose(
        reference_distance(model.lens, model.lens.encode(model.x), seed=2, resamples=5)[1], expected
    )


@pytest.mark.parametrize("images", [40, 600])
def test_large_pictures_are_compared_block_by_block(linear, monkeypatch, images):
    model = linear(d=2, shape=(1, 2, 2), images=images)
    codes = model.lens.encode(model.x)
    expected = reference_distance(model.lens, codes, seed=1, resamples=30)
    decoded, decode_some = [], Engine.decode_some

    def counted(engine, codes, indices):
        decoded.append(len(indices))
        return decode_some(engine, codes, indices)

    monkeypatch.setattr(Engine, "decode_some", counted)
    monkeypatch.setattr("vaelens.effects.reference_distance._BYTES", 25 * 4 * 4)
    mean, replicates = reference_distance(model.lens, codes, seed=1, resamples=30)
    assert mean == pytest.approx(expected[0], rel=1e-12)
    np.testing.assert_allclose(replicates, expected[1], rtol=1e-12)
    assert max(decoded) == 12
    assert images < sum(decoded) <= images * (images / 12 + 2) / 2 + images


def test_reconstructions_that_differ_by_rounding_alone_are_alike_and_no_unit(linear):
    model = linear(d=2, shape=(1, 2, 2), images=20)
    with torch.no_grad():
        model.lens.module.decoder[0].weight.mul_(1e-8)
    codes = model.lens.encode(model.x)

    mean, replicates = reference_distance(model.lens, codes, resamples=3)
    effects = vl.latent_effects(model.lens, model.x, progress=False)

    assert mean == 0
    assert (replicates == 0).all()
    assert effects.attrs["reference_distance"] == 0
    assert (effects.ces > 0).all()
    assert np.isnan(effects.ces_relative).all()
    assert np.isnan(effects.ces_relative_low).all()
