"""The folder for rendered views, decoded pictures and converted official files, all of which can be made again.

It is the one that the environment variable VAELENS_CACHE names, else the user's cache folder of vaelens. All of it may
be deleted at any time: whatever is asked for next is made anew.
"""

import os
from pathlib import Path

import platformdirs

from vaelens.paths import user_path


def cache_folder() -> Path:
    """Returns the folder, which need not exist yet and may not be writable."""
    folder = os.environ.get("VAELENS_CACHE")
    return user_path("VAELENS_CACHE", folder) if folder else platformdirs.user_cache_path("vaelens", appauthor=False)
