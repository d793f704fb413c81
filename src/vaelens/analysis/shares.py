"""How many of an analysis's images each of its parts takes where there is time for all, fewer the more it costs."""

from dataclasses import dataclass

_NARROW = 12  # latents up to which a part takes its full share; beyond, images times latents stay as they are
_FEW_POSITIONS = 8  # the same of the positions whose codes are swapped
_MANY = 512  # images that the full share of the most expensive parts is computed from, where there are no more
_FEWEST = 16  # images that an interval can be estimated from
_ASSOCIATED = 10_000  # codes that labels are compared with
MOST_CODES = 15_000  # codes, of which a predictor learns from two thirds and is tested on the others
_FEWEST_PREDICTED = 1536  # codes that a predictor of many latents can learn from and be tested on


@dataclass(frozen=True)
class Shares:
    """Images of each part, of mediation and level 1 the pairs of each factor, of patching the pairs in all."""

    latent: int
    modes: int
    recoded: int
    read: int
    changed: int
    patched: int
    mediated: int
    responses: int
    swapped: int
    controls: int
    associated: int  # codes for the table of labels and latents
    scored: int  # codes for the disentanglement scores, however few images there are: encoding is cheap
    predicted: int  # codes for those of them that fit predictors, which are expensive


def shares(images: int, latents: int, positions: int) -> Shares:
    """Shares out the images of an analysis among its parts.

    Args:
        images: how many there are.
        latents: units that are intervened on one at a time.
        positions: of the latent; 1 where it has none.

    Example:
        >>> shares(512, latents=10, positions=1).latent, shares(512, latents=64, positions=16).latent
        (512, 96)
    """
    many = max(images, _MANY)
    width, places = max(1.0, latents / _NARROW), max(1.0, positions / _FEW_POSITIONS)

    def of(most: int, units: float = 1.0) -> int:
        return min(images, max(int(most / units), _FEWEST))

    return Shares(
        latent=of(many, width),
        modes=of(128, width),
        recoded=of(64, width),
        read=of(128, width),
        changed=of(256),
        patched=of(64),
        mediated=of(128, width),
        responses=of(128, width),
        swapped=of(many, places),
        controls=of(64, width),
        associated=max(int(_ASSOCIATED / width), _FEWEST_PREDICTED),
        scored=MOST_CODES,
        predicted=max(int(MOST_CODES / width), _FEWEST_PREDICTED),
    )
