import networkx as nx
import pytest

from vaelens.data import Factor, Factors
from vaelens.errors import VaelensError

TWO = Factors((Factor("shape", 3, "categorical"), Factor("angle", 40, "circular")))


def test_columns_in_order():
    assert TWO.names == ("shape", "angle")
    assert TWO.sizes == (3, 40)
    assert TWO.kinds == ("categorical", "circular")
    assert len(TWO) == 2
    assert [factor.name for factor in TWO] == ["shape", "angle"]
    assert [TWO.index(name) for name in TWO.names] == [0, 1]


def test_repr_lists_factors_and_causes():
    assert repr(TWO) == "Factors(shape: 3 categorical, angle: 40 circular)"
    caused = Factors(TWO.items, edges=(("angle", "shape"),))
    assert repr(caused) == "Factors(shape: 3 categorical, angle: 40 circular, angle -> shape)"


def test_graph_has_no_edges_by_default():
    assert list(TWO.graph.nodes) == ["shape", "angle"]
    assert TWO.graph.number_of_edges() == 0


def test_graph_has_the_edges_given_and_cannot_be_changed():
    graph = Factors(TWO.items, edges=(("angle", "shape"),)).graph
    assert list(graph.edges) == [("angle", "shape")]
    with pytest.raises(nx.NetworkXError, match="Frozen"):
        graph.add_edge("shape", "angle")


def test_mistyped_name_is_answered_with_the_nearest():
    with pytest.raises(VaelensError, match="unknown factor 'shap'; known: shape, angle; did you mean 'shape'"):
        TWO.index("shap")


def test_refuses_what_is_no_factor():
    with pytest.raises(VaelensError, match="at least 1 value, got 0"):
        Factor("shape", 0)
    with pytest.raises(VaelensError, match="unknown kind of factor 'cyclic'; known: ordinal, circular, categorical"):
        Factor("shape", 3, "cyclic")
    with pytest.raises(VaelensError, match="needs a name"):
        Factor("", 3)


def test_refuses_inconsistent_factors():
    with pytest.raises(VaelensError, match="names must differ, got 'a' more than once"):
        Factors((Factor("a", 2), Factor("a", 3)))
    with pytest.raises(VaelensError, match="unknown factor 'c'; known: a, b"):
        Factors((Factor("a", 2), Factor("b", 2)), edges=(("a", "c"),))
    with pytest.raises(VaelensError, match="cycle"):
        Factors((Factor("a", 2), Factor("b", 2)), edges=(("a", "b"), ("b", "a")))
