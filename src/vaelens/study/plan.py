"""The plan of a study as its file states it, checked field by field before anything runs.

A cell is one model trained on one dataset from one seed, and then analysed. The plan holds everything that determines
the numbers of its cells.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from vaelens.analysis.run import selected_parts
from vaelens.data.catalogue import DATASETS
from vaelens.errors import unknown
from vaelens.models.catalogue import CATALOGUE
from vaelens.study.cell import Cell

Plain: TypeAlias = bool | int | float | str | list[Any] | None  # what an option of a dataset can be in a file
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"  # of a folder on any system, but for the devices of Windows
_LONGEST_LABEL = 100  # characters; with the steps of a path around it, any system has room for it
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{k}" for port in ("com", "lpt") for k in range(1, 10))}


def _number(value: Any) -> Any:
    """Refuses yes and no where a number belongs, which would be 1 and 0."""
    if isinstance(value, bool):
        raise ValueError(f"it is {str(value).lower()}; expected a number")
    return value


def _folder_name(label: str) -> str:
    """Refuses names that some systems don't let a folder have."""
    if len(label) > _LONGEST_LABEL:
        raise ValueError(f"it has {len(label)} characters; a folder is called so, give {_LONGEST_LABEL} at most")
    if label.endswith("."):
        raise ValueError(f"{label!r} ends in a dot, which no folder of Windows can; leave it out")
    if label.split(".")[0].lower() in _DEVICES:
        raise ValueError(f"{label!r} is a device of Windows, and no folder there can be called so; give another label")
    return label


_Whole: TypeAlias = Annotated[int, BeforeValidator(_number)]
_Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**63), BeforeValidator(_number)]
_Real: TypeAlias = Annotated[float, BeforeValidator(_number)]
_Label: TypeAlias = Annotated[str, Field(pattern=rf"{_NAME}|^$"), AfterValidator(_folder_name)]


class _Record(BaseModel):
    """A part of the file, in which no unknown field is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _by_name(entry: Any) -> Any:
    """Reads a name alone, such as `sprites`, as an entry of that name."""
    return {"name": entry} if isinstance(entry, str) else entry


class DatasetEntry(_Record):
    """A dataset of the study."""

    name: str
    """A name of `vaelens data list`."""
    options: dict[str, Plain] = {}
    """The dataset's options, such as `size: 32`."""
    label: _Label = ""
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
    """A model of the study, with its objective and hyperparameters."""

    name: str
    """A name of `vaelens models`."""
    latent_dim: _Whole | None = Field(default=None, ge=1, le=256)
    """Number of latents; the model's own default unless given."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """A pixel's distribution."""
    hyperparameters: dict[str, Annotated[float | int | str, BeforeValidator(_number)]] = {}
    """The objective's, by name; the defaults for those left out."""
    label: _Label = ""
    """What its folder and its rows are called; the name by default."""

    @model_validator(mode="after")
    def _resolves(self) -> "ModelEntry":
        if self.name not in CATALOGUE:
            raise unknown("model", self.name, CATALOGUE)
        CATALOGUE[self.name].resolve(self.hyperparameters)
        return self


class Training(_Record):
    """How each model is trained."""

    steps: _Whole = Field(default=5000, ge=1)
    batch_size: _Whole = Field(default=64, ge=1)
    lr: _Real = Field(default=1e-3, gt=0, le=1)
    lr_decay: Literal["none", "cosine"] = "none"
    """Whether the learning rate stays, or falls to 0 along half a cosine over the steps."""
    held_out: _Whole = Field(default=16_384, ge=0)
    """Images that no model of a dataset is trained on and all are analysed on, a fifth of them at most."""


class Analysis(_Record):
    """How each model is analysed."""

    images: _Whole = Field(default=256, ge=8)
    """Images to measure on, at most."""
    seed: _Seed = 0
    """Of the images, which are those held out, where they are 128 or more."""
    skip: tuple[str, ...] = ("pictures",)
    """Parts of an analysis to leave out."""
    score_intervals: StrictBool = True
    """Whether scores of codes and labels have intervals over images and levels of chance: 9 tenths of their time."""
    circuits: StrictBool = False
    """Whether to find a circuit of every factor as well: some minutes a run."""

    @field_validator("skip")
    @classmethod
    def _are_parts(cls, skip: tuple[str, ...]) -> tuple[str, ...]:
        selected_parts(None, list(skip))
        return skip

    @field_validator("circuits")
    @classmethod
    def _are_not_skipped(cls, circuits: bool, given: ValidationInfo) -> bool:
        if circuits and "circuits" in given.data.get("skip", ()):
            raise ValueError("circuits are asked for, and left out by skip; take them out of one of the two")
        return circuits


class _Changes(_Record):
    """Some fields of training and analysis."""

    steps: _Whole | None = Field(default=None, ge=1)
    batch_size: _Whole | None = Field(default=None, ge=1)
    lr: _Real | None = Field(default=None, gt=0, le=1)
    lr_decay: Literal["none", "cosine"] | None = None
    images: _Whole | None = Field(default=None, ge=8)
    circuits: StrictBool | None = None

    @model_validator(mode="after")
    def _change_something(self) -> "_Changes":
        without = sorted(name for name in self.model_fields_set if getattr(self, name) is None)
        if without:
            raise ValueError(f"no value of {', '.join(without)}; give one, or leave the field out")
        if not self.model_fields_set:
            raise ValueError("it is empty, so nothing is changed; give values, or leave the exception out")
        return self


class Deviation(_Record):
    """What is otherwise for some cells."""

    datasets: tuple[str, ...] = ()
    """Labels of datasets; all where none is named."""
    models: tuple[str, ...] = ()
    """Labels of models; all where none is named."""
    change: _Changes
    """The fields of `training` and `analysis` that differ."""

    def concerns(self, dataset: str, model: str) -> bool:
        """Tells whether it is about a cell."""
        return (not self.datasets or dataset in self.datasets) and (not self.models or model in self.models)


def _labels(entries: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(entry.label or entry.name for entry in entries)


def _of_this_study(deviation: Deviation, given: ValidationInfo) -> Deviation:
    """Refuses an exception for datasets or models that the study does not have."""
    for kind, names in (("dataset", deviation.datasets), ("model", deviation.models)):
        names_of_study = _labels(given.data.get(f"{kind}s", ()))
        for name in names if names_of_study else ():  # there are none where they were refused themselves
            if name not in names_of_study:
                raise unknown(f"{kind} of this study", name, names_of_study)
    return deviation


class Plan(_Record):
    """A study of every model on every dataset from every seed."""

    name: str = Field(pattern=_NAME)
    """What the study is called."""
    datasets: tuple[Annotated[DatasetEntry, BeforeValidator(_by_name)], ...] = Field(min_length=1)
    models: tuple[Annotated[ModelEntry, BeforeValidator(_by_name)], ...] = Field(min_length=1)
    seeds: tuple[_Seed, ...] = Field(min_length=1)
    """Of first weights, batches and noise."""
    training: Training = Training()
    analysis: Analysis = Analysis()
    exceptions: tuple[Annotated[Deviation, AfterValidator(_of_this_study)], ...] = ()
    """In order; a later one wins."""
    device: Literal["cpu", "cuda", "mps"] = "cpu"
    """What cells run on; a `cuda` cell asks Dask for the resource GPU."""
    threads: _Whole = Field(default=1, ge=1)
    """Of the CPU for each cell, on which the last bits of its numbers depend."""
    attempts: _Whole = Field(default=2, ge=1)
    """How often a cell may fail by itself before it is given up."""

    @field_validator("seeds")
    @classmethod
    def _seeds_are_distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = [str(seed) for seed, count in Counter(seeds).items() if count > 1]
        if twice:
            raise ValueError(f"seeds name {', '.join(twice)} more than once")
        return seeds

    @field_validator("datasets", "models")
    @classmethod
    def _labels_are_distinct(cls, entries: tuple[Any, ...], field: ValidationInfo) -> tuple[Any, ...]:
        labels = _labels(entries)
        twice = [label for label, count in Counter(labels).items() if count > 1]
        if twice:
            raise ValueError(f"{field.field_name} name {', '.join(twice)} more than once; give each a label of its own")
        alike = [label for label in labels if Counter(map(str.lower, labels))[label.lower()] > 1]
        if alike:
            raise ValueError(
                f"{field.field_name} name {' and '.join(alike)}, which are one folder on systems that take "
                "capitals for small letters; give each a label of its own"
            )
        return entries

    @field_validator("exceptions")
    @classmethod
    def _circuits_are_not_skipped(
        cls, exceptions: tuple[Deviation, ...], given: ValidationInfo
    ) -> tuple[Deviation, ...]:
        skipped = "analysis" in given.data and "circuits" in given.data["analysis"].skip
        if skipped and any(deviation.change.circuits for deviation in exceptions):
            raise ValueError(
                "circuits are asked for, and left out by skip of analysis; take them out of one of the two"
            )
        return exceptions

    @property
    def dataset_labels(self) -> tuple[str, ...]:
        """What the datasets are called."""
        return _labels(self.datasets)

    @property
    def model_labels(self) -> tuple[str, ...]:
        """What the models are called."""
        return _labels(self.models)

    def cells(self) -> Iterator[Cell]:
        """Yields the cells in the order in which they are run, all of one seed before the next."""
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
