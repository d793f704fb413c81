"""The sources that commands take a model from, which are folders of several libraries, runs, and a user's functions.

A kind of folder is a file of its own and a line in `choice.FOLDERS`. Nothing that a folder holds is unpickled or run.
"""

from vaelens.cli.sources.choice import load_lens, name_of_source
from vaelens.cli.sources.python import dataset_lines, lens_lines
from vaelens.cli.sources.recorded import recorded_dataset, trained_on
from vaelens.cli.sources.run import analysis_in, model_beside, model_in

__all__ = [
    "analysis_in",
    "dataset_lines",
    "lens_lines",
    "load_lens",
    "model_beside",
    "model_in",
    "name_of_source",
    "recorded_dataset",
    "trained_on",
]
