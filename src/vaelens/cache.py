"""The folder for what is made once and can be made again: rendered views, decoded pictures, converted official files.

It is the one that the environment variable VAELENS_CACHE names, else the user's cache folder of vaelens. All of it may
be deleted at any time: whatever is asked for next is made anew.
"""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """The folder; it need not be there yet, and it may be that it can't be written."""
    named = os.environ.get("VAELENS_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("vaelens", appauthor=False)
