import numpy as np

from vaelens.report.units import units_by_site, units_sentence


def test_encoder_and_decoder_each_name_the_unit_that_stands_out_most_within_its_site(analysis_of):
    assert units_sentence(analysis_of()) == (
        "Of the hidden units, these stand out most within their sites when patched alone: encoder.1 unit 69 recovers a "
        "fraction of 0.447 [0.446, 0.448] of another image's code (a typical unit of encoder.1 0.0625); decoder.0 unit "
        "3 recovers a fraction of 0.500 [0.499, 0.501] of another image's reconstruction (a typical unit of decoder.0 "
        "0.0625)."
    )


def test_units_are_ranked_within_their_site_and_a_set_is_named(analysis_of):
    analysis = analysis_of(sites={"latent": 3, "decoder.0": 4, "decoder.1": 3})
    patching = analysis.effects["patching"]
    for end in ("", "_low", "_high"):
        patching[f"recovered{end}"] = ("unit", np.array([0.9, 0.1, 0.1, 0.2, 0.3, 0.29, 0.1, 0.25, 0.24, 0.2]))
    patching["recovered_best"] = ("unit", np.array([1, 0, 0, 0, 1, 1, 0, 1, 0, 0], dtype=bool))
    patching["recovered_chance"] = ("unit", np.array([0.1] * 3 + [0.2] * 4 + [0.01] * 3))
    # 0.3 − 0.2 at decoder.0, 0.25 − 0.01 at decoder.1: a larger fraction of another site counts for nothing.
    said = units_sentence(analysis)
    assert "decoder.1 unit 0 recovers a fraction of 0.250" in said
    assert "told apart" not in said
    by_site = {units.site: units for units in units_by_site(analysis)}
    assert [member.name for member in by_site["decoder.0"].ranked.members] == ["1", "2"]
    assert by_site["decoder.0"].order == (4, 5, 3, 6)
    patching["recovered_best"] = ("unit", np.ones(10, dtype=bool))
    assert units_sentence(analysis).endswith(
        "one of decoder.1's units 0, 1 and 2, which can't be told apart, recovers the largest fraction of another "
        "image's reconstruction, 0.250 [0.250, 0.250] of unit 0 (a typical unit of decoder.1 0.0100)."
    )


def test_units_that_recover_nothing_are_not_named(analysis_of):
    analysis = analysis_of()
    patching = analysis.effects["patching"]
    patching["recovered_low"] = patching["recovered_low"] - 1
    none = "Patched alone, no hidden unit recovers a fraction of another image that its interval tells from 0."
    assert units_sentence(analysis) == none
    patching["recovered"] = patching["recovered"] * np.nan
    assert units_sentence(analysis) is None


def test_sites_of_one_unit_and_the_latent_have_nothing_to_compare(analysis_of):
    assert units_sentence(analysis_of(sites={"latent": 3, "decoder.0": 1})) is None
    alike = analysis_of()
    alike.effects["latent"].attrs["reference_distance"] = 0.0
    assert units_sentence(alike) is None


def test_one_patched_site_reads_back_from_netcdf_as_a_string(analysis_of):
    analysis = analysis_of(sites={"decoder.0": 4})
    analysis.effects["patching"].attrs["outcomes"] = "decoder.0: image"
    assert "decoder.0 unit 3 recovers a fraction of 0.500" in units_sentence(analysis)
