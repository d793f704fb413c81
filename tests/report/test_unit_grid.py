import numpy as np

from vaelens.report.unit_grid import site_scales, unit_grid


def test_every_unit_has_its_own_cell_and_a_wide_site_goes_on_below(analysis_of):
    effects = analysis_of().effects["patching"]
    grid = unit_grid(effects, ["encoder.0", "encoder.1"])
    assert grid.labels == ["encoder.0", "", "encoder.1", "+64"]
    assert grid.unit.shape == (4, 64)
    assert grid.unit[0, :4].tolist() == [0, 1, 2, -1]
    assert (grid.unit[1] == -1).all()
    assert grid.unit[2].tolist() == list(range(3, 67))
    assert grid.unit[3, :7].tolist() == [67, 68, 69, 70, 71, 72, -1]
    values = grid.of(effects["recovered"].values)
    assert values[3, 5] == effects["recovered"].values[72]
    assert np.isnan(values[3, 6])
    assert grid.names(effects)[3, 5] == "encoder.1 unit 69"
    assert grid.names(effects)[3, 6] == ""


def test_very_wide_sites_take_longer_lines(analysis_of):
    effects = analysis_of(sites={"encoder.0": 300, "latent": 3}).effects["patching"]
    assert unit_grid(effects, ["encoder.0"]).unit.shape == (3, 128)
    assert unit_grid(effects, ["latent"]).unit.shape == (1, 128)


def test_each_site_has_a_scale_of_its_own(analysis_of):
    effects = analysis_of(sites={"encoder.0": 2, "latent": 2}).effects["patching"]
    effects["recovered"] = ("unit", np.array([-0.5, 0.25, 0.0, 0.0]))
    assert site_scales(effects) == {"encoder.0": 0.5, "latent": 1.0}  # of nothing at all there is no scale
