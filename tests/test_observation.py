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


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Observation.vector(["a", "b"], groups={"g": ["a", "a", "b"]}), r"'g' is \[0, 0, 1\], with a feature"),
        (
            lambda: Observation.vector(["a", "b"], groups={"a": ["b"]}),
            "'a' has the name of a feature that is not in it",
        ),
        (lambda: Observation.vector(["a", "b"], groups=[["a"]]), "groups are a list; expected names"),  # pyright: ignore
        (lambda: Observation.series((20,)), r"axes are \('channel', 'time'\), and the shape \(20,\) has 1"),
        (lambda: Observation.image((8, 8)), r"the shape \(8, 8\) has 2; name each"),
    ],
    ids=["twice", "named as another", "list", "series", "image"],
)
def test_groups_and_shapes_that_mean_nothing_or_two_things_are_refused(make, message):
    with pytest.raises(VaelensError, match=message):
        make()


def test_a_group_may_have_the_name_of_a_feature_in_it():
    table = Observation.vector(["age", "age missing", "ill"], groups={"age": ["age", "age missing"]})
    assert table.indices("age") == (0, 1)
