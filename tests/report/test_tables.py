import numpy as np

from vaelens.report import tables
from vaelens.report.latents import latents_of


def test_latents_in_order_of_ces(made):
    effects = made(active=[False, True, True]).effects
    rows = tables.latent_rows(effects["latent"], latents_of(effects))
    assert [row["latent"] for row in rows] == [1, 2, 0]
    assert rows[0]["ces"] == "7.00 [6.75, 7.25]"
    assert [row["active"] for row in rows] == [True, True, False]
    assert rows[2]["kl"] == "0.00100"


def test_changes_name_the_active_latent_that_moves_most_and_its_ties(made):
    analysis = made(active=[True, True, False], moved=[[1.0, 1.1, 9.0], [2.0, 1.0, 9.0]])
    first, second = tables.change_rows(analysis.effects["input"], analysis.effects["latent"]["active"].values)
    assert (first["latent"], first["change"], first["tied"]) == ("1", "1.10 [1.00, 1.20]", "0")
    assert (second["latent"], second["tied"]) == ("0", "—")
    assert (first["name"], first["output"], first["aside"]) == ("shape", "3.0 [2.5, 3.5]", "31")


def test_changes_without_active_latents_or_factors(made):
    analysis = made(active=[False] * 3, factors=None)
    rows = tables.change_rows(analysis.effects["input"], analysis.effects["latent"]["active"].values)
    assert [row["latent"] for row in rows] == ["—", "—"]
    assert [row["aside"] for row in rows] == ["2", "0.125"]


def test_the_ten_units_that_recover_most(made):
    effects = made().effects["patching"]
    rows = tables.unit_rows(effects)
    assert len(rows) == 10
    assert [row["unit"] for row in rows[:5]] == [*(f"decoder.0 unit {k}" for k in (3, 2, 1, 0)), "latent 2"]
    assert rows[0] == {
        "unit": "decoder.0 unit 3",
        "outcome": "image",
        "recovered": "0.500 [0.499, 0.501]",
        "chance": "0.0625",
        "effect": "79.5 [79.2, 79.8]",
    }
    assert rows[-1]["outcome"] == "code"


def test_units_without_a_fraction_are_left_out(made):
    effects = made().effects["patching"]
    effects["recovered"] = effects["recovered"].where(np.arange(effects.sizes["unit"]) < 2)
    assert [row["unit"] for row in tables.unit_rows(effects)] == ["encoder.0 unit 1", "encoder.0 unit 0"]


def test_scores_without_interval_value_or_direction_have_a_dash(made):
    rows = {row["score"]: row for row in tables.score_rows(made().scores)}
    assert (rows["CES"]["value"], rows["CES"]["interval"], rows["CES"]["better"]) == ("4.33", "[4.11, 4.56]", "—")
    assert (rows["CES"]["unit"], rows["reconstruction error"]["better"]) == ("pixel-L2", "lower")
    assert (rows["active latents"]["value"], rows["active latents"]["better"]) == ("3", "—")
    assert (rows["circuit modularity"]["value"], rows["circuit modularity"]["interval"]) == ("0.625", "—")
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


def test_modes_beside_what_they_change(made):
    effects = made(active=[True, True, False], swaps=[[1.0, 2.0, 3.0], [4.0, 5.0, 9.0]]).effects
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


def test_modes_of_a_latent_without_positions_or_without_an_active_one(made):
    effects = made(swaps=[[1.0, 2.0]]).effects
    del effects["one_position"]
    assert [row["one"] for row in tables.mode_rows(effects)] == ["—"] * 3
    effects = made(active=[False] * 3, swaps=[[1.0, 2.0]]).effects
    assert [row["everywhere"] for row in tables.mode_rows(effects)] == ["—"] * 3


def test_how_many_codes_a_change_changes_stands_in_its_row(made):
    codes, without = made(swaps=[[1.0, 2.0]]).effects, made().effects
    rows = [tables.change_rows(one["input"], one["latent"]["active"].values)[0] for one in (codes, without)]
    assert [row["codes"] for row in rows] == ["0.25 [0.12, 0.38]", "—"]


def test_counts_and_their_intervals_are_whole_numbers(made):
    scores = made().scores
    scores.loc["active_latents", ["low", "high"]] = [2.0, 3.0]
    rows = {row["score"]: row for row in tables.score_rows(scores)}
    assert (rows["active latents"]["value"], rows["active latents"]["interval"]) == ("3", "[2, 3]")


def test_codes_in_use_are_a_whole_number(made):
    rows = {row["score"]: row for row in tables.score_rows(made(swaps=[[1.0, 2.0]]).scores)}
    assert rows["codes in use"]["value"] == "12"
