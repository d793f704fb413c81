"""The front door, which parses, calls the public API and prints. Every command ends with where its results are.

Nothing heavy is imported before a command runs, so that `--help` answers at once. A command is a function in a file
of its own and a name in `app`.
"""

from vaelens.cli.app import app, main

__all__ = ["app", "main"]
