"""The lens that shows what happens inside a variational autoencoder, by intervening on it.

The public names are listed in `__init__.pyi`; each is imported when it is first used, so that `import vaelens` and
the command line's help cost nothing.
"""

import random
from typing import Any

import lazy_loader

from vaelens.version import __version__ as __version__

_imported, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    state = random.getstate()  # which rich draws from when it is imported
    try:
        return _imported(name)
    finally:
        random.setstate(state)
