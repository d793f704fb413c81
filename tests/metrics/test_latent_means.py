import numpy as np
import pytest
import torch
from torch import nn

import vaelens as vl
from vaelens.metrics.latent_means import latent_means


def spatial(codebook=None):
    """code = (x, −x) at each of 2 × 3 positions; the image is the first channel again."""
    encoder, decoder = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 1, bias=False)
    with torch.no_grad():
        encoder.weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
        decoder.weight.copy_(torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1))
    model = nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    return vl.Lens(model, encoder, decoder, example=torch.zeros(1, 1, 2, 3), codebook=codebook)


X = torch.arange(12.0).reshape(2, 1, 2, 3) / 12


def test_a_latent_with_positions_counts_as_its_mean_over_them():
    assert spatial().representation(X).shape == (2, 2, 2, 3)  # which is mu(x), as it is
    np.testing.assert_allclose(latent_means(spatial(), X), [[2.5 / 12, -2.5 / 12], [8.5 / 12, -8.5 / 12]], rtol=1e-6)


def test_codes_that_are_chosen_count_as_their_mean():
    lens = spatial(torch.tensor([[0.0, 0.0], [0.875, -0.875]]))  # the second from 0.4375 on
    assert latent_means(lens, X).tolist() == lens.representation(X).tolist() == [[0, 0], [0.875, -0.875]]


def test_a_latent_without_positions_is_the_code(linear):
    model = linear()
    np.testing.assert_allclose(latent_means(model.lens, model.x), model.z, rtol=1e-9)
    assert latent_means(model.lens, model.x).dtype == torch.float64


def test_what_is_no_lens_is_refused():
    with pytest.raises(vl.VaelensError, match=r"lens is a Conv2d; expected a vl\.Lens, such as vl\.Lens\(model\)"):
        latent_means(nn.Conv2d(1, 1, 1), X)


def spatial_dataset():
    """Two factors, each the brightness of a half of the image, and so of half of the positions."""
    labels = np.stack(np.unravel_index(np.arange(48) % 12, (3, 4)), axis=1)
    images = np.zeros((48, 1, 2, 3), dtype=np.float32)
    images[:, 0, 0], images[:, 0, 1] = labels[:, :1] / 2, labels[:, 1:] / 3
    return vl.ArrayDataset(images, labels, ["one", "two"])


def test_scores_of_a_latent_with_positions_have_one_row_for_each_channel():
    lens, ds = spatial(), spatial_dataset()
    assert vl.factor_vae_score(lens, ds, n_train=30, n_test=10, batch_size=8, progress=False).votes.shape == (2, 2)
    assert vl.beta_vae_score(lens, ds, n_train=30, n_test=10, batch_size=8, progress=False).constant_latents == ()
    analysis = vl.analyse(lens, ds, n=12, progress=False)
    importance = analysis.effects["importance"]
    assert importance.latent.values.tolist() == analysis.effects["latent"].latent.values.tolist() == [0, 1]
    made = importance.attrs["mig_made"]
    assert made.startswith("48 codes, means over positions of the means of the posterior, 3 nearest neighbours")
    x, factors = ds.sample(48, seed=1)
    means = x.mean(dim=(1, 2, 3), dtype=torch.float64).numpy()
    assert float(importance["mig"]) == vl.mig(np.stack([means, -means], axis=1).astype(np.float32), factors.numpy())
