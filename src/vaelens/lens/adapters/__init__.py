"""Adapters, by which a lens gets at the encoder, the codebook and the decoder of a model that it knows.

A family of models is a file of its own and a line in `choice.FAMILIES`. A model is known by the names of its classes,
so that nothing is imported that its owner has not imported already.
"""

from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.choice import adapted, library, module_of, unwrapped
from vaelens.lens.adapters.tvae import encoder_kept
from vaelens.lens.adapters.tvae_table import TVAETable

__all__ = ["Adapter", "TVAETable", "adapted", "encoder_kept", "library", "module_of", "unwrapped"]
