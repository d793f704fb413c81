"""The modules of a model when a part was traced, to notice one that is replaced or whose call is intercepted."""

from collections.abc import Iterable

from torch import nn

from vaelens.errors import VaelensError
from vaelens.lens.execution import has_hooks
from vaelens.lens.settings import HOOKS


class KnownModules:
    """All modules of a model, of which those at some paths must not be replaced.

    Args:
        model: the model.
        paths: where the modules lie that steps call.
    """

    def __init__(self, model: nn.Module, paths: Iterable[str]):
        self._name = type(model).__name__
        self._modules = list(model.modules())
        self._forwards = [vars(module).get("forward") for module in self._modules]
        # Looked at before every chunk of a sweep: dictionaries, not paths.
        self._links: dict[str, tuple[dict[str, nn.Module | None], str, nn.Module]] = {}
        for path in paths:
            self._follow(model, path)

    def interception(self) -> str | None:
        """Says what steps would bypass, hooks of somebody else or a forward replaced since, or returns None.

        Raises:
            VaelensError: another module has been put in the place of one that steps call.
        """
        for path, (siblings, name, module) in self._links.items():
            if siblings.get(name) is not module:
                raise VaelensError(
                    f"{path} of {self._name} is another module than when its sites were found; make a new Lens"
                )
        if has_hooks(self._modules):
            return "a module has hooks of its own"
        if any(
            vars(module).get("forward") is not forward
            for module, forward in zip(self._modules, self._forwards, strict=True)
        ):
            return "a module's forward has been replaced"
        return None

    def way(self, traced: str) -> str:
        """Describes the way in which a traced part now runs, with the reason where it is not as steps.

        Args:
            traced: the way in which it was traced.
        """
        try:
            reason = self.interception()
        except VaelensError as error:
            return f"none, because {error}"
        return traced if reason is None else f"{HOOKS}, because {reason}"

    def _follow(self, module: nn.Module, path: str) -> None:
        """Notes each module along a path, with the module that it is in."""
        names = path.split(".") if path else []
        for k, name in enumerate(names):
            child = module.get_submodule(name)
            self._links[".".join(names[: k + 1])] = module._modules, name, child
            module = child
