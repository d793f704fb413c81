"""The benchmarks' other ways to each number give the number; what they print finds its place."""

import numpy as np
import pytest
import torch
from benchmarks import coverage, large, latent, mediation, metrics, page, patching, peaks
from benchmarks.contest import Contest, Way, difference, run, timed
from benchmarks.rivals import RIVALS
from benchmarks.rivals.hooks import whole
from benchmarks.subject import PARTS, Subject

import vaelens as vl

# The other libraries' own warnings are not ours to raise.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def subject():
    """Two pairs of 8×8 images, and weights large enough for effects that rounding does not touch."""
    small = Subject(pairs=2, images=3, side=8, steps=0)
    with torch.no_grad():
        for name, parameter in small.model.named_parameters():
            if name.endswith("weight"):
                parameter.mul_(3)
    return small


@pytest.mark.parametrize("parts", [("encoder",), ("decoder",)], ids="-".join)
@pytest.mark.parametrize("name", RIVALS)
def test_every_rival_measures_the_same_effects(subject, name, parts):
    rival = RIVALS[name]
    if not rival.installed:
        pytest.skip(f"{rival.package} is not installed; the extra 'benchmarks' brings it")
    ours = patching.ours(subject, parts)
    assert (ours > 0).any()
    assert difference(ours, rival.prepared(subject, parts)()) <= 1e-5


def test_hooks_on_the_whole_vae_measure_the_same_effects(subject):
    theirs = whole(subject.model, subject.base, subject.source)
    assert difference(patching.ours(subject, PARTS), theirs) <= 1e-5


@pytest.mark.parametrize("part", PARTS)
def test_the_plain_loop_mediates_the_same(subject, part):
    theirs = mediation.hooked(subject.model, part, subject.base, subject.source)
    assert difference(mediation.mediated(subject, part), theirs) <= 1e-5


def test_the_latent_loop_measures_the_same_effects(subject):
    for contest in latent.contests(subject):
        for other in contest.others:
            assert difference(contest.ours(), other.run()) <= 1e-5


def test_the_latent_loop_draws_the_same_maps(subject):
    theirs = latent.looped(subject.model, subject.many, maps=True)[1]
    ours = torch.as_tensor(vl.latent_effects(subject.lens, subject.many).effect_map.values)
    assert difference(ours, theirs) <= 1e-5


def test_the_latent_loop_measures_the_same_besides(subject):
    costs, _, distance = latent.besides(subject.model, subject.many)
    ours = vl.latent_effects(subject.lens, subject.many)
    assert difference(torch.as_tensor(ours.removal_cost.values), costs) <= 1e-4
    assert ours.attrs["reference_distance"] == pytest.approx(float(distance), rel=1e-5)


def test_a_decode_costs_what_its_layers_say():
    model = vl.build_model("vae", (1, 8, 8), latent_dim=3)
    # two dense layers, and one transposed convolution whose 4×4 kernel meets each of its 64·4·4 inputs
    assert latent.macs(model) == 3 * 256 + 256 * 1024 + 64 * 16 * 16


def test_ways_take_turns_after_one_untimed_round():
    calls = []
    ways = [Way(name, lambda name=name: calls.append(name)) for name in ("first", "second")]
    contest = Contest("turns", lambda: calls.append("ours"), ways, each_round=lambda: calls.append("round"))
    outcome = run(contest, repetitions=2)
    turn = ["ours", "first", "second"]
    assert calls == [*turn, "round", *turn, "round", *turn]
    assert [len(row.split("|")) for row in outcome.rows()] == [8, 8]
    assert list(outcome.errors) == [None, None, None]


def test_what_is_soon_done_is_timed_by_several_runs(monkeypatch):
    clock = iter([10.0, 10.4, 10.8, 11.2])  # each run takes 0.4 seconds
    monkeypatch.setattr("benchmarks.contest.time.perf_counter", lambda: next(clock))
    assert timed(lambda: None, least=1.0) == pytest.approx(0.4)
    assert next(clock, None) is None


def test_the_output_replaces_what_lies_between_the_markers(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"above\n{page.BEGIN}\nold\n{page.END}\nbelow\n")
    page.write("| new |\n", readme)
    page.write("| newer |\n", readme)
    assert readme.read_text() == f"above\n{page.BEGIN}\n\n| newer |\n\n{page.END}\nbelow\n"


def test_the_output_needs_its_place(tmp_path):
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(ValueError, match="has no place"):
        page.write("| new |", tmp_path / "README.md")


def test_the_readme_has_the_place():
    text = page.README.read_text()
    assert text.index(page.BEGIN) < text.index(page.END)


def test_the_metrics_script_prints_ours_beside_plain_ones_that_agree(capsys, monkeypatch):
    factors, every = metrics.code_sets(150)
    some = {name: every[name] for name in ("aligned, noise 0.5", "noise alone")}
    monkeypatch.setattr(metrics, "code_sets", lambda images, sizes=metrics.SMALL: (factors, some))
    metrics.main(["--images", "150"])
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    scores = {row[0].strip("| "): row[1:3] for row in rows[1:8]}
    assert len(scores) == 7
    for name, (ours, plain) in scores.items():
        assert float(ours) == pytest.approx(float(plain), abs=0.011), name


def test_the_table_of_intervals_holds_every_score_that_has_one(monkeypatch):
    some = {"sap": metrics.scorers(200)["sap"]}  # others take a minute
    monkeypatch.setattr(metrics, "scorers", lambda codes: some)
    monkeypatch.setattr(metrics, "MANY", 600)
    lines = metrics.intervals_table(codes=200, tests=100, repetitions=dict.fromkeys(some, 2))
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and "---" not in line][1:]
    scores = [key.replace("_", " ") for s in metrics.scorers(200).values() for key in s.keys if not s.no_interval]
    assert [row[1] for row in rows] == 2 * scores
    assert {row[0] for row in rows} == {"aligned", "entangled"}
    for _, score, _, truth, value, half, _, sets in rows:
        assert abs(float(truth) - float(value)) < 0.35, score
        assert 0 < float(half) < 1, score
        assert sets == "2"


def test_populations_are_what_they_are_called():
    for kind, apart in (("aligned", 0.9), ("entangled", 0.0)):
        codes, factors = metrics.population(kind, 4000, np.random.default_rng(0))
        assert [len(np.unique(column)) for column in factors.T] == list(metrics.DSPRITES)
        strongest = np.abs(np.corrcoef(codes, factors, rowvar=False)[:10, 10:]).max(axis=0)
        assert (strongest > apart).all()
        assert (strongest < 0.99).all()


def test_code_sets_hold_what_they_are_called():
    for sizes in (metrics.SMALL, metrics.DSPRITES):
        factors, sets = metrics.code_sets(600, sizes)
        assert [len(np.unique(column)) for column in factors.T] == list(sizes)
        assert len(sets) == 13
        assert {codes.shape for codes in sets.values()} == {(600, len(sizes) + 2)}
        apart = {name: np.abs(np.corrcoef(codes[:, 0], factors[:, 0])[0, 1]) for name, codes in sets.items()}
        assert apart["aligned, noise 0.05"] > 0.99 > 0.9 > apart["aligned, noise 0.5"] > apart["aligned, noise 1.0"]
        assert apart["two factors rotated by 45°"] == pytest.approx(np.sqrt(1 / (2 * 1.04)), abs=0.05)
        assert apart["noise alone"] < 0.15
        np.testing.assert_array_equal(sets["two dead latents"][:, -2:], 0)


def test_the_page_of_metrics_has_the_place():
    text = metrics.PAGE.read_text(encoding="utf-8")
    assert text.index(page.BEGIN) < text.index(page.END)


def test_intervals_cover_and_the_table_says_so(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["coverage", "--repetitions", "150", "--images", "60"])
    monkeypatch.setattr(coverage, "BEST_OF", 20)
    monkeypatch.setattr(coverage, "significant", lambda study, repetitions, seed: (0.05, 0.05, 0.3))
    coverage.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    others = [row[0].strip("| ") for row in rows[len(coverage.EFFECTS) + 1 :]]
    assert others == ["candidates", *coverage.CANDIDATES, "true correlation", *coverage.STUDIES]
    for _, images, *shares, sequence in rows[1 : len(coverage.EFFECTS) + 1]:
        assert images == "60"
        # 150 repetitions of a share of 0.95 have a standard deviation of 1.8 points.
        assert all(95 - 4 * 1.8 <= float(share.rstrip(" %|")) <= 100 for share in shares)
        assert float(sequence.rstrip(" %|")) >= 95


def test_the_effects_have_the_means_that_are_covered():
    for name, effects in coverage.EFFECTS.items():
        values = effects.draw(np.random.default_rng(0), (400_000,))
        assert abs(values.mean() - effects.mean) < 5 * values.std() / 400_000**0.5, name
        assert 0 <= values.min() <= values.max() <= coverage.BOUND, name


@pytest.mark.skipif(not peaks.STATUS.exists(), reason="only Linux says what a process held at most")
def test_every_step_on_a_large_model_is_run():
    lines = list(large.rows(vl.Lens(large.autoencoder(width=32), execution="hooks"), torch.rand(2, 3, 16, 16), "cpu"))
    assert len(lines) == len(large.STEPS)
    assert all(line.endswith(" GB |") for line in lines)
