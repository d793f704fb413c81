"""The options of `vaelens train` that come from the catalogue, one for each hyperparameter of any objective."""

import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from vaelens.models.catalogue import CATALOGUE, LATENT_DIM
from vaelens.models.hyperparameters import Hyperparameter, Number, Whole

Command = TypeVar("Command", bound=Callable[..., Any])

MODEL_HELP = f"The kind of model: {', '.join(CATALOGUE)}. vaelens models explains them."
LATENT_DIM_HELP = f"Number of latents, 1 to 256; {LATENT_DIM} unless said otherwise" + "".join(
    f", {objective.latent_dim} for {objective.name}"
    for objective in CATALOGUE.values()
    if objective.latent_dim != LATENT_DIM
)


def takes_hyperparameters(command: Command) -> Command:
    """Gives the command an option for each hyperparameter, in place of its `**hyperparameters`.

    Those left out are None. Which objectives have it, what it means, its default and its range are in the option's
    help; that the model has it is for the model to check.
    """
    signature = inspect.signature(command)
    own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    command.__dict__["__signature__"] = signature.replace(parameters=[*own, *_options()])
    return command


def describe(hyperparameter: Hyperparameter) -> str:
    """Describes meaning, default and range of a hyperparameter in one line."""
    default = hyperparameter.default
    shown = default if isinstance(default, str) else f"{default:g}" if default < 10_000 else f"{default:.0f}"
    return f"{hyperparameter.meaning} (default {shown}; {hyperparameter.range})"


def _options() -> list[inspect.Parameter]:
    having: dict[str, dict[str, Hyperparameter]] = {}
    for objective in CATALOGUE.values():
        for hyperparameter in objective.hyperparameters:
            having.setdefault(hyperparameter.name, {})[objective.name] = hyperparameter
    return [_option(name, objectives) for name, objectives in having.items()]


def _option(name: str, having: dict[str, Hyperparameter]) -> inspect.Parameter:
    kinds = {type(hyperparameter) for hyperparameter in having.values()}
    assert len(kinds) == 1, f"one option cannot be of several kinds: {name}"
    kind = float if kinds == {Number} else int if kinds == {Whole} else str
    said = [
        f"{f'{objective}: ' if len(having) > 1 else ''}{describe(hyperparameter)}."
        for objective, hyperparameter in having.items()
    ]
    option = typer.Option(
        f"--{name.replace('_', '-')}", help=" ".join(said), rich_help_panel=f"Hyperparameters of {', '.join(having)}"
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )
