"""Other ways to patch every unit of a part: plain hooks, and each library that is installed.

Each is written as its documentation shows and as fast as its interface permits, without gradients, and is given what
ours computes itself: the decoder's ways are given the codes.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util

import torch
from torch import Tensor

from benchmarks.subject import Part, Subject

Patching = Callable[[Part, Tensor, Tensor], Tensor]  # part, its inputs of base and of source -> effects (units,)


@dataclass(frozen=True)
class Rival:
    """Another way to patch.

    Attributes:
        label: what the table calls it.
        module: the file here with its function `patching`, or the function of that name after a colon.
        package: the distribution that it needs.
        channels_last: whether model and images are laid out with channels last.
    """

    label: str
    module: str
    package: str | None = None
    channels_last: bool = False

    @property
    def installed(self) -> bool:
        return self.package is None or util.find_spec(self.package) is not None

    @property
    def version(self) -> str:
        return "" if self.package is None else metadata.version(self.package)

    def prepared(self, subject: Subject, parts: tuple[str, ...]) -> Callable[[], Tensor]:
        """Ready to run: the effects of all units of some parts, (units,), in the order of the sites."""
        name, _, function = self.module.partition(":")
        patching: Patching = getattr(importlib.import_module(f"benchmarks.rivals.{name}"), function or "patching")
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        base, source = (images.contiguous(memory_format=layout) for images in (subject.base, subject.source))
        taken = []
        for part in (Part(subject.model, name).eval() for name in parts):
            part.to(memory_format=layout)
            taken.append((part, part.inputs(base), part.inputs(source)))
        return torch.no_grad()(lambda: torch.cat([patching(*arguments) for arguments in taken]))


HOOKS = {
    "hooks": Rival("forward hooks", "hooks"),
    "channels-last": Rival("forward hooks, channels last", "hooks", channels_last=True),
}
LIBRARIES = {
    "nnsight": Rival("nnsight", "nnsight", "nnsight"),
    "nnsight-skip": Rival("nnsight, `skip` upstream", "nnsight:skipping", "nnsight"),
    "pyvene": Rival("pyvene", "pyvene", "pyvene"),
    "captum": Rival("captum", "captum", "captum"),
}
RIVALS = {**HOOKS, **LIBRARIES}


def norms(change: Tensor) -> Tensor:
    """‖change‖ of each image, (n,)."""
    return change.flatten(1).norm(dim=1)
