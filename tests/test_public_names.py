import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import vaelens as vl

STUB = Path(vl.__file__).with_suffix(".pyi")


@pytest.mark.parametrize("name", vl.__all__)
def test_every_public_name_can_be_had(name):
    assert getattr(vl, name) is not None


def test_the_stub_lists_what_it_imports():
    tree = ast.parse(STUB.read_text())
    imported = {alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == {*vl.__all__, "__version__"}


def test_the_error_is_a_value_error():
    assert issubclass(vl.VaelensError, ValueError)


def test_importing_the_package_does_not_import_torch():
    code = "import sys, vaelens; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_module_says_what_lives_in_it_in_one_to_eight_lines():
    package = Path(vl.__file__).parent
    for path in package.rglob("*.py"):
        said = ast.get_docstring(ast.parse(path.read_text()))
        assert said, f"{path} has no docstring"
        assert len(said.splitlines()) <= 8, f"{path} says too much"


def test_only_one_file_attaches_hooks():
    package = Path(vl.__file__).parent
    assert [p.name for p in package.rglob("*.py") if "register_forward" in p.read_text()] == ["execution.py"]


def test_the_version_is_the_installed_one():
    assert importlib.metadata.version("vaelens") == vl.__version__


def test_the_first_use_of_a_name_leaves_the_random_state():
    code = "import random, vaelens as vl; state = random.getstate(); vl.Lens; assert random.getstate() == state"
    subprocess.run([sys.executable, "-c", code], check=True)
