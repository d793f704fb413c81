import numpy as np

from vaelens.report import tables
from vaelens.report.latents import latents_of


def test_latents_in_order_of_posterior_ces(analysis_of):
    effects = analysis_of(active=[False, True, True]).effects
    rows = tables.latent_rows(effects["latent"], latents_of(effects))
    assert [row["latent"] for row in rows] == [1, 2, 0]
    assert rows[0] == {
        "latent": 1,
        "active": True,
        "kl": "1.50",
        "information": "2.00 [1.99, 2.01]",
        "removal_cost": "20.0 [19.9, 20.1]",
        "ces_posterior": "3.50 [3.38, 3.62]",
        "ces": "7.00 [6.75, 7.25]",
        "support": "0.750",
        "cycle_error": "1.50",
        "specificity_per_image": "0.700 [0.699, 0.701]",
    }
    assert [row["active"] for row in rows] == [True, True, False]
    assert rows[2]["kl"] == "0.00100"


def test_what_was_not_measured_of_latents_has_a_dash(analysis_of):
    effects = analysis_of(earlier=True).effects
    rows = tables.latent_rows(effects["latent"], latents_of(effects))
    assert (rows[0]["information"], rows[0]["support"], rows[0]["ces"]) == ("—", "—", "7.00 [6.75, 7.25]")
    assert {row["ces"] for row in tables.latent_rows(None, latents_of(effects))} == {"—"}


def test_columns_without_any_number_are_left_out(analysis_of):
    effects = analysis_of(swaps=[[1.0, 2.0]]).effects  # no variance, and so no KL and no information
    columns = tables.latent_columns(tables.latent_rows(effects["latent"], latents_of(effects)))
    assert [name for name, _ in columns] == [
        "removal_cost",
        "ces_posterior",
        "ces",
        "support",
        "cycle_error",
        "specificity_per_image",
    ]


def test_changes_name_the_active_latents_that_move_most_by_d_prime(analysis_of):
    # By `latent_effect`, 10 less these, latent 0 would move most.
    first, second, random = tables.change_rows(
        analysis_of(active=[True, True, False], moved=[[1.0, 1.1, 9.0], [2.0, 1.0, 9.0]])
    )
    assert (first["latent"], first["change"], first["tied"]) == ("1", "1.10 [1.00, 1.20]", "0")
    assert (second["latent"], second["tied"]) == ("0", "—")
    assert (first["name"], first["output"], first["aside"]) == ("shape", "3.0 [2.5, 3.5]", "31")
    assert (random["name"], random["output"]) == ("a random pair", "9.00 [8.90, 9.10]")
    assert {first["adjusted"], random["latent"], random["aside"]} == {"—"}


def test_observed_changes_stand_beside_chance_and_at_it_name_no_latent(analysis_of):
    first, second, _ = tables.change_rows(analysis_of(moved=[[1.0, 1.5, 0.2], [0.5, 0.2, 3.0]], observed=[3.0, 0.2]))
    assert (first["latent"], first["change"], first["adjusted"]) == ("1", "1.50 [1.40, 1.60]", "3.0 [2.5, 3.5]")
    assert (second["latent"], second["change"]) == ("not told from chance", "—")


def test_changes_without_active_latents_variance_or_what_is_measured_today(analysis_of):
    rows = tables.change_rows(analysis_of(active=[False] * 3, factors=None))
    assert [row["latent"] for row in rows] == ["—"] * 3
    assert [row["aside"] for row in rows] == ["2", "0.125", "—"]
    assert [row["latent"] for row in tables.change_rows(analysis_of(swaps=[[1.0, 2.0]]))] == ["—"] * 3
    earlier = tables.change_rows(analysis_of(earlier=True))
    assert [row["name"] for row in earlier] == ["shape", "scale"]
    assert earlier[0]["latent"] == "2"


def test_labels_name_the_latent_that_goes_with_them_most_whatever_its_sign(analysis_of):
    labels = analysis_of().effects["labels"]
    labels["association"].values[1] = [-0.75, 0.1, 0.2]
    labels["association_best"].values[1] = [True, False, False]
    first, second = tables.label_rows(labels, np.array([True, True, False]))
    assert first == {
        "name": "shape",
        "measure": "share of variance between classes η²",
        "latent": "1",
        "association": "0.10 [0.05, 0.15]",
        "tied": "—",
        "chance": "0.0300",
        "predicted": "0.750",
        "labelled": "44",
    }
    assert tables.spread_labels(labels) == ["scale"]
    assert (second["latent"], second["association"].split()[0]) == ("0", "−0.75")


def test_units_are_ranked_within_each_site(analysis_of):
    rows = tables.site_rows(analysis_of())
    assert [row["site"] for row in rows] == ["encoder.0", "encoder.1", "latent", "decoder.0"]
    assert rows[3] == {
        "site": "decoder.0",
        "outcome": "image",
        "count": "4",
        "unit": "3",
        "recovered": "0.500 [0.499, 0.501]",
        "typical": "0.0625",
        "tied": "—",
        "next": "2 (0.492), 1 (0.485), 0 (0.477)",
        "outside": "0.250",
    }
    assert rows[1]["next"].count("(") == 4
    assert tables.site_rows(analysis_of(earlier=True))[3]["outside"] == "—"


def test_a_latent_that_mediation_measured_alike_is_shown_once(analysis_of):
    assert [row["site"] for row in tables.site_rows(analysis_of(factors=None))] == [
        "encoder.0",
        "encoder.1",
        "decoder.0",
    ]
    alone = analysis_of(factors=None, sites={"latent": 3})
    assert [row["site"] for row in tables.site_rows(alone)] == ["latent"]  # else the section were empty


def test_sites_that_recover_nothing_are_left_out(analysis_of):
    analysis = analysis_of()
    patching = analysis.effects["patching"]
    patching["recovered"] = patching["recovered"].where(np.arange(patching.sizes["unit"]) < 2)
    (row,) = tables.site_rows(analysis)
    assert (row["site"], row["unit"], row["next"]) == ("encoder.0", "1", "0 (−0.100)")
    del analysis.effects["patching"]
    assert tables.site_rows(analysis) == []


def test_scores_without_interval_value_or_direction_have_a_dash(analysis_of):
    rows = {row["score"]: row for row in tables.score_rows(analysis_of().scores)}
    assert (rows["CES"]["value"], rows["CES"]["interval"], rows["CES"]["better"]) == ("4.33", "[4.11, 4.56]", "—")
    assert (rows["CES"]["unit"], rows["reconstruction error"]["better"]) == ("pixel-L2", "lower")
    assert (rows["active latents"]["value"], rows["active latents"]["better"]) == ("3", "—")
    assert (rows["circuit modularity"]["value"], rows["circuit modularity"]["interval"]) == ("0.625", "[0.600, 0.650]")
    assert (rows["MIG"]["chance"], rows["MIG"]["untrained"], rows["CES"]["untrained"]) == ("0.0420", "0.0100", "—")
    assert rows["DCI completeness"]["value"] == "—"


def test_records_are_written_plainly():
    record = {"image_shape": [1, 64, 64], "options": {}, "beta": 4.0, "length": 737280, "inner": {"a": 1, "b": "c"}}
    assert tables.described(record) == [
        ("image shape", "1, 64, 64"),
        ("options", "none"),
        ("beta", "4"),
        ("length", "737,280"),
        ("inner", "a = 1, b = c"),
    ]


def test_modes_beside_what_they_change(analysis_of):
    effects = analysis_of(active=[True, True, False], swaps=[[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]).effects
    # (2 + 7) / 2 over a distance of 10, a quarter of it at one position; swaps: 24 / 6 / 10
    assert tables.mode_rows(effects) == [
        {"mode": "range", "everywhere": "0.450 [0.425, 0.475]", "one": "0.113 [0.106, 0.119]", "code": "—"},
        {
            "mode": "posterior",
            "everywhere": "0.450 [0.425, 0.475]",
            "one": "0.113 [0.106, 0.119]",
            "code": "0.200 [0.188, 0.212]",
        },
        {"mode": "swap", "everywhere": "—", "one": "—", "code": "0.400 [0.375, 0.425]"},
    ]


def test_modes_of_a_latent_without_positions_or_without_an_active_one(analysis_of):
    effects = analysis_of(swaps=[[1.0, 2.0]]).effects
    del effects["one_position"]
    assert [row["one"] for row in tables.mode_rows(effects)] == ["—"] * 3
    effects = analysis_of(active=[False] * 3, swaps=[[1.0, 2.0]]).effects
    assert [row["everywhere"] for row in tables.mode_rows(effects)] == ["—"] * 3


def test_how_many_codes_a_change_changes_stands_in_its_row(analysis_of):
    codes, without = analysis_of(swaps=[[1.0, 2.0]]), analysis_of()
    rows = [tables.change_rows(analysis)[0] for analysis in (codes, without)]
    assert [row["codes"] for row in rows] == ["0.25 [0.12, 0.38]", "—"]


def test_counts_and_their_intervals_are_whole_numbers(analysis_of):
    scores = analysis_of().scores
    scores.loc["active_latents", ["low", "high"]] = [2.0, 3.0]
    rows = {row["score"]: row for row in tables.score_rows(scores)}
    assert (rows["active latents"]["value"], rows["active latents"]["interval"]) == ("3", "[2, 3]")


def test_codes_in_use_are_a_whole_number(analysis_of):
    rows = {row["score"]: row for row in tables.score_rows(analysis_of(swaps=[[1.0, 2.0]]).scores)}
    assert rows["codes in use"]["value"] == "12"
