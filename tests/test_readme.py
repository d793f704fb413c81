import ast
import inspect
import re
import shlex
from pathlib import Path

import pytest
import torch
import typer

import vaelens as vl
from vaelens.cli import app

ROOT = Path(__file__).parents[1]
README = "\n".join(page.read_text() for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))))
PYTHON = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^(vaelens .*)$", README, re.MULTILINE)


def calls():
    nodes = [node for node in ast.walk(ast.parse(PYTHON)) if isinstance(node, ast.Call)]
    return [n for n in nodes if isinstance(n.func, ast.Attribute) and ast.unparse(n.func.value) == "vl"]


def test_there_is_something_to_check():
    assert len(calls()) > 10
    assert len(COMMANDS) >= 4


@pytest.mark.parametrize("call", calls(), ids=ast.unparse)
def test_every_call_in_the_documentation_fits_the_public_function(call):
    function = getattr(vl, call.func.attr)
    inspect.signature(function).bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_in_the_documentation_parses(command):
    group = typer.main.get_command(app)
    name, *arguments = shlex.split(command)[1:]
    group.commands[name].make_context(name, arguments)


def test_the_interchange_of_how_it_works_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "how-it-works.md").read_text(), re.DOTALL)
    lens = vl.Lens(vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3))
    images, others = torch.rand(2, 3, 1, 16, 16)
    names = {"lens": lens, "images": images, "source": lens.run(others, capture="encoder.1").activations["encoder.1"]}
    exec(code, names)
    assert names["rows"].values["image"].shape == (3, 1, 16, 16)
