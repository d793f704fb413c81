"""Counterfactual worlds: a chunk of images run under a treatment, and run again with units held at other values.

What levels 3 and 4 are made of. A world is one lens run on at most `lens.rows` images; the runs again fold several
regions into one chunk, and a region whose values would not change is skipped, exactly.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from vaelens.errors import VaelensError, unknown
from vaelens.lens import Intervention, Lens
from vaelens.lens.execution import Edit
from vaelens.lens.regions import Region, Regions
from vaelens.lens.sites import LATENT

Treatment = Sequence[Intervention]
Group = Region | Regions
OUTCOMES = ("code", "image")


@dataclass(frozen=True, eq=False)
class World:
    """A chunk of images as a treatment leaves it.

    Attributes:
        images: what went in, (c, C, H, W), in the model's type and on its device.
        code: (c, d, *positions).
        image: what came out, (c, C, H, W).
        activations: by site.
        treated: the regions that the treatment set, by site.
    """

    images: Tensor
    code: Tensor
    image: Tensor
    activations: Mapping[str, Tensor]
    treated: Mapping[str, list[Region]]

    def outcome(self, kind: str) -> Tensor:
        """The code or the image."""
        return self.code if kind == "code" else self.image


def world(lens: Lens, images: Tensor, sites: Collection[str], treatment: Treatment = ()) -> World:
    """Run a chunk and keep the activations of some sites, and of those that the treatment sets."""
    treated: dict[str, list[Region]] = {}
    for one in treatment:
        treated.setdefault(one.site, []).append(one.region(lens.sites[one.site]))
    run = lens.run(images, treatment, capture={*sites, *treated})
    return World(images.to(run.code), run.code, run.reconstruction, run.activations, treated)


def counterfactuals(
    lens: Lens, seen: World, site: str, groups: Sequence[Group], source: Tensor, outcome: str
) -> Iterator[tuple[list[int], Tensor]]:
    """The outcome of a world in which one region of a site takes its values from elsewhere.

    Args:
        lens: the lens.
        seen: the world to change; it captured `site`.
        site: where the regions are.
        groups: regions, each changed by itself; several that are changed together are `Regions`.
        source: the site's activation to take them from, (c, units, *positions).
        outcome: "code" or "image".

    Yields:
        Positions in `groups`, and the outcomes (positions, c, …). Groups whose values are the same bits in both are
        never yielded: their outcome is the world's own.
    """
    present = seen.activations[site]
    changing = [k for k, group in enumerate(groups) if not group.same(present, source)]
    fold = max(1, lens.rows // len(present))
    for start in range(0, len(changing), fold):
        picked = changing[start : start + fold]
        edit = _exchange([groups[k] for k in picked], source)
        result = _again(lens, seen, site, edit, len(picked), outcome)
        yield picked, result.reshape(len(picked), len(present), *result.shape[1:])


def checked_outcome(outcome: str, lens: Lens, sites: Collection[str]) -> str:
    """Refuse an unknown outcome, and the code as the outcome of what comes after it.

    Raises:
        VaelensError: see above.
    """
    if outcome not in OUTCOMES:
        raise unknown("outcome", outcome, OUTCOMES)
    late = [name for name in sites if lens.sites[name].part != "encoder"]
    if outcome == "code" and late:
        raise VaelensError(f"{late[0]} comes after the code and can't change it; use outcome='image'")
    return outcome


def _again(lens: Lens, seen: World, site: str, edit: Edit, copies: int, outcome: str) -> Tensor:
    """The part of the model from the site's part on, on `copies` copies of a world, with one more edit."""
    part = lens.sites[site].part
    edits = {name: _held(regions, seen.activations[name]) for name, regions in seen.treated.items()}
    edits[site] = edit
    inside = {
        side: {name: e for name, e in edits.items() if lens.sites[name].part == side} for side in ("encoder", "decoder")
    }
    if part == "encoder":
        code = lens.encode_rows(_copied(seen.images, copies), inside["encoder"]).mean
        if outcome == "code":
            return code
    else:
        code = _copied(seen.code, copies)
        if part == LATENT:
            code = edit(code)
    return lens.decode_rows(code, inside["decoder"]).images


def _exchange(groups: list[Group], source: Tensor) -> Edit:
    def edit(activation: Tensor) -> Tensor:
        edited = activation.clone()
        folded = edited.view(len(groups), len(source), *edited.shape[1:])  # (groups, c, units, *positions)
        for copy, group in zip(folded, groups, strict=True):
            group.copy(source, copy)
        return edited

    return edit


def _held(regions: list[Region], values: Tensor) -> Edit:
    def edit(activation: Tensor) -> Tensor:
        edited = activation.clone()
        for region in regions:
            region.put(edited, _copied(region.take(values), len(activation) // len(values)))
        return edited

    return edit


def _copied(rows: Tensor, copies: int) -> Tensor:
    return rows.repeat(copies, *[1] * (rows.ndim - 1))
