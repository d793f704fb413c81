import ast
import inspect

from vaelens.models import CATALOGUE, annotations
from vaelens.models.likelihoods import LIKELIHOODS


def literals(name):
    """The texts in the type of that name, as an editor reads them."""
    for node in ast.walk(ast.parse(inspect.getsource(annotations))):
        if isinstance(node, ast.Assign) and node.targets[0].id == name and not isinstance(node.value, ast.Name):
            return [leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)]
    raise AssertionError(name)


def test_an_editor_offers_the_names_of_the_catalogues():
    assert literals("ObjectiveName") == list(CATALOGUE)
    assert literals("LikelihoodName") == list(LIKELIHOODS)
