"""Where `vaelens analyse` gets its model from: a folder of vaelens, diffusers or Pythae, or a function of the user's.

A kind of folder is a file of its own and a line in `choice.FOLDERS`. Nothing that a folder holds is unpickled or run.
"""

from vaelens.cli.sources.choice import load_lens, name_of_source

__all__ = ["load_lens", "name_of_source"]
