"""The sources that `vaelens analyse` takes a model from, folders of several libraries and functions of the user's.

A kind of folder is a file of its own and a line in `choice.FOLDERS`. Nothing that a folder holds is unpickled or run.
"""

from vaelens.cli.sources.choice import load_lens, name_of_source

__all__ = ["load_lens", "name_of_source"]
