"""The check of images that a model with a certain number of channels is given."""

from torch import Tensor

from vaelens.errors import VaelensError


def check_channels(images: Tensor, wanted: int, model: str) -> None:
    """Refuse images, (n, C, H, W), of another number of channels than a model takes.

    Raises:
        VaelensError: see above.
    """
    channels = images.shape[1]
    if channels != wanted:
        way = f"grey ones go in as x.expand(-1, {wanted}, -1, -1)" if channels == 1 else f"give images of {wanted}"
        raise VaelensError(f"images have {channels} channel{'s' * (channels > 1)}, this {model} takes {wanted}; {way}")
