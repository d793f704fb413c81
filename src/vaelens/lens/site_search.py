"""The search for a model's sites, which traces two small batches and tells both parts where their sites are."""

import math
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from vaelens.arguments import Progress
from vaelens.errors import VaelensError, VaelensWarning
from vaelens.lens.calls import Trace
from vaelens.lens.execution import trace
from vaelens.lens.hook_points import HookPoint, hook_point
from vaelens.lens.incremental.traced_part import WAYS
from vaelens.lens.isolation import isolated
from vaelens.lens.levels import Level
from vaelens.lens.made_up_rows import two_rows
from vaelens.lens.model_parts import ModelParts, images_in, posterior_in
from vaelens.lens.module_paths import module_paths
from vaelens.lens.naming import Name, Place, TracedModel, modules_in, with_blocks, with_levels, with_names
from vaelens.lens.row_independence import extremes
from vaelens.lens.same_tensors import storage_of
from vaelens.lens.sites import LATENT, Sites, site_of
from vaelens.lens.stages import memories, stages
from vaelens.observation import Observation
from vaelens.progress import Report, reporting

_LARGE = 10 * 3 * 128**2  # numbers of an example from which on it is followed by its shapes alone, to save memory
_OVERSHOOT = 0.1  # of decoded values beyond [0, 1], as a decoder without a sigmoid has it at edges
_ORDERS = (0, 1), (1, 0, 2)  # images of two batches: their numbers tell the batch axis, their order one that sorts


def find_sites(
    parts: ModelParts,
    example: Tensor,
    observation: Observation,
    names: Sequence[Name] = (),
    ways: Collection[str] = WAYS,
    progress: Progress = False,
    blocks: Sequence[str] = (),
    known: bool = False,
) -> Sites:
    """Traces small batches and resolves every site, those that are found and those that a user names.

    Args:
        parts: the model; both parts are told their sites, and are traced.
        example: one image or more, as the encoder is given them.
        observation: what an image is.
        names: the user's names.
        ways: the ways to trace a part into steps that are tried.
        progress: whether to show a bar: a large model is run several times.
        blocks: paths of blocks of the model, whose outputs are sites besides.
        known: whether the parts are those of a known model, which a user can't mend.

    Raises:
        VaelensError: encode and decode do not fit together, or do not run parts of the module; a name that stands
            for nothing; a decoder that reads what the encoder left on the model.
    """
    with reporting(progress, 3, "finding the sites") as report:
        sites, points, image = _resolved(parts, example, observation, names, blocks)
        _warn_of_range(image, observation, known)
        report.advance(1)
        _prepare(parts, sites, points, two_rows(example, observation), observation, ways, report)
    return sites


def _resolved(
    parts: ModelParts, example: Tensor, observation: Observation, names: Sequence[Name], blocks: Sequence[str]
) -> tuple[Sites, Mapping[str, HookPoint], Tensor]:
    """Resolves every site, where it is, and what was decoded, and releases all activations traced for it."""
    also = [*modules_in(names, parts.module), *(parts.module.get_submodule(path) for path in blocks)]
    batches = [example[torch.tensor(order) % len(example)] for order in _ORDERS]
    with _explained(batches[0], observation):
        codes = _checked_codes(parts, batches[0], observation)
        levels = _levels(parts, _enough(codes, batches[0]))
    also += levels
    again = _traced(parts, batches[1], observation, also)
    encoder, decoder, mean, logvar = _traced(parts, batches[0], observation, also, again[:2])
    if encoder.foreign or decoder.foreign:
        raise VaelensError(
            f"{'encode' if encoder.foreign else 'decode'} runs layers that are no part of the "
            f"{type(parts.module).__name__} given; give the lens the module that holds encoder and decoder"
        )
    image = images_in(decoder.result, len(batches[0]), observation)
    if image.shape[1:] != observation.shape:
        raise VaelensError(
            f"decode gives {observation.noun} of shape {tuple(image.shape[1:])} for {observation.noun} of shape "
            f"{observation.shape}; expected the same"
        )
    _warn_of_weights(parts.module)
    model = TracedModel(parts.module, encoder, decoder)
    heads = [mean] if logvar is None else [mean, logvar]
    before, handing_over = stages(encoder.calls, heads=heads, origins=encoder.origins)
    after, _ = stages(decoder.calls, image=image)
    of_mean = memories(mean, encoder.origins)
    heads_of: dict[bool, list[nn.Module]] = {True: [], False: []}  # by whether it gives the mean
    for stage in handing_over:
        heads_of[storage_of(stage.call.output) in of_mean] += stage.modules
    stage_places = [
        *(model.place(f"encoder.{k}", "encoder", stage.call, stage.modules) for k, stage in enumerate(before)),
        Place(site_of(LATENT, LATENT, mean), None, modules=heads_of[True]),
        *(model.place(f"decoder.{k}", "decoder", stage.call, stage.modules) for k, stage in enumerate(after)),
    ]
    stage_places = with_levels(stage_places, levels, model)
    places = with_blocks(with_names(stage_places, names, model), blocks, model)
    points = {place.site.name: hook_point(place.call) for place in places if place.call is not None}
    return Sites([place.site for place in places], module_paths(places, model, heads_of[False])), points, image


def _traced(
    parts: ModelParts,
    batch: Tensor,
    observation: Observation,
    also: Collection[nn.Module],
    others: tuple[Trace | None, Trace | None] = (None, None),
) -> tuple[Trace, Trace, Tensor, Tensor | None]:
    """Traces encoder and decoder on a batch, a large one as its shapes alone, and returns the posterior too."""
    if batch.numel() > _LARGE:
        fake = FakeTensorMode(allow_non_fake_inputs=True)
        with suppress(Exception), isolated(parts.module, copies=True), fake:
            return _run_traced(parts, fake.from_tensor(batch), also, others)
    with _explained(batch, observation), isolated(parts.module, copies=True):
        return _run_traced(parts, batch, also, others)


@contextmanager
def _explained(batch: Tensor, observation: Observation) -> Iterator[None]:
    """Says in one sentence that a user's code does not run on a batch. It may want other numbers of images or channels.

    Raises:
        VaelensError: it does not.
    """
    try:
        yield
    except VaelensError:
        raise
    except Exception as error:
        hint = "; what they take besides is given to the lens as context=" if isinstance(error, TypeError) else ""
        hint = "; one image goes in as x[None]" if len(observation.shape) == 2 and not hint else hint
        raise VaelensError(
            f"encode and decode do not run on {len(batch)} {observation.noun} of shape {observation.shape} "
            f"({type(error).__name__}: {' '.join(str(error).split())[:160]}); a lens runs them on any number of "
            f"{observation.noun}, so nothing else that they are given may depend on it{hint}"
        ) from error


def _warn_of_range(image: Tensor, observation: Observation, known: bool) -> None:
    """Warns of decoded values that are not numbers or out of range, as effects would be measured in them."""
    least, most = observation.low, observation.high
    if isinstance(image, FakeTensor):
        return
    low, high = (float(end) for end in torch.aminmax(image))
    if not math.isfinite(low + high):
        warnings.warn(
            "decode gives NaN or infinite values on the example, and so would effects be: look whether the weights are "
            "numbers, such as those of a training that diverged are not; else give an example= that the model knows",
            VaelensWarning,
            stacklevel=5,  # where the lens is made
        )
        return
    if least is None or most is None:
        return
    slack = _OVERSHOOT * (most - least)
    if low >= least - slack and high <= most + slack:
        return
    hint = "end it with torch.sigmoid where these are logits"
    if low >= 0:
        hint = "divide by 255 where they are from 0 to 255"
    elif low >= -1 - _OVERSHOOT and high <= 1 + _OVERSHOOT:
        hint = "return (y + 1) / 2 where they are from -1 to 1, or end it with torch.sigmoid where they are logits"
    if known:
        hint = "these weights decode so, as weights that were not trained do"
    elif (least, most) != (0, 1):
        hint = f"have it return values in {observation.span}, or give an observation= with their range"
    warnings.warn(
        f"decode gives values from {low:.3g} to {high:.3g}, and {observation.noun} are in {observation.span}: effects "
        f"in {observation.distance} would be of these values; {hint}",
        VaelensWarning,
        stacklevel=5,  # where the lens is made
    )


def _warn_of_weights(module: nn.Module) -> None:
    """Warns of infinite weights, which a sigmoid hides. Those that are NaN are seen in what is decoded."""
    infinite = [
        name
        for name, weights in module.named_parameters()
        if weights.is_floating_point() and not weights.is_meta and weights.detach().float().isinf().any()
    ]
    if infinite:
        warnings.warn(
            f"{infinite[0]} of the {type(module).__name__} holds infinite weights, as a training that diverged leaves "
            "them: what the model gives is finite, but is no finding about a model that works",
            VaelensWarning,
            stacklevel=6,  # where the lens is made
        )


def _run_traced(
    parts: ModelParts, batch: Tensor, also: Collection[nn.Module], others: tuple[Trace | None, Trace | None]
) -> tuple[Trace, Trace, Tensor, Tensor | None]:
    encoder = trace(parts.module, parts.encoder.function, batch.clone(), also, others[0], _ORDERS[1])
    mean, logvar = posterior_in(encoder.result, len(batch))
    # Of half precision inside, the code is of the model's type outside.
    codes = parts.after_encoder(mean, batch)
    return encoder, trace(parts.module, parts.decoder.function, codes, also, others[1], _ORDERS[1]), mean, logvar


def _checked_codes(parts: ModelParts, batch: Tensor, observation: Observation) -> Tensor:
    """Encodes a batch, and checks that the decoder reads nothing that the encoder left on the model or elsewhere.

    A lens runs each by itself. The same codes are decoded right after they were encoded, and after other images were.

    Raises:
        VaelensError: what it reads is named, where it is on the model.
    """

    def decoded(codes: Tensor) -> Tensor:
        with isolated(parts.module, copies=True):
            return images_in(parts.decoder.function(codes.clone()), len(batch), observation).clone()

    with isolated(parts.module, copies=True) as state:
        mean, _ = posterior_in(parts.encoder.function(batch.clone()), len(batch))
        names = state.changed_names()
        codes = parts.after_encoder(mean, batch).clone()
        together = decoded(codes)
    try:
        with isolated(parts.module):
            parts.encoder.function(_enough(two_rows(batch, observation), batch))
        alone = decoded(codes)
        same = _near(alone, together) or not _near(decoded(codes), alone)  # one that never repeats is told elsewhere
    except Exception:  # what it reads is not there
        same = False
    if not same:
        where = f"on the {type(parts.module).__name__} ({', '.join(names)})" if names else "outside of the model"
        raise VaelensError(
            f"decode reads what encode left {where}, and a lens runs each by itself: give encode= and decode= that "
            "hand it over in the code"
        )
    return codes


def _levels(parts: ModelParts, codes: Tensor) -> list[Level]:
    """Finds the modules that the decoder hands its levels through."""
    if parts.levelled is None:
        return []
    with isolated(parts.module, copies=True), parts.levelled.finding():
        parts.decoder.function(codes.clone())
    return parts.levelled.levels


def _enough(rows: Tensor, batch: Tensor) -> Tensor:
    """Returns as many rows as the larger batch has, where that is to be followed by its shapes alone.

    What is kept outside of the model for each number of images, as by a cached function, has values then.
    """
    return rows[[0, 1, 0]] if 3 * batch.numel() > 2 * _LARGE else rows


def _near(values: Tensor, expected: Tensor) -> bool:
    return values.shape == expected.shape and torch.allclose(values, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


def _prepare(
    parts: ModelParts,
    sites: Sites,
    points: Mapping[str, HookPoint],
    images: Tensor,
    observation: Observation,
    ways: Collection[str],
    report: Report,
) -> None:
    """Tells both parts their sites, and has them traced into steps on two images."""
    of_part = {part: {name: points[name] for name in sites.of(part)} for part in ("encoder", "decoder")}
    plain = parts.form is None  # a context of labels is not to be made up
    low, high = observation.low, observation.high
    extreme = extremes(images, low, high) if plain and None not in (low, high) else None
    result: Any = parts.encoder.prepare(of_part["encoder"], images, ways, report.advance, extreme)
    mean, _ = posterior_in(result, len(images))
    report.advance(1 / 3)
    codes = parts.after_encoder(mean, images)
    far = extremes(codes, None, None) if plain else None
    parts.decoder.prepare(of_part["decoder"], codes, ways, report.advance, far)
