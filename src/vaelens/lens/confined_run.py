"""A confined run, which is a cached run that runs again with only some units of each site free to change.

All other units stay as they are in it, and nothing is computed of them. It costs, for each row, what the free units of
each site do to those of the next.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor

from vaelens.lens.counterfactuals import IMAGE, Counterfactuals
from vaelens.lens.incremental.rows import select_units
from vaelens.lens.interchange import ActivationPair, Interchange, SitePatch, changing_rows
from vaelens.lens.isolation import isolated
from vaelens.lens.model_parts import ModelParts
from vaelens.lens.stretches import Stretch


class ConfinedRun:
    """A cached run with only some units of each site free to change.

    Args:
        parts: the model.
        stretches: from each site to the next, in order, the last to the image.
        batch: how many rows run again at once.
    """

    def __init__(self, parts: ModelParts, stretches: Sequence[Stretch], batch: int):
        self._parts, self._stretches, self._batch = parts, stretches, batch

    def interchange(self, patch: SitePatch) -> Iterator[Counterfactuals]:
        """Runs counterfactuals in which groups of units at one site take their values from elsewhere.

        Yields:
            Images of batches of rows, as those of `CachedRun.interchange`, but all rows of a group. Of groups that are
            not yielded they are the cached run's.
        """
        stretches = self._from(patch.site)
        base = stretches[0].activation
        pair = ActivationPair(base, patch.source.to(base), patch.groups)
        groups = max(1, self._batch // len(base))  # at once
        for batch in changing_rows([pair], whole_groups=True).batches(groups * len(base)):
            interchange = Interchange({patch.site: pair}, batch)
            with isolated(self._parts.module):
                values = _image(stretches, stretches[0].begin(interchange))
            yield Counterfactuals(batch, {IMAGE: values})

    def with_change(self, site: str, change: Tensor) -> Tensor:
        """Computes the images that result where the free units of a site change by some amounts.

        Args:
            site: the site's name.
            change: of the whole site, (c, units, *positions); of units that are not free it has no effect.
        """
        stretches = self._from(site)
        first = stretches[0]
        with isolated(self._parts.module):
            chosen = change if first.starts is None else select_units(change, first.starts)
            return _image(stretches, first.after_change(chosen))

    def _from(self, site: str) -> Sequence[Stretch]:
        """Returns the stretches from a site on."""
        return self._stretches[[stretch.site for stretch in self._stretches].index(site) :]


def _image(stretches: Sequence[Stretch], values: Tensor) -> Tensor:
    """Computes the image from what the second site's units have come to."""
    for stretch in stretches[1:]:
        values = stretch.go_on(values)
    return values
