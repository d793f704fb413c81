"""The modules of a model as they were when a part's steps were found: is one another now, or has one got hooks?"""

from collections.abc import Iterable

from torch import nn

from vaelens.errors import VaelensError


class KnownModules:
    """All modules of a model, of which those at some paths are to stay.

    Args:
        model: the model.
        paths: where the modules lie that steps call.
    """

    def __init__(self, model: nn.Module, paths: Iterable[str]):
        self._name = type(model).__name__
        self._all = list(model.modules())
        # Looked at before every chunk of a sweep: dictionaries, not paths.
        self._links: dict[str, tuple[dict[str, nn.Module | None], str, nn.Module]] = {}
        for path in paths:
            self._follow(model, path)

    def hooked(self) -> bool:
        """Whether a module has hooks of somebody else, which steps would pass by.

        Raises:
            VaelensError: another module has been put in the place of one that steps call.
        """
        for path, (siblings, name, module) in self._links.items():
            if siblings.get(name) is not module:
                raise VaelensError(
                    f"{path} of {self._name} is another module than when its sites were found; make a new Lens"
                )
        return any(module._forward_hooks or module._forward_pre_hooks for module in self._all)

    def _follow(self, module: nn.Module, path: str) -> None:
        """Note each module on the way, as the one that it is in."""
        names = path.split(".") if path else []
        for k, name in enumerate(names):
            inside = module.get_submodule(name)
            self._links[".".join(names[: k + 1])] = module._modules, name, inside
            module = inside
