import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency

from vaelens.data import Garden, Pendulum
from vaelens.errors import VaelensError

N = 20_000


def dependence(first, second, given=None):
    """The p-value of a chi-square test that two columns are independent, within each value of a third."""
    statistic, freedom = 0.0, 0
    given = np.zeros(len(first), dtype=int) if given is None else given
    for value in np.unique(given):
        rows = given == value
        table = np.zeros((4, 4))
        np.add.at(table, (first[rows] // 4, second[rows] // 4), 1)
        table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
        if min(table.shape) > 1 and np.outer(table.sum(1), table.sum(0)).min() / table.sum() > 1:
            result = chi2_contingency(table, correction=False)
            statistic, freedom = statistic + result.statistic, freedom + result.dof
    assert freedom > 0
    return chi2.sf(statistic, freedom)


@pytest.fixture(scope="module")
def garden():
    ds = Garden()
    return dict(zip(ds.factors.names, ds.factor_values(np.arange(N)).T, strict=True))


def test_fork(garden):
    assert dependence(garden["sky"], garden["rain"]) < 1e-100
    assert dependence(garden["sky"], garden["rain"], given=garden["cloud"]) > 0.01


def test_chain(garden):
    assert dependence(garden["cloud"], garden["pond"]) < 1e-100
    assert dependence(garden["cloud"], garden["pond"], given=garden["rain"]) > 0.01


def test_collider(garden):
    assert dependence(garden["sun"], garden["rain"]) > 0.01
    assert dependence(garden["sun"], garden["rain"], given=garden["flower"]) < 1e-100


def test_equations_of_the_garden(garden):
    expected = {
        "sky": 15 - garden["cloud"],
        "rain": garden["cloud"],
        "pond": 2 + 3 * garden["rain"] // 4,
        "flower": (garden["sun"] + garden["rain"]) // 2,
    }
    for name, level in expected.items():
        free = (level >= 2) & (level <= 13)  # where nothing is cut off
        noise = (garden[name] - level)[free]
        share = np.bincount(noise + 2, minlength=5) / len(noise)
        margin = 4 * np.sqrt(0.25 / len(noise))
        np.testing.assert_allclose(share, [0.1, 0.2, 0.4, 0.2, 0.1], atol=margin)


def test_conditioning_is_not_intervening():
    ds = Garden()
    cloud, rain, pond = ds.factors.index("cloud"), ds.factors.index("rain"), ds.factors.index("pond")
    seen, done = (world.factor_values(np.arange(N)) for world in (ds, ds.do(rain=14)))
    chosen = seen[seen[:, rain] == 14]
    # Seeing much rain tells of a large cloud, making it rain does not; the pond fills either way.
    assert chosen[:, cloud].mean() > 12
    assert abs(done[:, cloud].mean() - 7.5) < 4 * np.sqrt((16**2 - 1) / 12 / N)
    # 2 + floor(42 / 4) = 12; the noise adds 0 on average, but above 15 nothing is cut off: 12 + 2 < 15.
    for world in (chosen, done):
        assert abs(world[:, pond].mean() - 12) < 4 * np.sqrt(1.2 / len(world))


@pytest.mark.parametrize("ds", [Pendulum(), Garden()], ids=["pendulum", "garden"])
def test_do_cuts_edges_and_keeps_the_individuals(ds):
    for effect in ds.factors.names:
        k = ds.factors.index(effect)
        low, high = ds.do(**{effect: 1}), ds.do(**{effect: ds.factors.sizes[k] - 2})
        assert not list(low.factors.graph.predecessors(effect))
        kept = [edge for edge in ds.factors.graph.edges if edge[1] != effect]
        assert sorted(low.factors.graph.edges) == sorted(kept)
        (x, f), (x_low, f_low), (_, f_high) = (world.sample(100, seed=2) for world in (ds, low, high))
        assert (f_low[:, k] == 1).all()
        descendants = {ds.factors.index(name) for name in ds.factors.graph.successors(effect)}
        for column in range(len(ds.factors)):
            if column == k:
                continue
            moved = (f_low[:, column] != f_high[:, column]).float().mean()
            if column in descendants:
                assert moved > 0.8
            elif effect != "cloud":  # its effects have effects
                assert moved == 0
                assert (f_low[:, column] == f[:, column]).all()
        assert x.shape == x_low.shape
        assert (ds.images(f_low) == x_low).all()


def test_a_world_is_a_dataset_of_the_same_kind():
    ds = Garden(length=300, seed=4)
    world = ds.do(rain=3).do(sun=2)
    assert type(world) is Garden
    assert world.interventions == {"rain": 3, "sun": 2}
    assert world.describe()["options"] == {"length": 300, "seed": 4, "do": {"rain": 3, "sun": 2}}
    assert world.describe()["content_sha256"] != ds.describe()["content_sha256"]
    assert ds.interventions == {}
    assert len(ds.factors.graph.edges) == 5
    assert (ds[7][1] == Garden(length=300, seed=4)[7][1]).all()
    assert set(world.sample(300)[1][:, ds.factors.index("rain")].tolist()) == {3}


def test_pairs_hold_everything_but_the_factor():
    ds = Pendulum()
    pairs = ds.pairs("light_angle", 500, seed=0)
    k = ds.factors.index("light_angle")
    assert pairs.matched.all()
    assert (pairs.f[:, k] != pairs.f2[:, k]).all()
    others = [0, 2, 3]
    assert (pairs.f[:, others] == pairs.f2[:, others]).all()  # the shadow does not follow: it is held
    # The first images are individuals of the model: their shadow lies where the angles put it, up to the noise.
    geometry = ds.model["shadow_position"].equation(pairs.f[:, 0].numpy(), pairs.f[:, 1].numpy())
    assert np.abs(pairs.f[:, 3].numpy() - geometry).max() == 1
    step = (pairs.f2[:, k] - pairs.f[:, k]) % 20
    assert np.bincount(step.numpy(), minlength=20)[1:].min() > 8  # 26 expected of each


def test_errors():
    with pytest.raises(VaelensError, match="unknown variable 'snow'; known: cloud"):
        Garden().do(snow=1)
    with pytest.raises(VaelensError, match="length is 0; expected a whole number of at least 1"):
        Garden(length=0)
    with pytest.raises(VaelensError, match=r"noise is 0\.6; expected a probability from 0 to 0\.5"):
        Pendulum(noise=0.6)
