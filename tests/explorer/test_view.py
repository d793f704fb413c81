import json

import pytest

import vaelens as vl
from vaelens.explorer.view import Edit, View

FULL = View(
    "3",
    "17",
    {0: 1.5, 12: -0.1, 3: 0.30000000000000004},
    (Edit("decoder.1", (2, 4)), Edit("enc@1 &=x", (0,), "scale", -0.25), Edit("latent", (1,), "mean")),
    alone="eyes | no".replace(" | ", " "),
    site="decoder.2",
    how="zero",
    factor=2.5,
    circuit="shape of it",
    unit=("decoder.1", 4),
    pins=(("decoder.1", 4), ("latent", 0)),
    groups={"eyes no": (("decoder.0", 3), ("latent", 1)), "größe&x=1": (("latent", 0),)},
    names={("latent", 0): "left/right, 100 %"},
)


@pytest.mark.parametrize("view", [View(), FULL, View("png:aGk=", "2")])
def test_an_address_and_json_hold_all_of_a_view(view):
    default = View("8", "9", site="latent")
    assert View.from_query(view.query(), View()) == view
    assert View.from_plain(json.loads(json.dumps(view.plain()))) == view
    if view.site:
        assert View.from_query(f"?{view.query()}", default) == view


def test_an_address_is_read_by_people_too():
    assert View("3", "7", {0: 1.5}, (Edit("decoder.1", (2, 4)), Edit("latent", (0,), "scale", 0.5))).query() == (
        "base=3&source=7&z0=1.5&edit=patch:2,4@decoder.1&edit=scale:0:0.5@latent"
    )


def test_what_an_address_does_not_say_is_the_default():
    default = View("8", "9", site="decoder.1", circuit="shape")
    assert View.from_query("", default) == default
    assert View.from_query("z2=1", default) == View("8", "9", {2: 1.0}, site="decoder.1", circuit="shape")


def test_a_large_picture_is_left_out_of_the_address():
    view = View("png:" + "a" * 500, "3", {1: 2.0})
    assert View.from_query(view.query(most=400), View()) == View("0", "3", {1: 2.0})
    assert View.from_query(view.query(most=600), View()) == view


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("colour=red", "the address has colour='red', which is no colour of the explorer"),
        ("z1=abc", "the address has z1='abc'"),
        ("z1=nan", "a value is nan; expected a finite number"),
        ("edit=patch:@latent", "the address has edit='patch:@latent'"),
        ("edit=patch:1,2", "the address has edit="),
        ("edit=melt:1@latent", "unknown way to change units 'melt'"),
        ("edit=patch:1@latent&edit=zero:2@latent", "a site is edited twice"),
        ("unit=x@latent", "the address has unit="),
        ("alone=nobody", "unknown set of units 'nobody'"),
        ("group=pins|1@latent", "the name 'pins' can't be used"),
        ("how=melt", "unknown way to change units"),
        ("base=" + "1" * 50_000, "the address is too long"),
    ],
)
def test_an_odd_address_is_refused_in_a_sentence(query, message):
    with pytest.raises(vl.VaelensError, match=message):
        View.from_query(query, View())


@pytest.mark.parametrize(
    "change", [{"pins": 3}, {"edits": [{}]}, {"latents": {"x": 1}}, {"unit": [1]}, {"factor": None}]
)
def test_what_is_no_view_is_refused_in_a_sentence(change):
    with pytest.raises(vl.VaelensError, match="the page sent what is no view"):
        View.from_plain(View().plain() | change)
    with pytest.raises(vl.VaelensError, match="the page sent what is no view"):
        View.from_plain({})
