"""A VAE as its parts, encoder, codebook and decoder, each run in chunks under hooks; finds the sites of all."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from vaelens.errors import VaelensError
from vaelens.lens.calls import Trace
from vaelens.lens.execution import Edit, is_scripted, trace, undisturbed
from vaelens.lens.incremental.found import WAYS
from vaelens.lens.kept import first
from vaelens.lens.naming import Name, Place, Traced, modules_in, with_names
from vaelens.lens.part import Part
from vaelens.lens.points import Point, point_of
from vaelens.lens.quantisation import Quantisation
from vaelens.lens.settings import FP32
from vaelens.lens.sites import LATENT, Sites, site_of, stages
from vaelens.models.quantiser import Quantised
from vaelens.progress import Report, reporting

_LARGE = 10 * 3 * 128**2  # numbers of an example from which on it is followed by its shapes alone, to save memory


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
        self.encoder, self.decoder = Part(module, encode), Part(module, decode)

    @property
    def like(self) -> Tensor:
        """A weight: what is on the model's device and of its type is like it."""
        for tensor in chain(self.module.parameters(), self.module.buffers()):
            if tensor.is_floating_point():
                return tensor
        raise VaelensError(f"{type(self.module).__name__} has no parameters; a lens needs a model with weights")

    def forget(self) -> None:
        """Have the weights read anew."""
        self.encoder.forget()
        self.decoder.forget()

    def encode(self, images: Tensor, edits: Mapping[str, Edit], capture: Collection[str], seed: int) -> Encoded:
        """One chunk through the encoder; `seed` fixes whatever an encoder draws by itself."""
        self.forget()  # a sweep begins by encoding
        result, captured = self.encoder.run(images, edits, capture, seed)
        return Encoded(*_posterior(result, len(images)), captured)

    def decode(self, codes: Tensor, edits: Mapping[str, Edit], capture: Collection[str]) -> Decoded:
        """One chunk through the decoder."""
        result, captured = self.decoder.run(self.decodable(codes), edits, capture)
        return Decoded(_decoded(result, len(codes)), captured)

    def draw(self, codes: Tensor, precision: str = FP32, edits: Mapping[str, Edit] | None = None) -> Tensor:
        """The images of one chunk of codes, as sweeps compute them: in the forms that are fastest here."""
        return self.decoder.fast(self.decodable(codes), precision, edits).to(codes)

    def responding(self, codes: Tensor, sites: Collection[str], precision: str = FP32) -> Mapping[str, Tensor]:
        """The activations of some of the decoder's sites on one chunk of codes, likewise."""
        return self.decoder.base(self.decodable(codes), (), capture=sites, precision=precision).activations

    def read(self, images: Tensor, precision: str = FP32) -> Tensor:
        """The codes of one chunk of images, likewise."""
        return first(self.encoder.fast(images, precision)).to(images)

    def row_floats(self, parts: Mapping[str, str]) -> tuple[int, int]:
        """Numbers kept of one image for running it again from some sites, and those of the largest value on the way.

        Args:
            parts: the part of each site, by name.
        """
        within = {"encoder": self.encoder, "decoder": self.decoder}
        found = [part.floats([s for s, where in parts.items() if where == name]) for name, part in within.items()]
        return sum(kept for kept, _ in found), max(largest for _, largest in found)

    def quantise(self, codes: Tensor) -> Quantised:
        """The codes of the codebook that one chunk takes."""
        assert self.quantisation is not None, "a lens asks only where there is a codebook"
        with undisturbed(self.module):
            return self.quantisation(codes)

    def find_sites(
        self,
        example: Tensor,
        names: Sequence[Name] = (),
        ways: Collection[str] = WAYS,
        progress: Any = False,
    ) -> Sites:
        """Trace one small batch and resolve every site: those that are found, and those that a user names.

        Args:
            example: one or two images.
            names: the user's names.
            ways: the ways to run as steps that are tried.
            progress: whether to show a bar: a large model is run several times.

        Raises:
            VaelensError: encode and decode do not fit together, or do not run parts of the module; a name that stands
                for nothing.
        """
        with reporting(progress, 3, "finding the sites") as report:
            sites, points = self._resolved(example, names)
            report.advance(1)
            self._prepare(sites, points, example, ways, report)
        return sites

    def _resolved(self, example: Tensor, names: Sequence[Name]) -> tuple[Sites, Mapping[str, Point]]:
        """Every site and where it is; what was traced for it, all activations at once, is let go."""
        also = modules_in(names, self.module)
        traced = None
        if example.numel() > _LARGE:
            with suppress(Exception), FakeTensorMode(allow_non_fake_inputs=True) as fake:
                traced = self._traced(fake.from_tensor(example), also)
        encoder, decoder, mean, logvar = self._traced(example, also) if traced is None else traced
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
            unseen = (
                " (layers inside TorchScript take no hooks)" if any(map(is_scripted, self.module.modules())) else ""
            )
            raise VaelensError(
                f"decode ran no layer of the model{unseen}; encode and decode must run parts of the module given"
            )
        found = [
            *(traced.place(f"encoder.{k}", "encoder", call) for k, call in enumerate(before)),
            Place(site_of(LATENT, LATENT, mean), None),
            *(traced.place(f"decoder.{k}", "decoder", call) for k, call in enumerate(after)),
        ]
        places = with_names(found, names, traced)
        points = {place.site.name: point_of(place.call) for place in places if place.call is not None}
        return Sites([place.site for place in places]), points

    def _traced(self, example: Tensor, also: Collection[nn.Module]) -> tuple[Trace, Trace, Tensor, Tensor | None]:
        """Encoder and decoder on an example, and the posterior between them."""
        with undisturbed(self.module):
            encoder = trace(self.module, self.encoder.function, example.clone(), also)
            mean, logvar = _posterior(encoder.result, len(example))
            return encoder, trace(self.module, self.decoder.function, self.decodable(mean), also), mean, logvar

    def _prepare(
        self, sites: Sites, points: Mapping[str, Point], example: Tensor, ways: Collection[str], report: Report
    ) -> None:
        """Tell both parts their sites, and let them find their steps on two made-up images."""
        generator = torch.Generator().manual_seed(0)
        images = torch.rand(2, *example.shape[1:], generator=generator).to(example)
        with undisturbed(self.module):
            of_part = {part: {name: points[name] for name in sites.of(part)} for part in ("encoder", "decoder")}
            result = self.encoder.prepare(of_part["encoder"], images, ways, report.advance)
            mean, _ = _posterior(result, len(images))
            report.advance(1 / 3)
            self.decoder.prepare(of_part["decoder"], self.decodable(mean), ways, report.advance)

    def decodable(self, codes: Tensor) -> Tensor:
        """What the decoder is given for some codes: the codes themselves, or those that they are quantised to."""
        return codes if self.quantisation is None else self.quantise(codes).embedding


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
