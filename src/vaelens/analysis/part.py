"""A part of an analysis, with what measures it, the images that it takes if time allows, and what it costs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import xarray as xr

from vaelens.analysis.choice import Need, Share
from vaelens.analysis.cost import Clock, Cost, Moved, measure

PARTS = {  # what each of them measures, in the order of an analysis
    "reconstruction": "how far reconstructions are from the images",
    "latent": "what each latent does to the image",
    "modes": "the same by every mode of intervention",
    "recoded": "which latents a change of one latent changes",
    "labels": "how labels and latents go together",
    "input": "what changes of the image change inside",
    "patching": "what each unit carries from one image to another",
    "mediation": "what passes through each latent",
    "circuits": "which units carry each factor from image to image",
    "responses": "what each latent does to each unit of the decoder",
    "read": "which factors of the image each latent changes",
    "one_position": "what each latent does at one position",
    "swap": "what swaps of codes do to the image",
    "codes": "what each code of the codebook does, and where it is taken",
    "pictures": "reconstructions, traversals and swaps to look at",
    "importance": "how well codes and factors correspond",
    "controls": "what an untrained copy scores, and what a label without meaning does",
}
ON_REQUEST = ("circuits",)  # parts that are left out unless they are asked for
LEAST = 8  # images for a part, and for an analysis


class Late(Exception):
    """Ends a part that can be ended, because the time is over."""


@dataclass(frozen=True)
class Part:
    """A part of an analysis.

    Attributes:
        name: as `PARTS` has it.
        full: how many images it takes where there is time for all.
        run: measures on so many images and so many of its pieces, and tells how far it is.
        counted: what is counted, in the plural; "images" stands for whatever the observations are.
        pieces: what it can be divided into; sites in the order in which they are taken up, or one piece.
        cost: what each piece costs, from a trial of so many seconds; timed on a run by default.
        run_until: like `run`, piece by piece until what it tells how far it is raises `Late`; where there are pieces.
        fewest: images that it needs at least.
        trial: images that it is first timed on.
    """

    name: str
    full: int
    run: Callable[[Share, Moved], xr.Dataset]
    counted: str = "images"
    pieces: Sequence[str] = ("",)
    cost: Callable[[float, Clock], tuple[Cost, ...]] | None = None
    run_until: Callable[[Share, Moved], xr.Dataset] | None = None
    fewest: int = LEAST
    trial: int = 2

    def need(self, patience: float, clock: Clock) -> Need:
        """Measures what the part costs, in a trial of about so many seconds."""
        if self.cost is not None:
            costs = self.cost(patience, clock)
        else:
            few = min(self.trial, self.full)
            costs = (measure(lambda n, moved: self.run(Share(n, 1), moved), (few, self.full), patience, clock),)
        return Need(self.full, min(self.fewest, self.full), costs)

    @property
    def whole(self) -> Share:
        """The share that is all of it."""
        return Share(self.full, len(self.pieces))
