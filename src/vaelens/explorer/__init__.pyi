from .server import Explorer, explore
from .upload import unpacked_picture

__all__ = ["Explorer", "explore", "unpacked_picture"]
