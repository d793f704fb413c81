"""A TVAE of ctgan: effects equal a loop on its own decoder, and its own transformer turns rows back into a table."""

from collections import namedtuple
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn

import vaelens as vl

Span = namedtuple("Span", ["dim", "activation_fn"])


class Encoder(nn.Module):
    """As ctgan builds it."""

    __module__ = "ctgan.synthesizers.tvae"

    def __init__(self, data_dim, hidden, latents):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(data_dim, hidden), nn.ReLU())
        self.fc1, self.fc2 = nn.Linear(hidden, latents), nn.Linear(hidden, latents)

    def forward(self, rows):
        hidden = self.seq(rows)
        return self.fc1(hidden), torch.exp(0.5 * self.fc2(hidden)), self.fc2(hidden)


class Decoder(nn.Module):
    def __init__(self, latents, hidden, data_dim):
        super().__init__()
        self.seq = nn.Sequential(nn.Linear(latents, hidden), nn.ReLU(), nn.Linear(hidden, data_dim))
        self.sigma = nn.Parameter(torch.ones(data_dim) * 0.1)

    def forward(self, codes):
        return self.seq(codes), self.sigma


class TVAE:
    """A stand-in, told by its name and package as the real one is."""

    __module__ = "ctgan.synthesizers.tvae"

    def __init__(self):
        torch.manual_seed(0)
        self.encoder, self.decoder = Encoder(6, 8, 2), Decoder(2, 8, 6)
        number = SimpleNamespace(
            column_name="age",
            column_type="continuous",
            output_info=[Span(1, "tanh"), Span(2, "softmax")],
            output_dimensions=3,
        )
        classes = SimpleNamespace(
            column_name="colour",
            column_type="discrete",
            output_info=[Span(3, "softmax")],
            output_dimensions=3,
            transform=SimpleNamespace(dummies=["red", "blue", None]),
        )
        self.transformer = SimpleNamespace(_column_transform_info_list=[number, classes])


def by_hand(decoder, z, spans):
    output, _ = decoder(z)
    start, values = 0, []
    for width, kind in spans:
        own = output[:, start : start + width]
        values.append(torch.tanh(own) if kind == "tanh" else torch.softmax(own, dim=1))
        start += width
    return torch.cat(values, dim=1)


def check_effects(tvae, x, latents, spans):
    lens = vl.Lens(tvae)
    effects = vl.latent_effects(lens, x, values=[-2.0, 1.0], progress=False)
    with torch.no_grad():
        z = tvae.encoder(x)[0]
        torch.testing.assert_close(lens.encode(x), z)
        torch.testing.assert_close(lens.posterior(x)[1], tvae.encoder(x)[2])
        base = by_hand(tvae.decoder, z, spans)
        for latent in range(latents):
            distances = []
            for value in (-2.0, 1.0):
                changed = z.clone()
                changed[:, latent] = value
                distances.append(float((by_hand(tvae.decoder, changed, spans) - base).norm(dim=1).mean()))
            assert float(effects.ces[latent]) == pytest.approx(np.mean(distances), abs=1e-4)
    return lens, effects


def test_effects_on_a_model_built_as_ctgan_builds_it_equal_a_loop(monkeypatch):
    monkeypatch.setattr("vaelens.lens.adapters.choice.version", lambda package: "0")
    x = torch.rand(12, 6, generator=torch.Generator().manual_seed(0))
    lens, effects = check_effects(TVAE(), x, 2, [(1, "tanh"), (2, "softmax"), (3, "softmax")])
    assert effects.feature.values.tolist() == [
        "age", "age mode 0", "age mode 1", "colour=red", "colour=blue", "colour=None"
    ]  # fmt: skip
    assert lens.observation.groups == {"age": (0, 1, 2), "colour": (3, 4, 5)}
    assert lens.observation.one_hot == ((1, 2), (3, 4, 5))
    assert lens.describe()["library"] == "ctgan 0"


def test_a_model_without_its_encoder_is_one_sentence():
    tvae = TVAE()
    del tvae.encoder
    with pytest.raises(vl.VaelensError, match=r"threw the encoder of this TVAE away .* inside `with vl\.encoder_kept"):
        vl.Lens(tvae)
    del tvae.decoder
    with pytest.raises(vl.VaelensError, match="this TVAE was not fitted"):
        vl.Lens(tvae)


@pytest.mark.filterwarnings("ignore")
def test_effects_on_ctgans_own_equal_a_loop_and_its_transformer_turns_rows_back():
    ctgan = pytest.importorskip("ctgan", reason="ctgan is not installed: pip install '.[ctgan]'")
    frame = load_iris(as_frame=True).frame.rename(columns={"target": "species"})
    frame["species"] = frame["species"].map({0: "setosa", 1: "versicolor", 2: "virginica"})
    original = ctgan.synthesizers.tvae.Encoder.__init__, ctgan.TVAE.fit
    tvae = ctgan.TVAE(embedding_dim=3, compress_dims=(16,), decompress_dims=(16,), epochs=40, enable_gpu=False)
    with vl.encoder_kept():
        tvae.fit(frame, ["species"])
    assert (ctgan.synthesizers.tvae.Encoder.__init__, ctgan.TVAE.fit) == original
    x = torch.from_numpy(tvae.transformer.transform(frame)).float()
    spans = [tuple(span) for column in tvae.transformer.output_info_list for span in column]
    lens, _ = check_effects(tvae, x, 3, spans)
    assert list(lens.observation.groups) == list(frame.columns)
    assert lens.describe()["library"] == f"ctgan {ctgan.__version__}"
    again = tvae.transformer.inverse_transform(lens.reconstruct(x).numpy())
    assert isinstance(again, pd.DataFrame)
    assert (again["species"] == frame["species"]).mean() > 0.6
    ds = vl.ArrayDataset(
        x, observation=lens.observation, factors=frame["species"].astype("category").cat.codes.to_numpy()
    )
    assert vl.latent_effects(lens, ds.images_at(range(20)), over="groups", progress=False).ces.shape == (3,)
