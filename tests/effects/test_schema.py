"""Every result holds what its table in `effects.schemas` says: names, dimensions, units, meanings, ranges."""

import numpy as np
import pytest
import torch
import xarray as xr

import vaelens as vl
from vaelens.effects import SCHEMAS, ces_by_mode
from vaelens.effects.schema import ANY, SHARE, Schema, Variable

X, Y = torch.rand(2, 8, 1, 16, 16, generator=torch.Generator().manual_seed(0))
LABELS = np.stack(np.unravel_index(np.arange(24) % 12, (3, 4)), axis=1)
DATASET = vl.ArrayDataset(torch.cat([X, Y, X]).numpy(), LABELS, ["one", "two"])


class HalvesReader:
    """Predicts how bright each half of an image is."""

    factors, accuracy, image_shape = ("left", "right"), {"left": 0.75, "right": 1.0}, (1, 16, 16)

    def read(self, images):
        halves = images[..., :8].mean(dim=(1, 2, 3)), images[..., 8:].mean(dim=(1, 2, 3))
        return {name: torch.stack([1 - half, half], dim=1) for name, half in zip(self.factors, halves, strict=True)}


READER = HalvesReader()


def along(lens, site):
    """Two directions of a site, neither a unit's nor at right angles."""
    rows = torch.eye(lens.sites[site].units)[:2] + 0.25
    return vl.Direction(site, rows * torch.tensor([[1.0], [-2.0]]))


RESULTS = {
    "factor_effects": lambda lens, **o: vl.factor_effects(lens, DATASET, n=8, **o),
    "manipulation_effects": lambda lens, **o: vl.manipulation_effects(lens, DATASET, n=8, **o),
    "latent_effects": lambda lens, **o: vl.latent_effects(lens, X, over="factors" if "reader" in o else "pixels", **o),
    "direction_effects": lambda lens, **o: vl.latent_effects(
        lens, X, over="factors" if "reader" in o else "latents", units=along(lens, "latent"), **o
    ),
    "swap_effects": lambda lens, **o: vl.swap_effects(lens, X, over="factors" if "reader" in o else "latents", **o),
    "code_effects": lambda lens, **o: vl.code_effects(lens, X, **o),
    "patching_effects": lambda lens, **o: vl.patching_effects(lens, X, Y, **o),
    "path_effects": lambda lens, **o: vl.path_effects(lens, X, Y, "encoder.0", "encoder.1", **o),
    "mediation_effects": lambda lens, **o: vl.mediation_effects(
        lens, X, Y, "latent", outcome="factors" if "reader" in o else "image", **o
    ),
    "decoder_responses": lambda lens, **o: vl.decoder_responses(lens, X, **o),
    "ces_by_mode": lambda lens, **o: ces_by_mode(lens, X, **o),
}
WITHOUT_READER = ("decoder_responses", "ces_by_mode", "code_effects")
OF_CODES = ("swap_effects", "code_effects")


@pytest.fixture(scope="module", params=["vae", "vq-vae"])
def lens(request, vq_vae):
    if request.param == "vq-vae":
        return vl.Lens(vq_vae())
    model = vl.build_model("vae", image_shape=(1, 16, 16), latent_dim=3)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.mul_(3.0 if name.endswith("weight") else 1.0)
    return vl.Lens(model)


def test_every_effect_has_a_schema():
    assert set(RESULTS) == set(SCHEMAS)


@pytest.mark.parametrize("reader", [None, READER])
@pytest.mark.parametrize("name", RESULTS)
def test_results_hold_what_their_schema_says(lens, name, reader):
    if name in OF_CODES and not lens.quantised:
        pytest.skip("only the codes of a codebook are swapped")
    options = {"progress": False} | ({"reader": reader} if reader and name not in WITHOUT_READER else {})
    assert SCHEMAS[name].faults(RESULTS[name](lens, **options)) == []


@pytest.mark.parametrize("together", [False, True])
def test_results_along_directions_hold_it_too(lens, together):
    direction = vl.Direction(along(lens, "decoder.1").vectors, together=together)
    results = {
        "patching_effects": vl.patching_effects(lens, X, Y, ["decoder.1"], units=direction, progress=False),
        "mediation_effects": vl.mediation_effects(lens, X, Y, "decoder.1", direction, progress=False),
    }
    for name, effects in results.items():
        assert SCHEMAS[name].faults(effects) == []
        assert effects.sizes["unit"] == (1 if together else 2)
        assert {"unseen_share", "unseen_change_low"} <= set(effects.data_vars)


@pytest.mark.parametrize("name", ["latent_effects", "patching_effects", "factor_effects"])
def test_results_with_a_tolerance_hold_it_too(lens, name):
    options = {"outcome": "image"} if name == "patching_effects" else {}
    with pytest.warns(vl.VaelensWarning, match="tolerance 0.1 is not reached"):
        effects = RESULTS[name](lens, tolerance=0.1, progress=False, **options)
    assert SCHEMAS[name].faults(effects) == []
    assert effects.attrs["tolerance"] == 0.1


def test_the_conditions_of_a_schema_are_met_where_they_should_be(lens):
    latent = vl.latent_effects(lens, X, progress=False)
    for name in ("kl", "kl_total", "information"):
        assert (name in latent) == (not lens.quantised)
    factors = vl.factor_effects(lens, DATASET, n=8, progress=False)
    for name in ("latent_shift", "latent_divergence"):
        assert (name in factors) == (not lens.quantised)
    assert ("codes_changed" in factors) == lens.quantised


def test_what_a_variable_says_survives_a_file(lens, tmp_path):
    effects = vl.latent_effects(lens, X, progress=False)
    effects.to_netcdf(tmp_path / "effects.nc", engine="h5netcdf")
    loaded = xr.load_dataset(tmp_path / "effects.nc", engine="h5netcdf")
    assert loaded.ces_low.attrs == effects.ces_low.attrs
    assert loaded.ces_low.attrs["units"] == "pixel-L2"
    assert loaded.ces_low.attrs["long_name"].endswith("lower end of the 95 % interval")


# The schema itself

SCHEMA = Schema(
    Variable("share", ("latent",), "1", SHARE, "a share"),
    Variable("extra", ("latent",), "nats", ANY, "more", False, "asked for"),
)
COLUMNS = {
    "share": (("latent",), [0.5]),
    "share_low": (("latent",), [-0.25]),
    "share_high": (("latent",), [1.5]),
}


def test_ends_of_intervals_are_cut_to_the_range_and_values_are_not():
    dataset = SCHEMA.dataset(COLUMNS | {"share": (("latent",), [0.5])}, {"latent": [0]})
    assert (dataset.share_low.item(), dataset.share.item(), dataset.share_high.item()) == (0, 0.5, 1)
    assert SCHEMA.faults(dataset) == []


def test_faults_name_everything_that_departs():
    dataset = SCHEMA.dataset(COLUMNS, {"latent": [0]})
    cases = [
        (dataset.assign(other=1.0), "other is not in the schema"),
        (dataset.drop_vars("share_low"), r"share should have share, share_low, share_high; there are"),
        (dataset.drop_vars([*COLUMNS]), "share should have"),
        (dataset.assign(share=dataset.share.expand_dims("factor")), "has dimensions"),
        (dataset.assign(share=dataset.share.copy(data=[1.5])), "goes from 1.5 to 1.5, out of"),
        (dataset.assign(share=dataset.share.assign_attrs(units="%")), "share says"),
    ]
    for departing, sentence in cases:
        assert any(sentence in fault for fault in SCHEMA.faults(departing)), sentence


def test_a_variable_of_other_dimensions_is_never_recorded():
    with pytest.raises(AssertionError, match=r"share has dimensions \('factor',\), not \('latent',\)"):
        SCHEMA.dataset({"share": (("factor",), [0.5])}, {})
    with pytest.raises(KeyError, match="unheard"):
        SCHEMA.dataset({"unheard": (("latent",), [0.5])}, {})
