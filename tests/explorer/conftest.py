"""A planted model whose circuit is known, as a scene."""

import pytest

import vaelens as vl
from vaelens.explorer.scene import Scene
from vaelens.explorer.walk import walks_of


@pytest.fixture(scope="session")
def planted():
    """A model of which two sets of units carry the factor "first"; its images are 16×16."""
    return vl.planted_model("redundant", convolutional=True)


@pytest.fixture(scope="session")
def circuit(planted):
    """The circuit of "first": one unit at each site, which carries all of it."""
    return vl.discover_circuit(planted.lens, planted.dataset, "first", n=8, progress=False)


@pytest.fixture(scope="session")
def scene(planted, circuit):
    return Scene(planted.lens, planted.dataset, walks_of(circuit))
