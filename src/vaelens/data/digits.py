"""Real handwritten digits, few enough to come with scikit-learn."""

import numpy as np
import torch

from vaelens.data.own.arrays import ArrayDataset

MARGIN = 2  # cells of black about the 8 x 8 digit, so that strokes that touch its edge fade out
ENLARGED = 3
CROPPED = 2  # pixels on each side: (8 + 2 * 2) * 3 - 2 * 2 = 32


class Digits(ArrayDataset):
    """1,797 handwritten digits with their label, (1, 32, 32).

    The 8 × 8 originals, values 0..16, are scaled to [0, 1], enlarged three times by bicubic interpolation
    (clipped to [0, 1]) and centred: a digit fills 24 of 32 pixels. The label is the only factor, so images that
    differ in it also differ in handwriting.

    References:
        Alpaydin, Kaynak. Optical Recognition of Handwritten Digits. UCI Machine Learning Repository, 1998; the
        test set, as in scikit-learn's `load_digits`.

    Example:
        >>> digits = Digits()
        >>> digits
        <digits: 1,797 images of 1×32×32, Factors(label: 10 categorical)>
    """

    name = "digits"

    def __init__(self) -> None:
        from sklearn.datasets import load_digits  # slow to import, and nothing else needs it

        pixels, labels = map(np.asarray, load_digits(return_X_y=True))
        cells = np.pad(pixels.reshape(-1, 1, 8, 8) / 16, ((0, 0), (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))
        enlarged = torch.nn.functional.interpolate(
            torch.from_numpy(cells), scale_factor=ENLARGED, mode="bicubic", align_corners=False
        )
        kept = enlarged[:, :, CROPPED:-CROPPED, CROPPED:-CROPPED].clamp(0, 1).to(torch.float32)
        super().__init__(kept.contiguous(), labels[:, None], ["label"])
