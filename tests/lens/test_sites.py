import pytest
import torch

import vaelens as vl
from vaelens.lens.sites import Sites

BACKBONE = {  # Locatello et al. 2019, 64×64
    "encoder.0": ("encoder", (32, 32, 32)),
    "encoder.1": ("encoder", (32, 16, 16)),
    "encoder.2": ("encoder", (64, 8, 8)),
    "encoder.3": ("encoder", (64, 4, 4)),
    "encoder.4": ("encoder", (256,)),
    "latent": ("latent", (10,)),
    "decoder.0": ("decoder", (256,)),
    "decoder.1": ("decoder", (64, 4, 4)),
    "decoder.2": ("decoder", (64, 8, 8)),
    "decoder.3": ("decoder", (32, 16, 16)),
    "decoder.4": ("decoder", (32, 32, 32)),
    "decoder.5": ("decoder", (3, 64, 64)),
}


@pytest.fixture(scope="module")
def sites():
    return vl.Lens(vl.build_model("vae", image_shape=(3, 64, 64))).sites


def test_the_backbone_has_the_published_stages_in_order(sites):
    assert list(sites) == list(BACKBONE)
    for name, (part, shape) in BACKBONE.items():
        assert sites[name] == vl.Site(name, part, shape[0], shape)
    assert sites.output == "decoder.5"
    assert len(sites) == 12


def test_a_padded_image_is_cropped_inside_the_last_stage():
    sites = vl.Lens(vl.build_model("vae", image_shape=(1, 28, 28), latent_dim=4)).sites
    assert [sites[name].shape for name in ("encoder.0", "decoder.3", "decoder.4")] == [
        (32, 16, 16),
        (32, 16, 16),
        (1, 28, 28),
    ]


def test_every_model_has_its_layers_as_sites_and_not_its_heads(any_model):
    assert {name: site.shape for name, site in any_model.lens.sites.items()} == any_model.shapes
    assert list(any_model.lens.sites) == list(any_model.shapes)
    for site in any_model.lens.sites.values():
        assert site.units == site.shape[0]
        assert site.name.startswith(site.part) or site.name in any_model.extra["sites"]


def test_printing_a_lens_shows_a_table_of_its_sites():
    lens = vl.Lens(vl.build_model("beta-vae", image_shape=(1, 16, 16), latent_dim=3))
    assert repr(lens) == "\n".join(
        [
            "Lens on beta-vae",
            "site       part     units  shape    module",
            "encoder.0  encoder  32     32×8×8   encoder.relu0",
            "encoder.1  encoder  64     64×4×4   encoder.relu1",
            "encoder.2  encoder  256    256      encoder.relu2",
            "latent     latent   3      3",
            "decoder.0  decoder  256    256      decoder.relu0",
            "decoder.1  decoder  64     64×4×4   decoder.unflatten",
            "decoder.2  decoder  32     32×8×8   decoder.relu2",
            "decoder.3  decoder  1      1×16×16  mean",
            "sweeps run the encoder by torch.fx",
            "sweeps run the decoder by torch.fx",
        ]
    )
    html = lens._repr_html_()
    assert html.startswith("<p><strong>Lens on ")
    assert all(f"<tr><th>{name}</th>" in html for name in lens.sites)
    assert "<p>sweeps run the encoder by " in html


def test_a_mistyped_site_is_answered_with_the_nearest(sites):
    with pytest.raises(vl.VaelensError, match=r"unknown site 'decodr\.5'; known: .*did you mean 'decoder\.5'\?"):
        sites["decodr.5"]


def test_sites_are_a_mapping(sites):
    assert "latent" in sites
    assert "decoder.9" not in sites
    assert sites.get("decoder.9") is None
    assert sites.get("latent") is sites["latent"]
    assert dict(sites) == {name: sites[name] for name in BACKBONE}


def test_sites_are_selected_in_the_order_of_the_data(sites):
    assert sites.select(["latent", "encoder.1"]) == ("encoder.1", "latent")
    assert sites.select("latent") == ("latent",)
    assert sites.select(None) == sites.select("all") == tuple(BACKBONE)
    assert sites.select([]) == ()
    with pytest.raises(vl.VaelensError, match=r"unknown site 'latents'; .*did you mean 'latent'"):
        sites.select(["encoder.1", "latents"])


def test_a_pattern_selects_every_site_that_it_matches(sites):
    assert sites.select("decoder.*") == sites.of("decoder")
    assert sites.select(["*.1", "latent"]) == ("encoder.1", "latent", "decoder.1")
    assert sites.select("?ncoder.[02]") == ("encoder.0", "encoder.2")
    assert sites.select(["*", "latent"]) == tuple(BACKBONE)
    with pytest.raises(vl.VaelensError, match=r"no site matches 'Decoder\.\*'; sites: encoder\.0, .*decoder\.5"):
        sites.select(["latent", "Decoder.*"])


def test_sites_are_known_by_part(sites):
    assert sites.of("latent") == ("latent",)
    assert sites.of("encoder", "latent") == tuple(list(BACKBONE)[:6])


def test_an_empty_table_of_sites_prints_its_header():
    assert repr(Sites([])) == "site  part  units  shape  module"


def test_one_image_is_example_enough(any_model):
    lens = vl.Lens(
        any_model.model,
        any_model.encode,
        any_model.decode,
        **any_model.extra,
        example=torch.zeros_like(any_model.x[:1]),
    )
    assert {name: site.shape for name, site in lens.sites.items()} == any_model.shapes
