import pytest
import torch

from vaelens.errors import VaelensError
from vaelens.observation import Observation, checked_images

GOOD = torch.full((2, 1, 16, 16), 0.5)


@pytest.mark.parametrize("images", [GOOD.to_sparse(), torch.empty(2, 1, 4, 4, device="meta")], ids=["sparse", "meta"])
def test_images_without_values_of_their_own_are_refused(images):
    with pytest.raises(VaelensError, match="give a dense tensor or array of shape"):
        checked_images(images)


def test_an_observation_says_what_it_is():
    image = Observation.image((3, 4, 5))
    assert (image.size, image.batch, image.span) == (60, "(n, 3, 4, 5)", "[0, 1]")
    assert image.axes == ("channel", "height", "width")
    scores = Observation((7,), ("feature",))
    scores.check_range(-1e9, 1e9)  # it has no range
    with pytest.raises(VaelensError, match="observations contain NaN or infinite values; expected finite numbers"):
        scores.check_range(0.0, float("nan"))
