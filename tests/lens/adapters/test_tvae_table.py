"""A TVAE in its table's own units: rows and effects equal those by hand, and by ctgan's own transformer."""

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.datasets import load_wine
from sklearn.mixture import BayesianGaussianMixture
from tests.lens.adapters.test_tvae import TVAE, Decoder, Encoder

import vaelens as vl

AGES = np.r_[np.linspace(20, 30, 40), np.linspace(60, 90, 60)]
LATE = 99_999.0  # a constant whose mode is 0.001 wide: float32 keeps its mean to 0.004


def mixture(values, modes):
    fitted = BayesianGaussianMixture(n_components=modes, weight_concentration_prior=0.001, random_state=0)
    with warnings.catch_warnings():  # of a constant: that its modes are all the same
        warnings.simplefilter("ignore")
        return fitted.fit(values[:, None])


def number(name, values, modes, filler=None):
    fitted = mixture(values, modes)
    return SimpleNamespace(
        column_name=name,
        column_type="continuous",
        transform=SimpleNamespace(
            _bgm_transformer=fitted,
            valid_component_indicator=fitted.weights_ > 0.005,
            null_transformer=SimpleNamespace(nulls=filler is not None, _missing_value_replacement=filler),
        ),
    )


def classes(name, dummies):
    return SimpleNamespace(column_name=name, column_type="discrete", transform=SimpleNamespace(dummies=dummies))


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    colours = rng.choice(["red", "blue"], 100).astype(object)
    colours[:7] = None
    gaps = np.where(np.arange(100) < 5, np.nan, rng.normal(5, 1, 100))
    ill = rng.integers(2, size=100).astype(bool)
    return pd.DataFrame(
        {"label": "?", "late": LATE, "ill": ill, "dose": gaps, "age": AGES, "colour": colours, "kids": [1, 2] * 50}
    )


@pytest.fixture
def tvae(frame):
    """As ctgan leaves one: classes, a constant, numbers in one mode and in two, and ones with gaps."""
    model = TVAE()
    columns = [
        classes("ill", [np.False_, np.True_]),
        number("late", np.full(100, LATE), 3),
        number("age", AGES, 4),
        classes("colour", ["red", "blue", np.nan]),
        number("dose", frame["dose"].dropna().to_numpy(), 2, filler=5.25),
        classes("kids", [np.int64(2), np.int64(1)]),
    ]
    model.transformer = SimpleNamespace(_column_transform_info_list=columns)
    widths = [
        1 + column.transform.valid_component_indicator.sum()
        if column.column_type == "continuous"
        else len(column.transform.dummies)
        for column in columns
    ]
    model.encoder, model.decoder = Encoder(sum(widths), 8, 2), Decoder(2, 8, sum(widths))
    return model


def modes_of(column):
    used = column.transform.valid_component_indicator
    fitted = column.transform._bgm_transformer
    return fitted.means_.ravel()[used], np.sqrt(fitted.covariances_.ravel()[used])


def coded_by_hand(tvae, rows):
    """Rows as ctgan's transformer makes them, but for the draw of the mode."""
    parts, feature = [], 0
    for column in tvae.transformer._column_transform_info_list:
        if column.column_type == "discrete":
            width = len(column.transform.dummies)
            parts.append(rows[:, feature : feature + width])
        else:
            width, values = 1, rows[:, feature]
            means, spreads = modes_of(column)
            share = column.transform._bgm_transformer.predict_proba(values[:, None])
            mode = share[:, column.transform.valid_component_indicator].argmax(axis=1)
            parts.append(((values - means[mode]) / (4 * spreads[mode])).clip(-0.99, 0.99)[:, None])
            parts.append(np.eye(len(means))[mode])
        feature += width
    return np.concatenate(parts, axis=1)


def rows_by_hand(tvae, output):
    """The mean row, from what the decoder returns."""
    parts, start = [], 0
    for column in tvae.transformer._column_transform_info_list:
        if column.column_type == "discrete":
            width = len(column.transform.dummies)
            parts.append(softmax(output[:, start : start + width], axis=1))
        else:
            means, spreads = modes_of(column)
            width = 1 + len(means)
            share = softmax(output[:, start + 1 : start + width], axis=1)
            values = means + 4 * spreads * np.tanh(output[:, start : start + 1])
            parts.append((share * values).sum(axis=1, keepdims=True))
        start += width
    return np.concatenate(parts, axis=1)


def distance_by_hand(one, other, ranges):
    """Gower's: a number by its range, half of what classes change by, nothing of the constant; the mean over five."""
    change = np.abs(one - other)
    by_column = [change[:, 0:2].sum(axis=1) / 2, change[:, 3] / ranges["age"], change[:, 4:7].sum(axis=1) / 2]
    return np.sum([*by_column, change[:, 7] / ranges["dose"], change[:, 8:10].sum(axis=1) / 2], axis=0) / 5


def test_rows_are_in_own_units_and_effects_are_those_by_hand(tvae, frame, monkeypatch):
    monkeypatch.setattr("vaelens.lens.adapters.choice.version", lambda package: "0")
    table = vl.TVAETable(tvae, frame)
    x = table.rows(frame)
    lens = vl.Lens(table)
    names = ["ill=False", "ill=True", "late", "age", "colour=red", "colour=blue", "colour missing", "dose"]
    assert lens.observation.features == (*names, "kids=2", "kids=1")
    assert lens.observation.groups["colour"] == (4, 5, 6)
    assert lens.observation.one_hot == ((0, 1), (4, 5, 6), (8, 9))
    ill = bool(frame["ill"][0])
    expected = [not ill, ill, LATE, 20, 0, 0, 1, 5.25, 0, 1]  # the first row's gaps: a class, and what they became
    assert x[0].tolist() == pytest.approx([float(value) for value in expected])

    rows = x.double().numpy()
    coded = coded_by_hand(tvae, rows)
    np.testing.assert_allclose(table.code.coded(x).numpy(), coded, atol=2e-4)
    with torch.no_grad():
        z = tvae.encoder(torch.from_numpy(coded).float())[0]
        torch.testing.assert_close(lens.encode(x), z, atol=1e-4, rtol=1e-4)
        z = lens.encode(x)

        def decoded(codes):
            return rows_by_hand(tvae, tvae.decoder(codes)[0].double().numpy())

        base = decoded(z)
        np.testing.assert_allclose(lens.decode(z).numpy(), base, rtol=1e-5, atol=1e-6)
        effects = vl.latent_effects(lens, x, values=[-2.0, 1.0], over="groups", progress=False)
        for latent in range(2):
            changed = [z.clone(), z.clone()]
            changed[0][:, latent], changed[1][:, latent] = -2.0, 1.0
            moved = [decoded(codes) for codes in changed]
            in_units = np.mean([np.abs(each - base).mean(axis=0) for each in moved], axis=0)
            wrong = np.abs(effects.effect_map[latent].values - in_units)
            wrong[2] -= 0.004  # what float32 keeps of the constant
            assert (wrong <= 1e-4 + 1e-4 * in_units).all()
            ranges = {"age": 70.0, "dose": np.ptp(rows[:, 7])}
            apart = [distance_by_hand(each, base, ranges).mean() for each in moved]
            assert float(effects.ces[latent]) == pytest.approx(np.mean(apart), rel=1e-4)
    assert effects.ces.attrs["units"] == "Gower"
    assert effects.effect_map.attrs["units"] == "its own unit"
    assert (lens.describe()["model"], lens.describe()["library"]) == ("TVAETable", "ctgan 0")
    assert lens.execution == {"encoder": "torch.fx", "decoder": "torch.fx"}


def test_values_of_any_dtype_are_read(tvae, frame):
    table = vl.TVAETable(tvae, frame)
    others = frame.assign(
        colour=frame["colour"].astype("category"), kids=frame["kids"].astype(float), ill=frame["ill"].astype("boolean")
    )
    assert torch.equal(table.rows(others), table.rows(frame))
    nullable = frame.assign(dose=frame["dose"].astype("Float64"), age=frame["age"].round().astype("Int64"))
    assert torch.equal(table.rows(nullable), table.rows(frame.assign(age=frame["age"].round())))
    assert table.rows(frame.assign(age=frame["ill"]))[:, 3].tolist() == frame["ill"].astype(float).tolist()


def test_a_synthesizer_of_sdv_is_the_tvae_inside(tvae, frame):
    kind = type("TVAESynthesizer", (), {"__module__": "sdv.single_table.ctgan"})
    synthesizer: Any = kind()
    synthesizer._model = tvae
    assert torch.equal(vl.TVAETable(synthesizer, frame).rows(frame), vl.TVAETable(tvae, frame).rows(frame))


def test_a_frame_comes_back(tvae, frame):
    table = vl.TVAETable(tvae, frame)
    back = table.frame_of(table.rows(frame))
    assert list(back.columns) == ["ill", "late", "age", "colour", "dose", "kids"]
    assert (back["kids"] == frame["kids"]).all()
    assert (back["ill"] == frame["ill"]).all()
    pd.testing.assert_series_equal(back["colour"].isna(), frame["colour"].isna())
    assert back["age"].tolist() == pytest.approx(AGES.tolist())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda frame: frame.drop(columns="age"), r"frame has no column 'age', .*; it has label, late, ill, dose"),
        (lambda frame: frame.assign(age=np.nan), "column 'age' has 100 gaps, and had none where the TVAE was fitted"),
        (lambda frame: frame.assign(ill=None), "column 'ill' has 100 gaps, and had none"),
        (lambda frame: frame.assign(age=np.inf), "column 'age' holds an infinite number"),
        (lambda frame: frame.assign(age="old"), "column 'age' was numbers where the TVAE was fitted, and has type"),
        (
            lambda frame: frame.assign(colour="green"),
            "classes that the TVAE was not fitted to: green; it knows red, blue",
        ),
        (
            lambda frame: frame.assign(kids=frame["kids"].astype(str)),
            "to: '1', '2'; it knows 2, 1: make them of the same",
        ),
        (lambda frame: frame.assign(colour=[["red"]] * 100), r"was not fitted to: \['red'\]; it knows red, blue"),
        (
            lambda frame: frame.assign(late=LATE + 0.003),
            r"holds 99999.003, which the model's float32 rounds by 0.003, .*",
        ),
        (lambda frame: frame[:0], "frame is one without rows; expected a pandas DataFrame"),
        (lambda frame: frame.to_numpy(), "frame is a ndarray; expected a pandas DataFrame"),
        (lambda frame: pd.concat([frame, frame[["age"]]], axis=1), "frame has 2 columns 'age'; expected one"),
    ],
)
def test_a_wrong_frame_is_one_sentence(tvae, frame, change, sentence):
    with pytest.raises(vl.VaelensError, match=sentence):
        vl.TVAETable(tvae, frame).rows(change(frame))


def test_rows_without_a_range_are_no_measure_of_distance(tvae, frame):
    """The constant `late` was one where the model was fitted; `age` was not, and its changes would count nothing."""
    assert vl.TVAETable(tvae, frame).observation.weights[2] == 0
    for few in (frame[:1], frame.assign(age=30)):
        with pytest.raises(vl.VaelensError, match="column 'age' has one value in the frame and had several where"):
            vl.TVAETable(tvae, few)


def test_what_is_no_tvae_is_one_sentence(tvae, frame):
    with pytest.raises(vl.VaelensError, match=r"a TVAETable is of a TVAE of ctgan.*; got a Linear"):
        vl.TVAETable(torch.nn.Linear(2, 2), frame)
    tvae.encoder.double()
    tvae.decoder.double()
    table = vl.TVAETable(tvae, frame)  # keeps what float32 would round
    assert table.rows(frame.assign(late=LATE + 0.003))[0, 2].item() == LATE + 0.003


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kinds", ["both", "numbers", "classes"])
def test_effects_equal_a_loop_on_ctgans_own_decoder_and_transformer(kinds, monkeypatch):
    ctgan = pytest.importorskip("ctgan", reason="ctgan is not installed: pip install '.[ctgan]'")
    loaded: Any = load_wine(as_frame=True)
    wine = loaded.frame.rename(columns={"target": "grape"})
    wine["grape"] = wine["grape"].map({0: "barolo", 1: "grignolino", 2: "barbera"})
    wine["strong"] = wine["alcohol"] > 13
    columns = {"numbers": ["alcohol", "proline"], "classes": ["grape", "strong"], "both": list(wine.columns)}[kinds]
    frame, discrete = wine[columns], [name for name in ("grape", "strong") if name in columns]
    model = ctgan.TVAE(embedding_dim=3, compress_dims=(16,), decompress_dims=(16,), epochs=60, enable_gpu=False)
    model.set_random_state(0)
    with vl.encoder_kept():
        model.fit(frame, discrete)
    table = vl.TVAETable(model, frame)
    lens, x = vl.Lens(table), table.rows(frame)
    own = model.transformer
    monkeypatch.setattr(np.random, "choice", lambda options, p: options[p.argmax()])  # the mode, no longer drawn
    coded = own.transform(frame)
    np.testing.assert_allclose(table.code.coded(x).numpy(), coded, atol=1e-4)

    sure = torch.from_numpy(coded).float()
    within = [k for k, feature in enumerate(vl.Lens(model).observation.features or ()) if feature in columns]
    logits = 1e3 * sure
    logits[:, within] = torch.atanh(sure[:, within])
    back = own.inverse_transform(coded)
    for name in columns:  # of one sure mode it is ctgan's own way back
        if name in discrete:
            assert (table.frame_of(table.code.uncoded(logits))[name] == back[name]).all()
        else:
            np.testing.assert_allclose(table.frame_of(table.code.uncoded(logits))[name], back[name], rtol=1e-5)

    def decoded(codes):
        """By ctgan: of each mode in turn what its transformer returns, in the proportions that are decoded."""
        output = model.decoder(codes)[0].double().numpy()
        parts, start = [], 0
        for column in own._column_transform_info_list:
            width = column.output_dimensions
            data = output[:, start : start + width]
            start += width
            if column.column_type == "discrete":
                parts.append(softmax(data, axis=1))
                continue
            share, mean = softmax(data[:, 1:], axis=1), np.zeros(len(data))
            for mode in range(width - 1):
                one = np.concatenate([np.tanh(data[:, :1]), np.tile(np.eye(width - 1)[mode], (len(data), 1))], axis=1)
                value = own._inverse_transform_continuous(column, one, None, 0).to_numpy().ravel()
                mean = mean + share[:, mode] * value
            parts.append(mean[:, None])
        return np.concatenate(parts, axis=1)

    effects = vl.latent_effects(lens, x, values=[-2.0, 1.0], progress=False)
    with torch.no_grad():
        z = model.encoder(sure)[0]
        base = decoded(z)
        for latent in range(3):
            changed = [z.clone(), z.clone()]
            changed[0][:, latent], changed[1][:, latent] = -2.0, 1.0
            by_hand = np.mean([np.abs(decoded(codes) - base).mean(axis=0) for codes in changed], axis=0)
            np.testing.assert_allclose(effects.effect_map[latent].values, by_hand, rtol=1e-4, atol=1e-4)
    assert list(lens.observation.groups) == columns
    ds = vl.ArrayDataset(x, observation=lens.observation)
    assert vl.manipulation_effects(lens, ds, n=20, progress=False).sizes["manipulation"] == len(columns)
