import inspect
import re
import subprocess
import sys

import pytest

from vaelens.errors import VaelensError
from vaelens.models import CATALOGUE, objectives
from vaelens.models.catalogue import find_objective
from vaelens.models.hyperparameters import Choice, Number, Whole

OBJECTIVES = pytest.mark.parametrize("objective", CATALOGUE.values(), ids=CATALOGUE.keys())
EVERY = pytest.mark.parametrize(
    ("objective", "hyperparameter"),
    [(objective, hyperparameter) for objective in CATALOGUE.values() for hyperparameter in objective.hyperparameters],
    ids=lambda one: one.name,
)


def test_the_published_defaults():
    assert {name: objective.resolve(None) for name, objective in CATALOGUE.items()} == {
        "vae": {},
        "beta-vae": {"beta": 4.0},
        "annealed-vae": {"gamma": 1000.0, "c_max": 25.0, "annealing_steps": 100_000},
        "factor-vae": {"gamma": 35.0, "discriminator_lr": 1e-4},
        "beta-tc-vae": {"beta": 6.0, "sampling": "minibatch-weighted"},
        "dip-vae-i": {"lambda_od": 10.0, "lambda_d": 100.0},
        "dip-vae-ii": {"lambda_od": 10.0, "lambda_d": 10.0},
        "vq-vae": {"codes": 512, "commitment": 0.25, "decay": 0.99, "revival": 0.1},
    }
    assert {name: objective.latent_dim for name, objective in CATALOGUE.items()} == {
        **dict.fromkeys(CATALOGUE, 10),
        "vq-vae": 64,
    }
    assert [name for name, objective in CATALOGUE.items() if objective.quantised] == ["vq-vae"]
    assert [name for name, objective in CATALOGUE.items() if objective.adversarial] == ["factor-vae"]


@OBJECTIVES
def test_each_line_has_its_function_and_source(objective):
    parameters = inspect.signature(getattr(objectives, objective.function)).parameters
    own = {name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY}
    known = {hyperparameter.name for hyperparameter in objective.hyperparameters}
    assert own <= known
    assert CATALOGUE[objective.name] is objective
    assert objective.source[-4:].isdigit()
    assert objective.formula.startswith("R + ")


@EVERY
def test_each_hyperparameter_takes_its_default_and_says_what_it_does(objective, hyperparameter):
    assert hyperparameter.check(hyperparameter.default) == hyperparameter.default
    assert hyperparameter.meaning
    assert hyperparameter.range


@EVERY
def test_each_hyperparameter_takes_its_bounds_and_nothing_beyond(objective, hyperparameter):
    if isinstance(hyperparameter, Choice):
        inside, outside = list(hyperparameter.choices), ["nothing", None, True]
        message = f"unknown {hyperparameter.name} .*; known: {', '.join(hyperparameter.choices)}"
    else:
        assert isinstance(hyperparameter, Number | Whole)
        inside = [hyperparameter.low, hyperparameter.high]
        outside = [hyperparameter.low - 1, hyperparameter.high + 1, True, False, None, "1", float("nan")]
        message = f"{hyperparameter.name} is .*; expected {re.escape(hyperparameter.range)}"
    for value in inside:
        assert objective.resolve({hyperparameter.name: value})[hyperparameter.name] == value
    for value in outside:
        with pytest.raises(VaelensError, match=message):
            objective.resolve({hyperparameter.name: value})


@OBJECTIVES
def test_unknown_hyperparameters_are_refused_with_what_is_known(objective):
    known = ", ".join(hyperparameter.name for hyperparameter in objective.hyperparameters) or "none"
    with pytest.raises(VaelensError, match=rf"unknown hyperparameter of {objective.name} 'nonsense'; known: {known}$"):
        objective.resolve({"nonsense": 1.0})
    for hyperparameter in objective.hyperparameters:
        mistyped = hyperparameter.name + "x"
        with pytest.raises(VaelensError, match=f"'{mistyped}'; .*; did you mean '{hyperparameter.name}'"):
            objective.resolve({mistyped: hyperparameter.default})


@pytest.mark.parametrize("values", [4, "beta", [("beta", 4.0)]])
def test_hyperparameters_must_be_a_dictionary(values):
    with pytest.raises(VaelensError, match=r"hyperparameters are .*; expected a dictionary of values by name"):
        CATALOGUE["beta-vae"].resolve(values)


@pytest.mark.parametrize(
    ("name", "meant"), [("beta_vae", "beta-vae"), ("factorvae", "factor-vae"), ("vqvae", "vq-vae")]
)
def test_a_mistyped_objective_is_refused_with_the_nearest(name, meant):
    with pytest.raises(VaelensError, match=f"unknown model '{name}'; known: vae, beta-vae, .*; did you mean '{meant}'"):
        find_objective(name)


def test_listing_it_imports_no_torch():
    code = "import sys; from vaelens.models.catalogue import CATALOGUE; assert CATALOGUE and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
