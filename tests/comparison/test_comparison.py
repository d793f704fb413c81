"""Comparisons against arithmetic on the same resamples, and their laws."""

from dataclasses import replace

import numpy as np
import pytest

import vaelens as vl
from vaelens.errors import VaelensError
from vaelens.lens import Lens
from vaelens.statistics import BootstrapMean

DIGITS = vl.load_dataset("digits")


def analysed(name="vae", seed=0, steps=6, held_out=200, ds=DIGITS, n=24, **hyperparameters):
    model = vl.build_model(name, ds.image_shape, latent_dim=3, seed=seed, **hyperparameters)
    vl.train(model, ds, steps=steps, batch_size=8, seed=seed, held_out=held_out, progress=False)
    return model, vl.analyse(Lens(model), ds, n=n, only=["reconstruction", "latent"], progress=False)


@pytest.fixture(scope="module")
def models():
    return [analysed(), analysed("beta-vae", seed=1, steps=20, beta=2.0)]


@pytest.fixture(scope="module")
def comparison(models):
    return vl.compare([analysis for _, analysis in models])


def test_the_difference_of_errors_is_that_of_the_images_one_by_one(models, comparison):
    held = np.sort(np.random.default_rng((0x5EED, 1797)).permutation(1797)[:200])
    x = DIGITS.images_at(held[np.random.default_rng(0).choice(200, 24, replace=False)])
    errors = [(Lens(model).reconstruct(x) - x).square().flatten(1).mean(dim=1).numpy() for model, _ in models]
    by_image = BootstrapMean((), seed=0)
    by_image.update(errors[0] - errors[1])

    row = comparison.differences.set_index("score").loc["reconstruction_error"]

    assert comparison.are_paired
    assert row["paired"]
    assert row["how"] == "paired over 24 images"
    np.testing.assert_allclose(row["difference"], by_image.mean, rtol=1e-4)
    # Resamples of the difference are differences of resamples: the weights are shared.
    np.testing.assert_allclose([row["low"], row["high"]], by_image.interval(), rtol=1e-3)


def test_pairing_is_sharper_than_two_intervals(models):
    _, near = analysed(steps=8)
    row = vl.compare([models[0][1], near]).differences.set_index("score").loc["reconstruction_error"]
    widths = [float(a.scores["high"].iloc[0] - a.scores["low"].iloc[0]) for a in (models[0][1], near)]

    assert row["high"] - row["low"] < 0.5 * np.hypot(*widths)


def test_a_model_does_not_differ_from_itself(models):
    (_, analysis), _ = models
    differences = vl.compare([analysis, analysis], names=["one", "two"]).differences

    np.testing.assert_array_equal(differences["difference"], 0)
    assert (differences["better"] == "").all()
    assert not (differences["p"] < 1).any()


def test_exchanging_models_turns_signs_around(models, comparison):
    turned = vl.compare([models[1][1], models[0][1]]).differences

    np.testing.assert_allclose(turned["difference"], -comparison.differences["difference"])
    np.testing.assert_allclose(turned["low"], -comparison.differences["high"], rtol=1e-9)
    np.testing.assert_allclose(turned["p"], comparison.differences["p"], rtol=1e-9)
    assert turned["better"].tolist() == comparison.differences["better"].tolist()


def test_a_better_model_is_called_better(comparison):
    row = comparison.differences.set_index("score").loc["reconstruction_error"]

    assert row["better"] == ("beta-vae" if row["difference"] > 0 else "vae")
    assert row["p_adjusted"] <= 0.05


def test_other_images_are_said_unpaired_in_a_sentence(models):
    _, more = analysed(seed=2, held_out=300)
    comparison = vl.compare([models[0][1], more])

    assert comparison.names == ("vae (1)", "vae (2)")
    assert "analysed on different images; train with the same held_out=" in comparison.unpaired
    assert not comparison.differences["paired"].any()
    assert "not paired" in repr(comparison)
    row, scores = comparison.differences.set_index("score").loc["ces"], comparison.scores.set_index(["score", "model"])
    one, two = (scores.loc[("ces", name)] for name in comparison.names)
    np.testing.assert_allclose(
        row["high"] - row["difference"], np.hypot(one["high"] - one["value"], two["value"] - two["low"])
    )


def test_names_that_are_no_list_are_refused(models):
    for names in (5, "ab"):
        with pytest.raises(VaelensError, match="expected a list of 2 different ones"):
            vl.compare([models[0][1], models[1][1]], names=names)


def test_other_data_is_refused(models):
    _, other = analysed(ds=vl.load_dataset("sprites", size=32))
    with pytest.raises(VaelensError, match=r"was analysed on digits \(1 × 32 × 32\) and .* on sprites .*same data"):
        vl.compare([models[0][1], other], names=["first", "second"])


@pytest.mark.parametrize(
    ("pick", "names", "message"),
    [
        (lambda a: a, None, "compare takes two or more analyses in a list"),
        (lambda a: [a], None, "compare takes two or more analyses in a list"),
        (lambda a: [a, "x"], None, "compare takes analyses, and got a str"),
        (lambda a: [a, a], ["same", "same"], "expected 2 different ones"),
    ],
)
def test_what_can_not_be_compared_is_refused(models, pick, names, message):
    with pytest.raises(VaelensError, match=message):
        vl.compare(pick(models[0][1]), names)


def test_an_analysis_of_before_is_compared_unpaired(models):
    analysis = models[0][1]
    before = replace(analysis, provenance={k: v for k, v in analysis.provenance.items() if k != "images_sha256"})

    assert "does not say of which images it is" in vl.compare([before, analysis]).unpaired


def test_it_is_one_page_that_loads_nothing(comparison, tmp_path):
    page = comparison.report(tmp_path / "comparison.html").read_text()

    assert "vae is" in page or "beta-vae is better by" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert 'src="http' not in page
    assert page.count("<figcaption>") == 4


def test_from_the_command_line(models, tmp_path, capsys):
    from vaelens.cli import main

    for place, (_, analysis) in zip(("a", "b"), models, strict=True):
        analysis.save(tmp_path / place / "analysis")
    with pytest.raises(SystemExit) as ended:
        main(["compare", str(tmp_path / "a"), str(tmp_path / "b" / "analysis"), "--out", str(tmp_path / "out")])

    assert not ended.value.code
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "comparison.html", "differences.csv", "scores.csv",
    ]  # fmt: skip
    assert "differences are told at 5 %" in capsys.readouterr().out
    (tmp_path / "out" / "differences.csv").unlink()
    (tmp_path / "out" / "scores.csv").write_text("mine")
    again = ["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")]
    for extra, status in (([], 1), (["--overwrite"], 0)):
        with pytest.raises(SystemExit) as ended:
            main([*again, *extra])
        assert bool(ended.value.code) == bool(status)
        assert ((tmp_path / "out" / "scores.csv").read_text() == "mine") == bool(status)
    assert "holds scores.csv, comparison.html already; give another --out, or --overwrite" in capsys.readouterr().err
