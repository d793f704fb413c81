"""The plan of a study as its file states it, checked field by field before anything runs.

A cell is one model trained on one dataset from one seed, and then analysed. The plan holds everything that determines
the numbers of its cells.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from vaelens.analysis.run import selected_parts
from vaelens.data.catalogue import DATASETS
from vaelens.errors import unknown
from vaelens.models.catalogue import CATALOGUE
from vaelens.study.cell import Cell

Plain: TypeAlias = bool | int | float | str | list[Any] | None  # what an option of a dataset can be in a file
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a folder on any system


class _Record(BaseModel):
    """A part of the file, in which no unknown field is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(entry: Any) -> Any:
    """Reads `sprites` as `name: sprites`."""
    return {"name": entry} if isinstance(entry, str) else entry


class DatasetEntry(_Record):
    """A dataset of the study."""

    name: str
    """A name of `vaelens data list`."""
    options: dict[str, Plain] = {}
    """The dataset's options, such as `size: 32`."""
    label: str = Field(default="", pattern=rf"{_NAME}|^$")
    """What its folder and its rows are called; the name by default."""

    @field_validator("name")
    @classmethod
    def _exists(cls, name: str) -> str:
        if name not in DATASETS:
            raise unknown("dataset", name, DATASETS)
        return name

    @field_validator("options")
    @classmethod
    def _without_root(cls, options: dict[str, Plain]) -> dict[str, Plain]:
        if "root" in options:
            raise ValueError("where files lie is no part of a study; give --root, or set VAELENS_DATA")
        return options


class ModelEntry(_Record):
    """A model of the study: what it is trained by, and its hyperparameters."""

    name: str
    """A name of `vaelens models`."""
    latent_dim: int | None = Field(default=None, ge=1, le=256)
    """Number of latents; the model's own default unless given."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """A pixel's distribution."""
    hyperparameters: dict[str, float | int | str] = {}
    """The objective's, by name; the defaults for those left out."""
    label: str = Field(default="", pattern=rf"{_NAME}|^$")
    """What its folder and its rows are called; the name by default."""

    @model_validator(mode="after")
    def _resolves(self) -> "ModelEntry":
        if self.name not in CATALOGUE:
            raise unknown("model", self.name, CATALOGUE)
        CATALOGUE[self.name].resolve(self.hyperparameters)
        return self


class Training(_Record):
    """How each model is trained."""

    steps: int = Field(default=5000, ge=1)
    batch_size: int = Field(default=64, ge=1)
    lr: float = Field(default=1e-3, gt=0, le=1)
    held_out: int = Field(default=16_384, ge=0)
    """Images that no model of a dataset is trained on and all are analysed on, a fifth of them at most."""


class Analysis(_Record):
    """How each model is analysed."""

    images: int = Field(default=256, ge=8)
    """Images to measure on, at most."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Of the images, which are those held out, where they are 128 or more."""
    skip: tuple[str, ...] = ("pictures",)
    """Parts of an analysis to leave out."""
    score_intervals: bool = True
    """Whether scores of codes and labels have intervals over images and levels of chance: 9 tenths of their time."""
    circuits: bool = False
    """Whether to find a circuit of every factor as well: some minutes a run."""

    @field_validator("skip")
    @classmethod
    def _are_parts(cls, skip: tuple[str, ...]) -> tuple[str, ...]:
        selected_parts(None, list(skip))
        return skip


class _Changes(_Record):
    """Some fields of training and analysis."""

    steps: int | None = Field(default=None, ge=1)
    batch_size: int | None = Field(default=None, ge=1)
    lr: float | None = Field(default=None, gt=0, le=1)
    images: int | None = Field(default=None, ge=8)
    circuits: bool | None = None


class Deviation(_Record):
    """What is otherwise for some cells."""

    datasets: tuple[str, ...] = ()
    """Labels of datasets; all where none is named."""
    models: tuple[str, ...] = ()
    """Labels of models; all where none is named."""
    change: _Changes
    """The fields of `training` and `analysis` that differ."""

    def concerns(self, dataset: str, model: str) -> bool:
        """Says whether it is about a cell."""
        return (not self.datasets or dataset in self.datasets) and (not self.models or model in self.models)


class Plan(_Record):
    """A study: every model on every dataset from every seed."""

    name: str = Field(pattern=_NAME)
    """What the study is called."""
    datasets: tuple[Annotated[DatasetEntry, BeforeValidator(_by_name)], ...] = Field(min_length=1)
    models: tuple[Annotated[ModelEntry, BeforeValidator(_by_name)], ...] = Field(min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**63)], ...] = Field(min_length=1)
    """Of first weights, batches and noise."""
    training: Training = Training()
    analysis: Analysis = Analysis()
    exceptions: tuple[Deviation, ...] = ()
    """In order; a later one wins."""
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    """What cells run on; a `cuda` cell asks Dask for the resource GPU."""
    threads: int = Field(default=1, ge=1)
    """Of the CPU for each cell, on which the last bits of its numbers depend."""
    attempts: int = Field(default=2, ge=1)
    """How often a cell may fail by itself before it is given up."""

    @model_validator(mode="after")
    def _names_are_distinct(self) -> "Plan":
        for what, labels in (("datasets", self.dataset_labels), ("models", self.model_labels), ("seeds", self.seeds)):
            twice = [str(label) for label, count in Counter(labels).items() if count > 1]
            if twice:
                hint = "" if what == "seeds" else "; give each a label of its own"
                raise ValueError(f"{what} name {', '.join(twice)} more than once{hint}")
        for deviation in self.exceptions:
            for name in deviation.datasets:
                if name not in self.dataset_labels:
                    raise unknown("dataset of this study", name, self.dataset_labels)
            for name in deviation.models:
                if name not in self.model_labels:
                    raise unknown("model of this study", name, self.model_labels)
        return self

    @property
    def dataset_labels(self) -> tuple[str, ...]:
        """What the datasets are called."""
        return tuple(entry.label or entry.name for entry in self.datasets)

    @property
    def model_labels(self) -> tuple[str, ...]:
        """What the models are called."""
        return tuple(entry.label or entry.name for entry in self.models)

    def cells(self) -> Iterator[Cell]:
        """Yields the cells in the order in which they are run: all of one seed before the next."""
        for seed in self.seeds:
            for dataset, dataset_label in zip(self.datasets, self.dataset_labels, strict=True):
                for model, model_label in zip(self.models, self.model_labels, strict=True):
                    yield self._cell(dataset, dataset_label, model, model_label, seed)

    def _cell(self, dataset: DatasetEntry, dataset_label: str, model: ModelEntry, model_label: str, seed: int) -> Cell:
        changes: dict[str, Any] = {}
        for deviation in self.exceptions:
            if deviation.concerns(dataset_label, model_label):
                changes |= deviation.change.model_dump(exclude_none=True)
        training = {name: changes.get(name, value) for name, value in self.training.model_dump().items()}
        analysis = {name: changes.get(name, value) for name, value in self.analysis.model_dump(mode="json").items()}
        objective = CATALOGUE[model.name]
        configuration: Mapping[str, Any] = {
            "dataset": {"name": dataset.name, "options": dict(dataset.options)},
            "model": {
                "name": model.name,
                "latent_dim": model.latent_dim or objective.latent_dim,
                "likelihood": model.likelihood,
                "hyperparameters": objective.resolve(model.hyperparameters),
            },
            "seed": seed,
            "training": training,
            "analysis": analysis,
            "device": self.device,
            "threads": self.threads,
        }
        return Cell(dataset_label, model_label, seed, configuration)
