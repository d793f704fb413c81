"""The sites that paths of modules stand for, a module by its stage and a container by the last stage inside it."""

from collections.abc import Collection, Iterator, Sequence

from torch import nn

from vaelens.lens.naming import Place, TracedModel
from vaelens.lens.sites import LATENT, ModulePaths


def module_paths(places: Sequence[Place], traced: TracedModel, logvar: Collection[nn.Module] = ()) -> ModulePaths:
    """Maps the path of every module to the site that it stands for, or to the reason why it stands for none.

    A module whose output is a site stands for that site, any other for the site whose stage it belongs to. The
    encoder's last layer stands for the latent, a part of a leaf (attention's projection) for what the leaf does.

    Args:
        places: all sites, in the order of the data.
        traced: the model.
        logvar: modules that hand over nothing but the log-variance.
    """
    order = [place.site.name for place in places]
    part_of = {place.site.name: "decoder" if place.site.part == "decoder" else "encoder" for place in places}
    paths = {path: module for path, module in traced.model.named_modules(remove_duplicate=False) if path}
    of_module = _sites_of_modules(places, traced)
    inside: dict[str, list[list[str]]] = {}  # by container the sites of each module in it
    for path, module in paths.items():
        for container in _above(path) if module in of_module else ():
            inside.setdefault(container, []).append(of_module[module])
    names: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for path, module in paths.items():
        leaf = next((above for above in _above(path) if paths[above] in of_module and above not in inside), None)
        if module in of_module:
            sites = of_module[module]
        elif path in inside:
            last = max((name for sites in inside[path] for name in sites), key=order.index)
            sites = list(dict.fromkeys(name for sites in inside[path] if last in sites for name in sites))
        else:
            sites = [] if leaf is None else of_module[paths[leaf]]
        covered = {part_of[name] for group in inside.get(path, ()) for name in group}
        if module not in of_module and len(covered) > 1:
            reasons[path] = f"{path} holds stages of the encoder and of the decoder; name a module of one of them"
        elif len(sites) == 1:
            names[path] = sites[0]
        elif sites:
            reasons[path] = f"{path} runs several times, in the sites {', '.join(sites)}; name one of these"
        else:
            reasons[path] = _reason(path, module, traced, logvar)
    return ModulePaths(names, reasons)


def _sites_of_modules(places: Sequence[Place], traced: TracedModel) -> dict[nn.Module, list[str]]:
    """Maps each module to the sites it belongs to, or to the one whose activation it returns if it runs once."""
    ends: dict[nn.Module, list[str]] = {}
    members: dict[nn.Module, list[str]] = {}
    for place in places:
        if place.call is not None:
            ends.setdefault(place.call.module, []).append(place.site.name)
        for module in place.modules:
            members.setdefault(module, []).append(place.site.name)
    return {
        module: ends[module]
        if len(ends.get(module, ())) == 1 and traced.calls(module) == 1
        else list(dict.fromkeys([*ends.get(module, ()), *members.get(module, ())]))
        for module in {**ends, **members}
    }


def _reason(path: str, module: nn.Module, traced: TracedModel, logvar: Collection[nn.Module]) -> str:
    if module in logvar or any(child in logvar for child in module.modules()):
        return f"{path} gives the log-variance, which is no site; the mean is the site {LATENT!r}"
    if any(traced.calls(child) for child in module.modules()):
        return (
            f"{path} belongs to no site: it is no layer, and follows none that it leaves in shape; make its output a "
            f"site by lens.name_sites({{'name': {path!r}}})"
        )
    return f"{path} is no site: neither encode nor decode calls it; name a module that runs"


def _above(path: str) -> Iterator[str]:
    """Yields the paths of the containers of a module, the innermost first."""
    while "." in path:
        path = path.rpartition(".")[0]
        yield path
