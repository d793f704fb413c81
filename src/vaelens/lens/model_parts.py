"""A VAE as its parts, encoder, codebook and decoder, each run a chunk at a time."""

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.basis import Basis
from vaelens.lens.batch import Batch
from vaelens.lens.cached_part import first_result
from vaelens.lens.context import ContextForm, in_context
from vaelens.lens.execution import ActivationEdit
from vaelens.lens.isolation import isolated
from vaelens.lens.levels import Levelled
from vaelens.lens.model_part import ModelPart
from vaelens.lens.module_state import weights_watch
from vaelens.lens.quantisation import Quantisation
from vaelens.lens.settings import FP32
from vaelens.lens.sites import LATENT
from vaelens.lens.source_change import INPUT
from vaelens.lens.unseen import unseen_projector
from vaelens.lens.weights import weight_of
from vaelens.lens.wrapped_result import way_out
from vaelens.models.quantiser import Quantised
from vaelens.observation import AN_IMAGE, Observation


@dataclass(frozen=True, eq=False)
class Encoded:
    """The posterior mean (n, d, *positions), log-variance or None, and captured activations of a chunk of observations.

    `deviation` takes a standard normal draw for each latent to what a sample of the posterior differs by from its mean.
    """

    mean: Tensor
    logvar: Tensor | None
    activations: Mapping[str, Tensor]
    deviation: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True, eq=False)
class Decoded:
    """The mean observations (n, *shape) and captured activations of a chunk of codes."""

    images: Tensor
    activations: Mapping[str, Tensor]


class ModelParts:
    """Runs a module's encoder and decoder with edits and captures, at sites that `site_search` finds.

    With a codebook, codes are quantised before they are decoded. With a context, each part is given it besides.

    Each run gets a copy of its inputs, because a model may begin with an in-place operation.

    Args:
        module: the model.
        encode: observations, and their context where there is a form of it, to codes.
        decode: codes, and likewise, to observations.
        quantisation: of a quantised latent, else None.
        form: of the context; None where the model takes none.
        observation: what an observation is.
        levelled: the decoder where it hands its levels through modules; it is what `decode` calls.
    """

    def __init__(
        self,
        module: nn.Module,
        encode: Callable[..., Any],
        decode: Callable[..., Any],
        quantisation: Quantisation | None = None,
        form: ContextForm | None = None,
        observation: Observation = AN_IMAGE,
        levelled: Levelled | None = None,
    ):
        self.module, self.quantisation, self.form, self.levelled = module, quantisation, form, levelled
        self._observation = observation
        self._code_shape: list[tuple[int, ...]] = [()]  # shared with the same parts along directions
        self.basis: Basis | None = None  # that codes are counted in; None for latents
        if form is not None:
            encode = in_context(encode, form, lambda: observation.shape)
            decode = in_context(decode, form, lambda: self._code_shape[0])
        self.encoder, self.decoder = ModelPart(module, encode), ModelPart(module, decode)

    def along(self, bases: Mapping[str, Basis]) -> "ModelParts":
        """Returns these parts with the activations of some sites, and codes, in coordinates along directions."""
        other = copy.copy(self)
        other.encoder, other.decoder = self.encoder.along(bases), self.decoder.along(bases)
        other.basis = bases.get(LATENT, self.basis)
        return other

    @property
    def like(self) -> Tensor:
        """A weight, which is on the model's device and of its type."""
        return weight_of(self.module)

    @property
    def coupled(self) -> bool:
        """Whether rows of a part draw random numbers or influence one another."""
        return self.encoder.rows.coupled or self.decoder.rows.coupled

    @property
    def decodes_latents(self) -> bool:
        """Whether the decoder is given the code as it is."""
        return self.quantisation is None and self.form is None and self.basis is None

    def begin(self) -> Callable[[], None]:
        """Begins a sweep, of a model that may have been changed since the last one.

        Returns:
            A function that ends it, and raises a VaelensError where the model's weights were changed meanwhile.
        """
        self.forget_weights()
        self.encoder.trust.forget()
        self.decoder.trust.forget()
        changed = weights_watch(self.module)

        def end() -> None:
            if changed():
                raise VaelensError(
                    f"weights of {type(self.module).__name__} were changed while a sweep ran, as by training in "
                    "another thread, so that its numbers are of no one model; run it while nothing changes the model"
                )

        return end

    def forget_weights(self) -> None:
        """Makes layers lay out their weights anew when a sweep begins, as a change through `.data` leaves no trace."""
        self.encoder.forget_weights()
        self.decoder.forget_weights()

    def encode(self, batch: Batch, edits: Mapping[str, ActivationEdit], capture: Collection[str], seed: int) -> Encoded:
        """Runs one chunk through the encoder, under hooks. `seed` fixes whatever it draws by itself."""
        result, captured = self.encoder.run(self.encodable(batch), edits, capture, seed)
        mean, logvar = self.posterior_in(result, batch.values)
        return Encoded(mean, logvar, captured, None if logvar is None else self._deviation(result, batch.values))

    def _deviation(self, result: Any, like: Tensor) -> Callable[[Tensor], Tensor]:
        """Returns a function from a standard normal draw for each latent to what a sample differs by from its mean."""
        scale = torch.exp(0.5 * posterior_in(result, len(like))[1].to(like))  # pyright: ignore[reportOptionalMemberAccess]
        basis = self.basis
        return lambda noise: scale * noise if basis is None else basis.coordinates(scale * noise).to(like)

    def decode(self, codes: Batch, edits: Mapping[str, ActivationEdit], capture: Collection[str], seed: int) -> Decoded:
        """Runs one chunk through the decoder, under hooks. `seed` fixes whatever it draws by itself."""
        result, captured = self.decoder.run(self.decodable(codes), edits, capture, seed)
        return Decoded(images_in(result, len(codes), self._observation).to(codes.values), captured)

    def evaluate_decoder(self, codes: Batch, precision: str = FP32, seed: int = 0) -> Tensor:
        """Computes the images of one chunk of codes as sweeps do, in the forms that are fastest here."""
        return first_result(self.decoder.evaluate(self.decodable(codes), precision, seed)).to(codes.values)

    def decoder_activations(
        self, codes: Batch, sites: Collection[str], precision: str = FP32, seed: int = 0
    ) -> Mapping[str, Tensor]:
        """Computes the activations of some of the decoder's sites on one chunk of codes, as sweeps do."""
        inputs = self.decodable(codes)
        return self.decoder.cache(inputs, (), capture=sites, precision=precision, seed=seed).activations

    def evaluate_encoder(self, batch: Batch, precision: str = FP32, seed: int = 0) -> Tensor:
        """Computes the codes of one chunk of images, as sweeps do."""
        return self.codes_in(self.encoder.evaluate(self.encodable(batch), precision, seed), batch.values)

    def codes_in(self, result: Any, like: Tensor) -> Tensor:
        """Extracts the codes from what the encoder returned, on the device and in the type of `like`."""
        mean = first_result(result).to(like)
        return mean if self.basis is None else self.basis.coordinates(mean).to(like)

    def posterior_in(self, result: Any, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Extracts mean and log-variance (or None) from what the encoder returned for some images.

        Raises:
            VaelensError: it is neither a code nor a pair of such.
        """
        mean, logvar = posterior_in(result, len(images))
        logvar = None if logvar is None else logvar.to(images)
        if self.basis is None:
            return mean.to(images), logvar
        return self.codes_in(mean, images), None if logvar is None else self.basis.log_variance(logvar).to(images)

    def in_latents(self, codes: Tensor) -> Tensor:
        """Converts codes to the model's own latents."""
        return codes if self.basis is None else self.basis.along(codes).to(codes)

    def unseen(self, site: str) -> Tensor | None:
        """Computes the projector on what no linear reader of a site sees, float64 (units, units). None if not known."""
        if site == LATENT:
            matrices = self.decoder.readers(INPUT) if self.quantisation is None and self.form is None else None
        else:
            matrices = (self.encoder if site in self.encoder.points else self.decoder).readers(site)
        return None if matrices is None else unseen_projector(matrices, torch.finfo(self.like.dtype).eps)

    @property
    def codebook(self) -> Tensor | None:
        """The codes of a quantised latent, (K, d), or None for any other latent."""
        if self.quantisation is None or self.basis is None:
            return None if self.quantisation is None else self.quantisation.codebook
        codes = self.quantisation.codebook
        return self.basis.coordinates(codes).to(codes)

    def row_floats(self, parts: Mapping[str, str]) -> tuple[int, int]:
        """Counts the numbers kept of one image to rerun it from some sites, and those of the largest value computed.

        Args:
            parts: the part of each site, by name.
        """
        by_part = {"encoder": self.encoder, "decoder": self.decoder}
        floats = [
            part.floats([site for site, where in parts.items() if where == name]) for name, part in by_part.items()
        ]
        return sum(kept for kept, _ in floats), max(largest for _, largest in floats)

    def quantise(self, codes: Tensor) -> Quantised:
        """Quantises one chunk of codes to those of the codebook."""
        assert self.quantisation is not None, "a lens asks only where there is a codebook"
        with isolated(self.module):
            chosen = self.quantisation(self.in_latents(codes))
        if self.basis is None:
            return chosen
        return Quantised(self.basis.coordinates(chosen.embedding).to(codes), chosen.indices)

    def encodable(self, batch: Batch) -> Tensor:
        """Builds the encoder's input, which is the observations, or a flat row of each with its context."""
        return batch.values if batch.context is None else _in_lines(batch.values, batch.context)

    def decodable(self, codes: Batch) -> Tensor:
        """Builds the decoder's input, which is the codes, quantised if there is a codebook, with their context if any.

        Raises:
            VaelensError: the model takes a context, and the codes have none.
        """
        values = self.in_latents(codes.values)
        if self.quantisation is not None:
            with isolated(self.module):
                values = self.quantisation(values).embedding
        if codes.context is None:
            return values
        self._code_shape[0] = tuple(values.shape[1:])
        return _in_lines(values, codes.context)

    def after_encoder(self, mean: Tensor, encoded: Tensor) -> Tensor:
        """Builds the decoder's input from the posterior means of what the encoder was given."""
        assert self.basis is None, "sites are found before directions are taken"
        context = None if self.form is None else encoded[:, self._observation.size :]
        return self.decodable(Batch(mean.to(encoded), context))


def _in_lines(values: Tensor, context: Tensor) -> Tensor:
    return torch.cat([values.flatten(1), context.to(values)], dim=1)


def posterior_in(result: Any, images: int) -> tuple[Tensor, Tensor | None]:
    """Extracts mean and log-variance (or None) from what an encoder returned for some images.

    Raises:
        VaelensError: it is neither a code nor a pair of such.
    """
    pair = tuple(result) if isinstance(result, tuple | list) else (result, None)
    fits = len(pair) == 2 and isinstance(pair[0], Tensor) and pair[0].ndim >= 2 and len(pair[0]) == images
    if not fits or not (pair[1] is None or (isinstance(pair[1], Tensor) and pair[1].shape == pair[0].shape)):
        returned = pair if isinstance(result, tuple | list) else (result,)
        shapes = [tuple(p.shape) if isinstance(p, Tensor) else type(p).__name__ for p in returned]
        raise VaelensError(
            f"encode gave {shapes} for {images} images; expected a code (n, d) or (n, d, height, width), or a pair "
            f"(mean, log-variance) of that shape{way_out(result, 'encode', 'x', images)}"
        )
    if not pair[0].is_floating_point():
        raise VaelensError(
            f"encode gave a code of type {pair[0].dtype}; expected floats: of a quantised latent what comes before the "
            "quantisation, with the codes as codebook="
        )
    return pair[0], pair[1]


def images_in(result: Any, codes: int, observation: Observation) -> Tensor:
    """Checks that a decoder returned observations for some codes, and returns them.

    Raises:
        VaelensError: it returned something else.
    """
    if not isinstance(result, Tensor) or result.ndim != 1 + len(observation.shape) or len(result) != codes:
        what = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise VaelensError(
            f"decode gave {what} for {codes} codes; expected {observation.noun} {observation.several}"
            + way_out(result, "decode", "z", codes)
        )
    if result.is_complex():
        raise VaelensError(
            f"decode gave complex numbers; expected {observation.noun}: give a decode that returns .real"
        )
    return result.detach()
