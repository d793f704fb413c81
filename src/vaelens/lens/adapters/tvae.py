"""The parts of a TVAE of ctgan, a VAE of tables with mixed columns, and of SDV's synthesizer around one.

A lens on one takes rows as its own transformer makes them, and decodes to rows of the same form: a tanh of each number,
within its mode, and probabilities of modes and classes; `tvae_table` has rows in the table's own units. ctgan throws
the encoder away once it is fitted: see `encoder_kept`.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from vaelens.errors import VaelensError
from vaelens.lens.adapters.adapter import Adapter
from vaelens.lens.adapters.lineage import lineage
from vaelens.observation import Observation

PACKAGE = "ctgan"
UNIT = "transformed value"


class TVAE(nn.Module):
    """The encoder and the decoder of a TVAE, as one module."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder


@contextmanager
def encoder_kept() -> Iterator[None]:
    """Keeps the encoder of each TVAE that is fitted inside the `with`, which ctgan would throw away.

    It is then the attribute `encoder` of the TVAE. ctgan is afterwards as before.

    Raises:
        VaelensError: ctgan is not installed.
    """
    try:
        module: Any = importlib.import_module("ctgan.synthesizers.tvae")
    except ImportError as error:
        raise VaelensError("a TVAE needs ctgan: pip install '.[ctgan]' in the clone of vaelens") from error
    initialise, fit = module.Encoder.__init__, module.TVAE.fit
    built: list[nn.Module] = []

    def initialise_and_keep(encoder: nn.Module, *arguments: Any, **options: Any) -> None:
        built.append(encoder)
        initialise(encoder, *arguments, **options)

    def fit_and_keep(tvae: Any, *arguments: Any, **options: Any) -> Any:
        result = fit(tvae, *arguments, **options)
        tvae.encoder = built[-1]
        return result

    module.Encoder.__init__, module.TVAE.fit = initialise_and_keep, fit_and_keep
    try:
        yield
    finally:
        module.Encoder.__init__, module.TVAE.fit = initialise, fit


def tvae_module(model: Any) -> nn.Module | None:
    """Returns the encoder and decoder of a TVAE, which is no module itself, as one module. None for anything else.

    Raises:
        VaelensError: a TVAE that was not fitted, or without an encoder.
    """
    tvae = fitted(model)
    if tvae is None:
        return None
    if not hasattr(tvae, "decoder"):
        raise VaelensError(
            "this TVAE was not fitted; fit it inside `with vl.encoder_kept():`, then give it to the lens"
        )
    if not isinstance(getattr(tvae, "encoder", None), nn.Module):
        raise VaelensError(
            "ctgan threw the encoder of this TVAE away when it was fitted; fit it inside `with vl.encoder_kept():`"
        )
    return TVAE(tvae.encoder, tvae.decoder)


def tvae(model: Any) -> Adapter | None:
    """Returns the adapter of a TVAE, in rows as its transformer makes them, or None for any other model."""
    parts: Any = tvae_module(model)
    if parts is None:
        return None
    columns = fitted(model).transformer._column_transform_info_list
    spans = [span for column in columns for span in column.output_info]

    def encode(rows: Any) -> tuple[Tensor, Tensor]:
        mean, _, log_variance = parts.encoder(rows)
        return mean, log_variance

    def decode(codes: Any) -> Tensor:
        output, _ = parts.decoder(codes)
        values = torch.split(output, [span.dim for span in spans], dim=1)
        means = [
            torch.softmax(value, dim=1) if span.activation_fn == "softmax" else torch.tanh(value)
            for span, value in zip(spans, values, strict=True)
        ]
        return torch.cat(means, dim=1)

    observation = _observation(columns)
    example = torch.zeros(1, *observation.shape)
    return Adapter(encode, decode, None, example, observation=observation)


def fitted(model: Any) -> Any:
    """Returns the TVAE that a model is or that a synthesizer of SDV has inside, or None for anything else."""
    inside = getattr(model, "_model", None) if lineage(model, "sdv") else model
    return inside if "TVAE" in lineage(inside, PACKAGE) else None


def _observation(columns: Any) -> Observation:
    """Describes rows as named features, of which those of a column are a group and modes and classes are one-hot."""
    features: list[str] = []
    groups: dict[str, range] = {}
    one_hot: list[range] = []
    for column in columns:
        name, start = str(column.column_name), len(features)
        if column.column_type == "continuous":
            features += [name, *(f"{name} mode {mode}" for mode in range(column.output_dimensions - 1))]
        else:
            features += [f"{name}={value}" for value in column.transform.dummies]
        groups[name] = range(start, len(features))
        one_hot.append(range(start + (column.column_type == "continuous"), len(features)))
    return Observation.vector(
        features, groups=groups, unit=UNIT, noun="rows", one_hot=[each for each in one_hot if each]
    )
