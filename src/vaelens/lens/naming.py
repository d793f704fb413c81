"""Names that a user gives to the output of any submodule, or to a site that was found.

A name stands for a submodule, its dotted path, one of these with the number of the call, or a site's name. Nothing here
runs a model.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from vaelens.errors import VaelensError
from vaelens.lens.calls import Call, Trace
from vaelens.lens.isolation import is_scripted
from vaelens.lens.sites import LATENT, PATTERN, Site, site_of

Name = tuple[str, Any]  # a name, and what it stands for
SiteNames = Mapping[str, str | nn.Module | tuple[str | nn.Module, int]]


@dataclass(frozen=True, eq=False)
class Place:
    """A site and the call that returns its activation, or None for the latent.

    Attributes:
        site: the site.
        call: the call.
        named: whether a user named it.
        modules: the modules of its stage.
    """

    site: Site
    call: Call | None
    named: bool = False
    modules: Sequence[nn.Module] = ()


@dataclass(frozen=True, eq=False)
class TracedModel:
    """A model and its two traced parts."""

    model: nn.Module
    encoder: Trace
    decoder: Trace

    def place(self, name: str, part: str, call: Call, modules: Sequence[nn.Module] = ()) -> Place:
        """Returns the place of a call in a part, with the modules of its stage."""
        path = next((path for path, module in self.model.named_modules() if module is call.module), "")
        earlier = 0 if part == "encoder" else self.encoder.counts.get(call.module, 0)
        several = self.calls(call.module) > 1
        site = replace(site_of(name, part, call.activation), module=path)
        site = replace(site, call=earlier + call.number) if several else site
        return Place(site, call, modules=modules or [call.module])

    def calls(self, module: nn.Module) -> int:
        """Counts how often a module is called, in encode and decode together."""
        return self.encoder.counts.get(module, 0) + self.decoder.counts.get(module, 0)

    def rank(self, place: Place) -> tuple[int, int]:
        """Returns where a place is in the order of the data, a part and a call within it."""
        if place.call is None:
            return 1, 0
        trace, part = (self.encoder, 0) if place.site.part == "encoder" else (self.decoder, 2)
        return part, next(k for k, call in enumerate(trace.calls) if call is place.call)


def checked_names(sites: Any) -> list[Name]:
    """Checks the names in a user's mapping from names to what they stand for, and returns its items.

    Raises:
        VaelensError: no mapping; a name that is no text, is taken, or has the characters of a pattern.
    """
    if not isinstance(sites, Mapping):
        raise VaelensError(
            f"sites are a {type(sites).__name__}; give a mapping from names to submodules, their paths or sites' names"
        )
    for name in sites:
        if not isinstance(name, str) or not name:
            raise VaelensError(f"{name!r} is no name for a site; give a text")
        if name in (LATENT, "all"):
            raise VaelensError(f"the name {name!r} is taken; choose another")
        if PATTERN.intersection(name):
            raise VaelensError(f"the name {name!r} has one of *?[, which select sites by pattern; leave it out")
    return list(sites.items())


def modules_in(names: Sequence[Name], model: nn.Module) -> list[nn.Module]:
    """Finds the submodules that names may stand for, whose calls must be recorded.

    Raises:
        VaelensError: one of them does not let itself be seen.
    """
    modules = [
        (name, _module(given[0] if isinstance(given, tuple) and given else given, model)) for name, given in names
    ]
    for name, module in modules:
        if module is not None and is_scripted(module):
            raise VaelensError(
                f"site {name!r} is TorchScript, which takes no hooks; give the lens the module that it was made of, or "
                "name one around it"
            )
    return [module for _, module in modules if module is not None]


def with_names(places: Sequence[Place], names: Sequence[Name], traced: TracedModel) -> list[Place]:
    """Names places as a user does, adds those that are new, and returns all places in the order of the data.

    Raises:
        VaelensError: a name used twice, or one of something that is no submodule, never called, called several times,
            or gives no activation.
    """
    placed = list(places)
    for name, given in names:
        if any(place.site.name == name for place in placed):
            raise VaelensError(f"the name {name!r} is that of another site; choose one that is not in use")
        site = next((place for place in placed if isinstance(given, str) and place.site.name == given), None)
        old, new = _renamed(name, site) if site is not None else _named(name, given, placed, traced)
        placed = sorted([*(place for place in placed if place is not old), replace(new, named=True)], key=traced.rank)
    return placed


def with_blocks(places: Sequence[Place], blocks: Sequence[str], traced: TracedModel) -> list[Place]:
    """Adds the outputs of a model's blocks, named by their paths, and returns all places in the order of the data.

    A block whose output is a place already, that runs several times, or never, is passed over.

    Args:
        places: all others.
        blocks: the paths of the blocks in the model.
        traced: the model; calls of the blocks were recorded.
    """
    modules, placed = dict(traced.model.named_modules()), list(places)
    for path in blocks:
        block = modules.get(path)
        for part, trace in (("encoder", traced.encoder), ("decoder", traced.decoder)):
            calls = [call for call in trace.calls if call.module is block and not call.functions]
            if len(calls) != 1 or traced.calls(calls[0].module) > 1 or any(p.site.name == path for p in placed):
                continue
            if all(place.call is None or place.call.output is not calls[0].output for place in placed):
                placed.append(traced.place(path, part, calls[0]))
    return sorted(placed, key=traced.rank)


def with_levels(places: Sequence[Place], levels: Sequence[nn.Module], traced: TracedModel) -> list[Place]:
    """Adds the levels that the decoder draws, `level.1` and on, and returns all places in the order of the data.

    What is drawn after the decoder's last stage is the observation itself, and no level.
    """
    last = max((traced.rank(place) for place in places if place.site.part == "decoder"), default=None)
    calls = [call for level in levels for call in traced.decoder.calls if call.module is level]
    drawn = [traced.place(f"level.{k}", "decoder", call) for k, call in enumerate(calls, start=1)]
    return sorted([*places, *(place for place in drawn if last is None or traced.rank(place) < last)], key=traced.rank)


def _renamed(name: str, old: Place) -> tuple[Place, Place]:
    if old.call is None:
        raise VaelensError(f"{name!r} is to rename the site {LATENT}, which keeps its name; choose another site")
    return old, replace(old, site=replace(old.site, name=name))


def _named(name: str, given: Any, placed: Sequence[Place], traced: TracedModel) -> tuple[Place | None, Place]:
    """Returns the place of a module that was named, and before it the place that it replaces, if any."""
    new = _called(name, given, placed, traced)
    old = next((place for place in placed if place.call is new.call), None)
    if old is not None and old.named:
        raise VaelensError(f"{name!r} and {old.site.name!r} name the same module's output; give it one name")
    if old is not None:
        new = replace(new, modules=old.modules)
    if old is None and new.site.part == "decoder":
        old = _replaced_output(new, placed, traced)
    return old, new


def _called(name: str, given: Any, placed: Sequence[Place], traced: TracedModel) -> Place:
    target, number = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    model = traced.model
    if not isinstance(target, str | nn.Module) or not (number is None or type(number) is int):
        raise VaelensError(
            f"site {name!r} is given {given!r}; expected a submodule, its path, a pair (either of these, call number), "
            "or a site's name"
        )
    module = _module(target, model)
    if module is None:
        raise _not_part_of(name, target, placed, model)
    path = next(path for path, child in model.named_modules() if child is module) or "the model itself"
    total = traced.calls(module)
    if total == 0:
        raise VaelensError(f"site {name!r} is {path}, which neither encode nor decode calls; name a module that runs")
    if number is None and total > 1:
        raise VaelensError(
            f"site {name!r} is {path}, which is called {total} times; say which call: ({path!r}, 0) to "
            f"({path!r}, {total - 1})"
        )
    number = number or 0
    if not 0 <= number < total:
        raise VaelensError(f"site {name!r} is call {number} of {path}, which has calls 0 to {total - 1}")
    earlier = traced.encoder.counts.get(module, 0)
    part, trace = ("encoder", traced.encoder) if number < earlier else ("decoder", traced.decoder)
    in_part = number if number < earlier else number - earlier
    for stray in trace.strays:
        if stray.module is module and stray.number == in_part:
            raise VaelensError(
                f"site {name!r} is {path}, which gives {stray.what}; expected a tensor with the images in front, "
                "(n, units, …), alone or as the first of a tuple"
            )
    call = next(call for call in trace.calls if call.module is module and call.number == in_part and not call.functions)
    return traced.place(name, part, call)


def _replaced_output(new: Place, placed: Sequence[Place], traced: TracedModel) -> Place | None:
    """Returns the output site where a module that ends later hands its activation over, else None."""
    output = placed[-1]
    assert new.call is not None, "only the latent has no call"
    assert output.call is not None, "the last place is the decoder's output"
    if traced.rank(new) <= traced.rank(output):
        return None
    if new.call.output is output.call.output:
        return output
    if new.call.output.numel() != output.call.output.numel():
        raise VaelensError(
            f"site {new.site.name!r} comes after {output.site.name}, which holds the image, and holds none; nothing "
            "follows from it"
        )
    return None


def _module(target: Any, model: nn.Module) -> nn.Module | None:
    modules = dict(model.named_modules())
    if isinstance(target, str):
        return dict(model.named_modules(remove_duplicate=False)).get(target) if target else None
    return target if any(target is module for module in modules.values()) else None


def _not_part_of(name: str, target: str | nn.Module, placed: Sequence[Place], model: nn.Module) -> VaelensError:
    if isinstance(target, nn.Module):
        return VaelensError(
            f"site {name!r} is a {type(target).__name__} that is not in the {type(model).__name__} under the lens; "
            "give one of its submodules"
        )
    sites = [place.site.name for place in placed if place.call is not None]
    paths = [path for path, _ in model.named_modules(remove_duplicate=False) if path]
    nearest = difflib.get_close_matches(target, [*sites, *paths], n=1)
    return VaelensError(
        f"site {name!r} is given {target!r}, which is neither a submodule's path nor a site; sites: {', '.join(sites)}"
        + (f"; did you mean {nearest[0]!r}?" if nearest else "")
    )
