"""The explorer, a page on this machine in which images, latents, units and circuits of a model are changed by hand.

What is public is listed in `__init__.pyi`; each name is imported when it is first asked for.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
