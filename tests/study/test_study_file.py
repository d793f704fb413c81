import pytest

from vaelens.errors import VaelensError
from vaelens.study.study_file import parse_plan, read_plan

PLAN = """\
name: tiny
datasets: [digits]
models:
  - vae
  - name: beta-vae
    hyperparameters: {beta: 8}
    label: strong
seeds: [0, 1]
training: {steps: 10}
exceptions:
  - models: [strong]
    change: {steps: 20}
  - datasets: [digits]
    models: [strong]
    change: {lr: 0.01}
"""


def test_cells_are_every_model_on_every_dataset_from_every_seed():
    cells = list(parse_plan(PLAN).cells())

    assert [cell.title for cell in cells] == ["digits/vae/0", "digits/strong/0", "digits/vae/1", "digits/strong/1"]
    assert [cell.configuration["training"]["steps"] for cell in cells] == [10, 20, 10, 20]
    assert [cell.configuration["training"]["lr"] for cell in cells] == [0.001, 0.01, 0.001, 0.01]
    assert cells[1].configuration["model"]["hyperparameters"] == {"beta": 8.0}
    assert cells[0].configuration["model"]["latent_dim"] == 10


def test_a_default_and_the_same_value_written_out_are_one_configuration():
    written = PLAN.replace("training: {steps: 10}", "training: {steps: 10, batch_size: 64, lr: 1.0e-3}")

    assert [c.configuration for c in parse_plan(PLAN).cells()] == [c.configuration for c in parse_plan(written).cells()]


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("steps: 10", "stepz: 10", "line 9, training.stepz: there is no such field"),
        ("steps: 10", "steps: 0", "line 9, training.steps: input should be greater than or equal to 1, not 0"),
        ("steps: 10", "steps: many", "line 9, training.steps: input should be a valid integer.*not 'many'"),
        ("- vae", "- vea", "line 4, models.0: unknown model 'vea'; .*did you mean 'vae'"),
        ("beta: 8", "beta: -8", "line 5, models.1: beta is -8; expected a number from 0"),
        ("beta: 8", "gamma: 8", "line 5, models.1: unknown hyperparameter of beta-vae 'gamma'"),
        ("[digits]", "[digit]", "line 2, datasets.0.name: unknown dataset 'digit'.*did you mean 'digits'"),
        ("[0, 1]", "[]", "line 8, seeds: tuple should have at least 1 item"),
        ("[0, 1]", "[0, 0]", "seeds name 0 more than once"),
        ("label: strong", "label: vae", "models name vae more than once; give each a label of its own"),
        ("label: strong", "label: ../out", "line 7, models.1.label: string should match pattern"),
        (
            "models: [strong]\n    change: {steps: 20}",
            "models: [weak]\n    change: {steps: 20}",
            "line 11, exceptions.0: unknown model of this study 'weak'",
        ),
        ("change: {lr: 0.01}", "change: {}", r"line 15, exceptions.1.change: it is empty, so nothing is changed"),
        ("change: {lr: 0.01}", "change: {lr: }", r"line 15, exceptions.1.change: no value of lr; give one, or"),
        ("label: strong", f"label: {'l' * 101}", r"line 7, models.1.label: it has 101 characters; .* 100 at most"),
        ("[0, 1]", "0", r"line 8, seeds: input should be a list, such as \[a, b\], not 0$"),
        ("{steps: 10}", "", r"line 9, training: input should be fields with values, such as \{a: 1\}$"),
        ("beta: 8", "beta:", r"line 6, models.1.hyperparameters.beta: input should be one value, such as a num[^;]*$"),
        ("[0, 1]", "[true]", "line 8, seeds.0: it is true; expected a number$"),
        ("[0, 1]", "[010]", "line 8, seeds.0: YAML reads 010 as 8, a number in base 8; write it in base 10$"),
        ("[0, 1]", "[1:30]", "line 8, seeds.0: YAML reads 1:30 as 90, a number in base 60"),
        ("steps: 10", "lr: 0:0.5", "line 9, training.lr: YAML reads 0:0.5 as 0.5, a number in base 60"),
        ("[0, 1]", f"[{'9' * 5000}]", "line 8, seeds.0: a number of 5,000 digits is longer than any field can need"),
        ("[0, 1]", "[-1]", "line 8, seeds.0: input should be greater than or equal to 0, not -1$"),
        ("steps: 10", "lr: true", "line 9, training.lr: it is true; expected a number"),
        ("beta: 8", "beta: true", "line 6, models.1.hyperparameters.beta.*: it is true; expected a number"),
        ("label: strong", "latent_dim: true", "line 7, models.1.latent_dim: it is true; expected a number"),
        (
            "label: strong",
            "label: VAE",
            "line 3, models: models name vae and VAE, which are one folder on systems that",
        ),
        ("label: strong", "label: CON", "line 7, models.1.label: 'CON' is a device of Windows"),
        ("label: strong", "label: lpt1.x", "line 7, models.1.label: 'lpt1.x' is a device of Windows"),
        ("label: strong", "label: a.", "line 7, models.1.label: 'a.' ends in a dot"),
        (
            "training:",
            "analysis: {score_intervals: 'no'}\ntraining:",
            "line 9, analysis.score_intervals: input should be",
        ),
        ("training:", "analysis: {circuits: 1}\ntraining:", "line 9, analysis.circuits: input should be a valid bool"),
        (
            "training:",
            "analysis: {circuits: true, skip: [circuits]}\ntraining:",
            "line 9, analysis.circuits: circuits are asked for, and left out by skip; take them out of one of the two",
        ),
        (
            "change: {lr: 0.01}",
            "change: {circuits: true}\nanalysis: {skip: [circuits]}",
            "line 10, exceptions: circuits are asked for, and left out by skip of analysis",
        ),
        ("name: tiny\n", "name: tiny\n? [a]\n: 1\n", "line 2: a field has no name but a list"),
        ("name: tiny\n", "name: 2020-13-45\n", "line 1: '2020-13-45' can't be read"),
        ("name: tiny\n", "", "name: field required"),
        ("name: tiny\n", "name: tiny\nname: two\n", "line 2: the field 'name' stands twice"),
        ("name: tiny\n", "name: [tiny\n", "line 2: expected ',' or ']'"),
        ("name: tiny\n", "name: !!python/name:os.system x\n", "could not determine a constructor"),
        ("[digits]", "[{name: folder, options: {root: /}}]", "where files lie is no part of a study; give --root"),
    ],
)
def test_a_mistake_is_told_by_line_and_field(before, after, message):
    assert before in PLAN
    with pytest.raises(VaelensError, match=message):
        parse_plan(PLAN.replace(before, after))


@pytest.mark.parametrize("text", ["", "[]", "vae", "\x00", "a: &x [*x]"])
def test_what_is_no_plan_is_one_sentence(text):
    with pytest.raises(VaelensError):
        parse_plan(text)


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(VaelensError, match=r"can't be read .*give a YAML file"):
        read_plan(tmp_path / "none.yaml")


def test_the_studies_of_the_repository_are_plans(pytestconfig):
    files = sorted((pytestconfig.rootpath / "studies").glob("*.yaml"))

    assert {path.stem: len(list(read_plan(path).cells())) for path in files}["smoke"] == 6
