"""The codes of some images, with the spread, positions and codebook that an intervention on them needs to know."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vaelens.effects.activity import Activity, activity, standardised
from vaelens.effects.code_use import CodeUse, code_use, codes_used_high, perplexity_interval
from vaelens.effects.positions import Positions, find_positions
from vaelens.lens import LATENT, Batch, ImagesLike, Lens, axis_names


@dataclass(frozen=True, eq=False)
class Codebook:
    """The codes of a quantised latent, and which of them the images take.

    Attributes:
        codes: (K, d).
        indices: the code at each position of each image, int32 (n, *positions): those of all images stay in memory.
        use: how often each code is taken.
    """

    codes: Tensor
    indices: Tensor
    use: CodeUse

    def attributes(self, seed: int) -> dict[str, float]:
        """Returns the attributes of a result that say how many codes all positions together take, and how evenly."""
        low, high = perplexity_interval(self.indices, self.use, seed)
        return {
            "codes_used": self.use.codes_used,
            "codes_used_high": codes_used_high(self.indices, len(self.codes)),
            "code_perplexity": self.use.perplexity,
            "code_perplexity_low": low,
            "code_perplexity_high": high,
        }


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of some images.

    Attributes:
        z: (n, d, *positions); of a quantised latent before quantisation.
        activity: each latent's spread and divergence.
        positions: where a latent is set.
        codebook: of a quantised latent, else None.
        logvar: log-variances of the posteriors, like z; None where the encoder returns none.
        context: of the images, one line each, where the model takes one.
        directions: of codes along directions the names of these, which come first; None where codes are latents.
        prior_scale: the prior's standard deviation of each latent, (d,); None where it is 1.
        code_embeddings: of a quantised latent what is quantised to each code that the images take, (K, d).
    """

    z: Tensor
    activity: Activity
    positions: Positions
    codebook: Codebook | None = None
    logvar: Tensor | None = None
    context: Tensor | None = None
    directions: tuple[str, ...] | None = None
    prior_scale: Tensor | None = None
    code_embeddings: Tensor | None = None

    @property
    def units(self) -> int:
        """How many latents, or directions, are intervened on."""
        return self.z.shape[1] if self.directions is None else len(self.directions)

    @property
    def standardised(self) -> tuple[Tensor, Tensor | None]:
        """Means and log-variances of the posteriors in standard deviations of the prior."""
        return standardised(self.z, self.logvar, self.prior_scale)

    @property
    def batch(self) -> Batch:
        """The codes in their context."""
        return Batch(self.z, self.context)

    def take(self, images: Tensor) -> "Codes":
        """Takes some of the images only, by their indices."""
        z, logvar = self.z[images], None if self.logvar is None else self.logvar[images]
        book = self.codebook
        if book is not None:
            indices = book.indices[images]
            book = Codebook(book.codes, indices, code_use(indices, len(book.codes)))
        return replace(
            self,
            z=z,
            activity=activity(z, logvar, self.prior_scale),
            positions=self.positions.take(images),
            codebook=book,
            logvar=logvar,
            context=self.batch[images].context,
        )


def codes_of(lens: Lens, images: ImagesLike, positions: Any = "all", seed: int = 0) -> Codes:
    """Encodes images once.

    Args:
        lens: the lens.
        images: as the lens takes them, in their context.
        positions: where a latent is set.
        seed: draws positions.

    Raises:
        VaelensError: images out of range, positions that the latent does not have.
    """
    batch = lens.batch(images)
    z, logvar = lens.posterior(batch)
    context = None if batch.context is None else batch.context.to(z)
    places = find_positions(positions, z, seed)
    book, direction, basis = lens.codebook, lens.directions.get(LATENT), lens.engine.parts.basis
    prior = None if basis is None else basis.scale.to(z)
    named = None if direction is None else direction.names
    codebook = embeddings = None
    if book is not None:
        indices = torch.cat([lens.quantise(chunk).indices.int() for chunk in z.split(lens.engine.rows)])
        codebook = Codebook(book.to(z), indices, code_use(indices, len(book)))
        embeddings = _code_embeddings(lens, z, codebook)
    return Codes(z, activity(z, logvar, prior), places, codebook, logvar, context, named, prior, embeddings)


def codes_elsewhere(lens: Lens, book: Codebook, wanted: Tensor, embeddings: Tensor) -> Tensor:
    """Finds those of some codes, (m,), whose embeddings, (m, d), are quantised to another code."""
    positions = tuple(book.indices.shape[1:])
    places = int(np.prod(positions))
    rows = -(-len(embeddings) // places)  # of latents that are filled with them, position by position
    filled = embeddings[torch.arange(rows * places) % len(embeddings)].reshape(rows, places, -1)
    taken = lens.quantise(filled.movedim(-1, 1).reshape(rows, -1, *positions)).indices.flatten()[: len(embeddings)]
    differ = book.codes[taken.to(book.codes.device)] != book.codes[wanted]  # the same may stand there twice
    return wanted[differ.any(dim=1)]


def _code_embeddings(lens: Lens, z: Tensor, book: Codebook) -> Tensor:
    """Finds an embedding that is quantised to each code that some latents take, (K, d).

    It is the code's own, or the nearest of these latents' where the quantiser takes the code's own to another code, as
    one may that bounds or projects what it is given.
    """
    used = torch.as_tensor(np.flatnonzero(book.use.counts)).to(z.device)
    moved = codes_elsewhere(lens, book, used, book.codes[used])
    if not len(moved):
        return book.codes
    indices = book.indices.flatten().long().to(z.device)
    places = torch.isin(indices, moved).nonzero()[:, 0]
    rows, codes = z.movedim(1, -1).reshape(-1, z.shape[1])[places], indices[places]
    order = (rows - book.codes[codes]).norm(dim=1).argsort(stable=True)
    found, nearest = (torch.as_tensor(each) for each in np.unique(codes[order].cpu().numpy(), return_index=True))
    embeddings = book.codes.clone()
    embeddings[found.to(z.device)] = rows[order[nearest.to(z.device)]]
    return embeddings


def position_coords(codes: Codes, unit: str) -> dict[str, Any]:
    """Returns the row and column of each position, or `axis_<k>` where there are not two axes, as coordinates."""
    shape = codes.z.shape[2:]
    if unit != "position" or not shape:
        return {}
    names = axis_names(len(shape)) if len(shape) > 1 else ("axis_0",)
    indices = np.unravel_index(np.arange(np.prod(shape)), shape)
    return {name: (unit, index) for name, index in zip(names, indices, strict=True)}
