"""The application and its commands. Errors and warnings are one line, interruptions say how to go on."""

import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vaelens.cli.analysis import analyse
from vaelens.cli.circuits import circuits
from vaelens.cli.comparison import compare
from vaelens.cli.data import data
from vaelens.cli.exploration import explore
from vaelens.cli.models import models
from vaelens.cli.quickstart import quickstart
from vaelens.cli.study import study
from vaelens.cli.training import train
from vaelens.cli.verification import verify
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.version import __version__


class _Interrupted(Exception):
    """Ctrl-C, with what the interrupted work says about going on."""


class _Commands(TyperGroup):
    """The commands, whose Ctrl-C Typer would turn into an exit status without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise _Interrupted(str(stop) or "interrupted") from stop


app = typer.Typer(
    name="vaelens",
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

# Typer carries Click, its own copy or the package; in either, a user's mistake is the parent of BadParameter.
_UsageError: Any = typer.BadParameter.__mro__[1]


def _print_version(asked: bool) -> bool:
    if asked:
        print(f"vaelens {__version__}")
        raise typer.Exit
    return asked


@app.callback(help="See what happens inside a variational autoencoder, by intervening on it.")
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Declares the options of every command. (`main` reads --debug, wherever it stands.)"""


for command in (quickstart, train, analyse, verify, compare, circuits, explore, models):
    app.command()(command)
app.add_typer(data)
app.add_typer(study)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line.

    Errors are one line on standard error, with exit status 1, or 2 for wrong usage.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    try:
        command = [word for word in words if word != "--debug"]
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = app(command, standalone_mode=False, prog_name="vaelens")
        sys.stdout.flush()  # what cannot be written is an error, not a note at exit
        sys.exit(status if isinstance(status, int) else 0)
    except _Interrupted as stop:
        _fail(str(stop), 130)
    except SystemExit as stop:  # of SIGTERM, with a sentence
        if isinstance(stop.code, str):
            _fail(stop.code, 143)
        raise
    except _UsageError as error:
        help_of = error.ctx.command_path if error.ctx else "vaelens"
        said = error.format_message().rstrip(".") or "no command given"
        _fail(f"{said}{'' if said.endswith('?') else '.'} See {help_of} --help.", 2)
    except (VaelensError, OSError) as error:
        if debug:
            raise
        _fail(str(error), 1)
    except Exception as error:
        if debug:
            raise
        _fail(f"{type(error).__name__}: {error}; this is a fault of vaelens: --debug shows where", 1)


def _show_warning(message: Any, category: Any, filename: Any, lineno: Any, file: Any = None, line: Any = None) -> None:
    if issubclass(category, VaelensWarning):
        print(f"vaelens: warning: {' '.join(str(message).split())}", file=sys.stderr)
    else:
        print(warnings.formatwarning(message, category, filename, lineno, line), end="", file=file or sys.stderr)


def _fail(message: str, status: int) -> None:
    print(f"vaelens: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
