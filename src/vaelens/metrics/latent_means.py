"""One number for each image and latent, from which the scores of disentanglement are computed."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

from vaelens.errors import VaelensError
from vaelens.lens import ImagesLike


@runtime_checkable
class Represents(Protocol):
    """Anything that represents images by codes, such as a lens."""

    def representation(self, x: Any, /) -> Tensor:
        """Returns the codes (n, d, *positions) of images."""
        ...


def latent_means(lens: Represents | Any, x: ImagesLike) -> Float[Tensor, "n d"]:
    """Returns the representation of images, as a mean over positions where it has any.

    A latent is a channel, and so its positions count as one: of an autoencoder whose code is (d, h, w) these are the
    means over positions of mu(x), as they are those of the codes chosen where the latent is quantised. Decided here.

    Args:
        lens: a lens; `lens.representation` is asked for.
        x: images (n, C, H, W) in [0, 1].

    Returns:
        float64, on the CPU.

    Raises:
        VaelensError: something else than a lens, images that it refuses.
    """
    if not callable(getattr(lens, "representation", None)):
        raise VaelensError(f"lens is a {type(lens).__name__}; expected a vl.Lens, such as vl.Lens(model)")
    code = lens.representation(x).detach().cpu().double()
    return code.flatten(2).mean(dim=2) if code.ndim > 2 else code
