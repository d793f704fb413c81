"""A VAE as its parts, encoder, codebook and decoder, each run in chunks under hooks; finds the sites of all."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.execution import Edit, execute, trace, undisturbed
from vaelens.lens.naming import Name, Place, Traced, modules_in, with_names
from vaelens.lens.points import Point, point_of
from vaelens.lens.quantisation import Quantisation
from vaelens.lens.sites import LATENT, Sites, site_of, stages
from vaelens.models.quantiser import Quantised


@dataclass(frozen=True, eq=False)
class Encoded:
    """A chunk through the encoder: posterior mean (n, d, *positions), log-variance or None, captured activations."""

    mean: Tensor
    logvar: Tensor | None
    activations: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Decoded:
    """A chunk through the decoder: mean images (n, C, H, W) and captured activations."""

    images: Tensor
    activations: Mapping[str, Tensor]


class Parts:
    """Runs a module's encoder and decoder with edits and captures; knows its sites after `find_sites`.

    With a codebook, codes are quantised before they are decoded.

    Each run gets a copy of its inputs: a model may begin with an in-place operation.
    """

    def __init__(
        self,
        module: nn.Module,
        encode: Callable[[Tensor], Any],
        decode: Callable[[Tensor], Any],
        quantisation: Quantisation | None = None,
    ):
        self.module, self.quantisation = module, quantisation
        self._encode, self._decode = encode, decode
        self._points: dict[str, Point] = {}

    @property
    def like(self) -> Tensor:
        """A weight: what is on the model's device and of its type is like it."""
        for tensor in (*self.module.parameters(), *self.module.buffers()):
            if tensor.is_floating_point():
                return tensor
        raise VaelensError(f"{type(self.module).__name__} has no parameters; a lens needs a model with weights")

    def encode(self, images: Tensor, edits: Mapping[str, Edit], capture: Collection[str], seed: int) -> Encoded:
        """One chunk through the encoder; `seed` fixes whatever an encoder draws by itself."""
        with undisturbed(self.module, seed):
            result, captured = execute(self._encode, images.clone(), self._points, edits, capture)
        return Encoded(*_posterior(result, len(images)), captured)

    def decode(self, codes: Tensor, edits: Mapping[str, Edit], capture: Collection[str]) -> Decoded:
        """One chunk through the decoder."""
        with undisturbed(self.module):
            result, captured = execute(self._decode, self._decodable(codes), self._points, edits, capture)
        return Decoded(_decoded(result, len(codes)), captured)

    def quantise(self, codes: Tensor) -> Quantised:
        """The codes of the codebook that one chunk takes."""
        assert self.quantisation is not None, "a lens asks only where there is a codebook"
        with undisturbed(self.module):
            return self.quantisation(codes)

    def find_sites(self, example: Tensor, names: Sequence[Name] = ()) -> Sites:
        """Trace one small batch and resolve every site: those that are found, and those that a user names.

        Raises:
            VaelensError: encode and decode do not fit together, or do not run parts of the module; a name that stands
                for nothing.
        """
        also = modules_in(names, self.module)
        with undisturbed(self.module):
            encoder = trace(self.module, self._encode, example.clone(), also)
            mean, logvar = _posterior(encoder.result, len(example))
            decoder = trace(self.module, self._decode, self._decodable(mean), also)
        image = _decoded(decoder.result, len(example))
        if image.shape != example.shape:
            raise VaelensError(
                f"decode gives images of shape {tuple(image.shape[1:])} for images of shape "
                f"{tuple(example.shape[1:])}; expected the same"
            )
        traced = Traced(self.module, encoder, decoder)
        heads = [mean] if logvar is None else [mean, logvar]
        before, after = stages(encoder.calls, heads=heads), stages(decoder.calls, last_is_output=True)
        if not after:
            raise VaelensError("decode ran no layer of the model; encode and decode must run parts of the module given")
        found = [
            *(traced.place(f"encoder.{k}", "encoder", call) for k, call in enumerate(before)),
            Place(site_of(LATENT, LATENT, mean), None),
            *(traced.place(f"decoder.{k}", "decoder", call) for k, call in enumerate(after)),
        ]
        places = with_names(found, names, traced)
        self._points = {place.site.name: point_of(place.call) for place in places if place.call is not None}
        return Sites([place.site for place in places])

    def _decodable(self, codes: Tensor) -> Tensor:
        return codes.clone() if self.quantisation is None else self.quantisation(codes).embedding


def _posterior(result: Any, images: int) -> tuple[Tensor, Tensor | None]:
    pair = tuple(result) if isinstance(result, tuple | list) else (result, None)
    fits = len(pair) == 2 and isinstance(pair[0], Tensor) and pair[0].ndim >= 2 and len(pair[0]) == images
    if not fits or not (pair[1] is None or (isinstance(pair[1], Tensor) and pair[1].shape == pair[0].shape)):
        given = pair if isinstance(result, tuple | list) else (result,)
        shapes = [tuple(p.shape) if isinstance(p, Tensor) else type(p).__name__ for p in given]
        raise VaelensError(
            f"encode gave {shapes} for {images} images; expected a code (n, d) or (n, d, height, width), or a pair "
            "(mean, log-variance) of that shape"
        )
    return pair[0], pair[1]


def _decoded(result: Any, codes: int) -> Tensor:
    if not isinstance(result, Tensor) or result.ndim != 4 or len(result) != codes:
        shape = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise VaelensError(f"decode gave {shape} for {codes} codes; expected images (n, C, H, W)")
    return result
