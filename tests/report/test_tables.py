import numpy as np

from vaelens.report import tables


def test_latents_in_order_of_ces(made):
    rows = tables.latent_rows(made(active=[False, True, True]).effects["latent"])
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
        "effect": "79.5 [79.2, 79.8]",
    }
    assert rows[-1]["outcome"] == "code"


def test_units_without_a_fraction_are_left_out(made):
    effects = made().effects["patching"]
    effects["recovered"] = effects["recovered"].where(np.arange(effects.sizes["unit"]) < 2)
    assert [row["unit"] for row in tables.unit_rows(effects)] == ["encoder.0 unit 1", "encoder.0 unit 0"]


def test_scores_without_interval_value_or_direction_have_a_dash(made):
    rows = {row["score"]: row for row in tables.score_rows(made().scores)}
    assert (rows["CES"]["value"], rows["CES"]["interval"], rows["CES"]["better"]) == ("4.33", "[4.11, 4.56]", "higher")
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
