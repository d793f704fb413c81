"""Everything about one model in one call, from all four levels to the causal and the disentanglement metrics.

What is public is listed in `__init__.pyi`; each name is imported when it is first asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
