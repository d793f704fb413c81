"""The search for circuits against the same search by forward hooks: `python -m benchmarks.circuits [--pairs N]`.

The search is the same object, step by step; what differs is how circuits are run. By hooks each set of units, and each
unit patched, is one forward of the model for all pairs; or, where only units of the decoder differ, of the decoder.
"""

import argparse
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import vaelens as vl
from benchmarks.subject import Subject
from vaelens.circuits.circuit_runs import CircuitRuns
from vaelens.circuits.scorers import exact
from vaelens.circuits.search import Search
from vaelens.circuits.unit_sets import Mask, Masks, UnitTable

THRESHOLD = 0.9
HEADER = (
    "| factor | ours | forward hooks | ratio | hooks, the decoder alone for its units | ratio | overlap |\n"
    "|---|---|---|---|---|---|---|"
)

Held = Mapping[str, Tensor]  # by site values (n, units, *positions)


class HookedRuns(CircuitRuns):
    """What a search asks of circuit runs, by forward hooks.

    Args:
        lens: the lens.
        base: the base images.
        source: the source images.
        whole: whether the encoder runs again too where only units of the decoder differ.
    """

    def __init__(self, lens: vl.Lens, base: Tensor, source: Tensor, whole: bool = False) -> None:
        self._whole_model = whole
        self.lens, self.table = lens, UnitTable.of(lens)
        self._model: Any = lens.module
        self._modules = {
            site: lens.module.get_submodule(lens.sites[site].module) for site in self.table.sites if site != "latent"
        }
        self._base, self._source = base, source
        self._at_base, self._at_source = (lens.run(x, capture="all").activations for x in (base, source))
        self._empty, self._whole = (self._decoded(values["latent"]) for values in (self._at_base, self._at_source))
        self._total = self._whole - self._empty
        self.totals = self._total.square().sum(dim=1).numpy()

    def carried(self, masks: Masks) -> np.ndarray:
        return np.stack([self._projected(self._circuit(mask)) for mask in masks])

    def without_each(self, mask: Mask, tried: Mask | None = None) -> np.ndarray:
        rows = []
        code = self._code(mask)
        for number in np.flatnonzero(mask if tried is None else tried):
            smaller = mask.copy()
            smaller[number] = False
            site, _ = self.table.node(int(number))
            rows.append(
                self._projected(
                    self._circuit(smaller, code if site.startswith("decoder") and not self._whole_model else None)
                )
            )
        return np.stack(rows)

    def estimated_without_each(self, mask: Mask) -> np.ndarray:
        """The same estimate: one forward with zeros added to every activation, one backward to them."""
        zeros: dict[str, Tensor] = {}
        values: dict[str, Tensor] = {}

        def watch(site: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
            def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
                activation = output.reshape(self._at_base[site].shape)
                values[site], zeros[site] = activation.detach(), torch.zeros_like(activation, requires_grad=True)
                return (activation + zeros[site]).reshape(output.shape)

            return hook

        outside = self._outside(mask)
        with ExitStack() as stack:
            stack.enter_context(self._holding(outside))
            for site, module in self._modules.items():
                stack.callback(module.register_forward_hook(watch(site)).remove)
            code = self._model.encode(self._source)[0].clone()
            held = ~mask[self.table.span("latent")]
            code[:, held] = self._at_base["latent"][:, held]
            values["latent"], zeros["latent"] = code.detach(), torch.zeros_like(code, requires_grad=True)
            outcome = (self._model.decode(code + zeros["latent"]).flatten(1) * self._total).sum()
            by_site = dict(zip(zeros, torch.autograd.grad(outcome, list(zeros.values())), strict=True))
        lost = [
            (by_site[site] * (values[site] - self._at_base[site])).transpose(0, 1).flatten(1).sum(dim=1)
            for site in self.table.sites
        ]
        present = float(self.carried(mask[None]).sum() / self.totals.sum())
        return present - torch.cat(lost).numpy()[mask] / self.totals.sum()

    def patched(self, into_source: bool = False, sites: Collection[str] | None = None) -> np.ndarray:
        images, start, values = self._base, self._empty, self._at_source
        code = self._at_base["latent"]
        if into_source:
            images, start, values, code = self._source, self._whole, self._at_base, self._at_source["latent"]
        rows = []
        for site, unit in self.table.nodes():
            if sites is not None and site not in sites:
                continue
            held = {site: (values[site], [unit])}
            if site == "latent":
                changed = (self._encoded(images) if self._whole_model else code).clone()
                changed[:, unit] = values[site][:, unit]
                outcome = self._decoded(changed)
            elif site.startswith("decoder"):
                with self._holding(held):
                    outcome = self._decoded(self._encoded(images) if self._whole_model else code)
            else:
                with self._holding(held):
                    outcome = self._decoded(self._encoded(images))
            moved = ((outcome - start) * self._total).sum(dim=1).numpy()
            rows.append(-moved if into_source else moved)
        return np.stack(rows)

    def _circuit(self, mask: Mask, code: Tensor | None = None) -> Tensor:
        with self._holding(self._outside(mask)):
            return self._decoded(self._code(mask) if code is None else code)

    @torch.no_grad()
    def _code(self, mask: Mask) -> Tensor:
        with self._holding(self._outside(mask)):
            code = self._model.encode(self._source)[0].clone()
        held = ~mask[self.table.span("latent")]
        code[:, held] = self._at_base["latent"][:, held]
        return code

    def _outside(self, mask: Mask) -> dict[str, tuple[Tensor, list[int]]]:
        return {
            site: (self._at_base[site], list(units))
            for site, units in self.table.units(~mask).items()
            if units and site != "latent"
        }

    @torch.no_grad()
    def _encoded(self, images: Tensor) -> Tensor:
        return self._model.encode(images)[0]

    @torch.no_grad()
    def _decoded(self, code: Tensor) -> Tensor:
        return self._model.decode(code).flatten(1)

    def _projected(self, images: Tensor) -> np.ndarray:
        return ((images - self._empty) * self._total).sum(dim=1).numpy()

    @contextmanager
    def _holding(self, held: Mapping[str, tuple[Tensor, list[int]]]) -> Iterator[None]:
        with ExitStack() as stack:
            for site, (values, units) in held.items():
                stack.callback(self._modules[site].register_forward_hook(_hold(values, units)).remove)
            yield


def _hold(values: Tensor, units: list[int]) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        held = output.reshape(values.shape).clone()
        held[:, units] = values[:, units]
        return held.reshape(output.shape)

    return hook


HOOKED = {"forward hooks": partial(HookedRuns, whole=True), "hooks, the decoder alone for its units": HookedRuns}


def searched(runs: CircuitRuns) -> Tensor:
    """The units that the search ends at, (units,), as numbers."""
    search = Search(runs, exact(runs, 0), THRESHOLD)
    return torch.from_numpy(search.minimal_sets()[0]).float()


def pairs_of(subject: Subject, factor: str) -> tuple[Tensor, Tensor]:
    """Pairs of images of sprites, smaller ones by means over squares."""
    pairs = vl.load_dataset("sprites").pairs(factor, subject.pairs)
    side = 64 // subject.side
    base, source = (nn.functional.avg_pool2d(x, side).to(subject.device) for x in (pairs.x, pairs.x2))
    return base, source


def rows(subject: Subject, factors: Sequence[str] | None = None) -> Iterator[str]:
    """The table, a line for each factor as soon as it is known: each way searches once, since that takes long.

    On a CPU processor seconds of all threads are counted, so that whatever else the machine does falls on none of them.
    """
    yield HEADER
    _ = subject.lens  # trained before the clock runs
    clock = time.process_time if subject.device == "cpu" else time.perf_counter
    ways = {"ours": CircuitRuns, **HOOKED}
    totals = dict.fromkeys(ways, 0.0)
    for factor in factors or vl.load_dataset("sprites").factors.names:
        pairs = pairs_of(subject, factor)
        seconds, units = {}, {}
        for name, build in ways.items():
            start = clock()
            units[name] = searched(build(subject.lens, *pairs))
            seconds[name] = clock() - start
            totals[name] += seconds[name]
        yield _row(factor, seconds, min(overlap(units["ours"], units[name]) for name in HOOKED))
    yield _row("all", totals, None)


def overlap(first: Tensor, second: Tensor) -> float:
    """The Jaccard overlap of two sets."""
    return float((first * second).sum() / torch.maximum(first, second).sum())


def _row(factor: str, seconds: Mapping[str, float], same: float | None) -> str:
    ours = seconds["ours"]
    cells = [f"{seconds[name]:.1f} s | {seconds[name] / ours:.1f}" for name in HOOKED]
    return f"| {factor} | {ours:.1f} s | {' | '.join(cells)} | {'' if same is None else f'{same:.3f}'} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.circuits", description=__doc__)
    parser.add_argument("--pairs", type=int, default=16, help="pairs of images (default 16)")
    parser.add_argument("--side", type=int, default=64, choices=(16, 32, 64), help="of the images (default 64)")
    parser.add_argument("--steps", type=int, default=300, help="of training; 0 for none (default 300)")
    parser.add_argument("--factor", nargs="+", help="factors of sprites (default all)")
    options = parser.parse_args()
    for line in rows(Subject(pairs=options.pairs, side=options.side, steps=options.steps), options.factor):
        print(line, flush=True)


if __name__ == "__main__":
    main()
