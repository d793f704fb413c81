"""The parts of an analysis: what each measures, on how many images where there is time for all, and what it costs."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import numpy as np
import xarray as xr
from torch import Tensor

from vaelens.analysis.choice import Need, Share
from vaelens.analysis.cost import Clock, Cost, Moved, measure
from vaelens.analysis.disentanglement import ScoreOptions, disentanglement, disentanglement_seconds
from vaelens.analysis.image_pool import codes_at
from vaelens.analysis.label_table import label_table
from vaelens.analysis.latent_sets import LatentSetsOf, with_informative
from vaelens.analysis.pictures import pictures
from vaelens.analysis.reading import reading
from vaelens.analysis.reconstruction import reconstruction
from vaelens.analysis.shares import shares
from vaelens.analysis.subject import Subject
from vaelens.effects import decoder_responses, input_effects, latent_effects, mediation_effects, patching_effects
from vaelens.effects.ces_by_mode import ces_by_mode
from vaelens.effects.record import Array
from vaelens.lens import LATENT, Lens
from vaelens.metrics.unit_spread import with_unit_spread
from vaelens.progress import reporting

PARTS = {  # what each of them measures, in the order of an analysis
    "reconstruction": "how far reconstructions are from the images",
    "latent": "what each latent does to the image",
    "modes": "the same by every mode of intervention",
    "recoded": "which latents a change of one latent changes",
    "labels": "how labels and latents go together",
    "input": "what changes of the image change inside",
    "patching": "what each unit carries from one image to another",
    "mediation": "what passes through each latent",
    "responses": "what each latent does to each unit of the decoder",
    "read": "which factors of the image each latent changes",
    "one_position": "what each latent does at one position",
    "swap": "what swaps of codes do to the image",
    "pictures": "reconstructions, traversals and swaps to look at",
    "importance": "how well codes and factors correspond",
}
LEAST = 8  # images for a part, and for an analysis
_LEAST_CODES = 256
_TIMED_SITES = 5  # on which patching is timed; the cost of others is read off between them
_HUNDREDTHS = 100  # that a treatment's progress is told in


class Late(Exception):
    """Ends a part that can be ended, because the time is over."""


@dataclass(frozen=True)
class Part:
    """A part of an analysis.

    Attributes:
        name: as `PARTS` has it.
        full: how many images it takes where there is time for all.
        run: measures on so many images and so many of its pieces, and tells how far it is.
        counted: what is counted, in the plural.
        pieces: what it can be divided into; sites in the order in which they are taken up, or one piece.
        cost: what each piece costs, from a trial of so many seconds; timed on a run by default.
        run_until: like `run`, piece by piece until what it tells how far it is raises `Late`; where there are pieces.
        fewest: images that it needs at least.
        trial: images that it is first timed on.
    """

    name: str
    full: int
    run: Callable[[Share, Moved], xr.Dataset]
    counted: str = "images"
    pieces: Sequence[str] = ("",)
    cost: Callable[[float, Clock], tuple[Cost, ...]] | None = None
    run_until: Callable[[Share, Moved], xr.Dataset] | None = None
    fewest: int = LEAST
    trial: int = 2

    def need(self, patience: float, clock: Clock) -> Need:
        """Measures what the part costs, in a trial of about so many seconds."""
        if self.cost is not None:
            costs = self.cost(patience, clock)
        else:
            few = min(self.trial, self.full)
            costs = (measure(lambda n, moved: self.run(Share(n, 1), moved), (few, self.full), patience, clock),)
        return Need(self.full, min(self.fewest, self.full), costs)

    @property
    def whole(self) -> Share:
        """All of it."""
        return Share(self.full, len(self.pieces))


def parts_of(subject: Subject, measured: Mapping[str, xr.Dataset]) -> tuple[dict[str, Part], dict[str, str]]:
    """Lists the parts that an analysis of this subject can have, and why it can't have the others.

    Args:
        subject: what is analysed.
        measured: the parts that are done, which later ones look at.

    Returns:
        The parts by name in the order of `PARTS`, and the reason for each that is missing.
    """
    lens, ds, x, seed = subject.lens, subject.ds, subject.x, subject.seed
    latent_sets = LatentSetsOf(lens, x, seed, measured)
    take = shares(len(x), lens.latents, subject.positions)
    parts = [
        Part("reconstruction", len(x), lambda share, moved: reconstruction(lens, x[: share.images], seed, moved)),
        Part(
            "latent",
            take.latent,
            lambda share, moved: with_informative(latent_effects(lens, x[: share.images], seed=seed, progress=moved)),
        ),
        Part(
            "modes",
            take.modes,
            lambda share, moved: ces_by_mode(
                lens, x[: share.images], seed, progress=moved, active=latent_sets().active
            ),
        ),
        Part(
            "recoded",
            take.recoded,
            lambda share, moved: _recoded(lens, x[: share.images], seed, moved, latent_sets().active),
        ),
        Part(
            "input",
            take.changed,
            lambda share, moved: input_effects(lens, ds, n=share.images, seed=seed, progress=moved),
            "pairs for each factor" if len(ds.factors) else "images",
        ),
        _patching(subject, min(take.patched, len(x) // 2)),
        Part(
            "mediation",
            take.mediated if len(ds.factors) else min(take.mediated, len(x) // 2),
            partial(_mediation, subject),
            "pairs for each factor" if len(ds.factors) else "pairs",
        ),
        Part(
            "responses",
            take.responses,
            lambda share, moved: _responses(lens, x[: share.images], seed, moved, latent_sets().active),
        ),
    ]
    missing = {}
    if subject.reader is None:
        missing["read"] = "no reader was given"
    else:
        parts.append(Part("read", take.read, partial(_read, subject, latent_sets)))
    if not lens.quantised:
        missing |= dict.fromkeys(("one_position", "swap"), "the latent has no codebook")
    else:
        if subject.positions == 1:
            missing["one_position"] = "the latent has one position"
        else:
            parts.append(
                Part(
                    "one_position",
                    take.modes,
                    lambda share, moved: ces_by_mode(
                        lens, x[: share.images], seed, "one", progress=moved, active=latent_sets().active
                    ),
                )
            )
        # One code alone, as of a dead codebook, can't be swapped for another in use.
        codes = lens.code_indices(x[: take.swapped]).reshape(take.swapped, -1)
        varied = (codes != codes[0, 0]).any(dim=1).nonzero().flatten().tolist()  # images with a second code
        if not varied:
            missing["swap"] = "the images take one code alone"
        else:
            parts.append(
                Part(
                    "swap",
                    take.swapped,
                    lambda share, moved: latent_effects(
                        lens, x[: share.images], mode="swap", seed=seed, progress=moved
                    ),
                    fewest=max(LEAST, varied[0] + 1),
                    trial=max(2, varied[0] + 1),
                )
            )
    parts.append(Part("pictures", 1, lambda _, __: pictures(lens, x, measured.get("swap"), seed), counted=""))
    if not len(ds.factors):
        missing |= dict.fromkeys(("labels", "importance"), "the dataset has no factors")
    else:
        parts.append(_labels(subject, take.associated))
        labelled = subject.pool.count("all")
        if labelled < LEAST:
            missing["importance"] = f"{labelled} images have all their labels, and it needs {LEAST}"
        else:
            parts.append(_importance(subject, min(take.scored, labelled), take.predicted, latent_sets))
    by_name = {part.name: part for part in parts}
    assert by_name.keys() | missing.keys() == PARTS.keys(), "a part is there or there is a reason why not"
    return {name: by_name[name] for name in PARTS if name in by_name}, missing


def _recoded(lens: Lens, x: Tensor, seed: int, moved: Moved, active: Array) -> xr.Dataset:
    """Measures specificity over the re-encoded latents."""
    scores = [
        f"{name}{of}" for name in ("specificity", "specificity_normalised") for of in ("", "_mean", "_active_mean")
    ]
    names = [f"{score}{end}" for score in scores for end in ("", "_low", "_high")]
    return latent_effects(lens, x, over="latents", seed=seed, progress=moved, active=active)[names]


def _responses(lens: Lens, x: Tensor, seed: int, moved: Moved, active: Array) -> xr.Dataset:
    """Measures responses and spread of the decoder's units, with the analysis's active latents."""
    responses = with_unit_spread(lens, x, decoder_responses(lens, x, seed=seed, progress=moved))
    return responses.assign(active=responses["active"].copy(data=active))


def _read(subject: Subject, latent_sets: LatentSetsOf, share: Share, moved: Moved) -> xr.Dataset:
    labels, names, active = subject.labels.numpy(), subject.ds.factors.names, latent_sets().active
    return reading(subject.lens, subject.x, labels, names, subject.reader, share.images, subject.seed, moved, active)


def _two_halves(x: Tensor, pairs: int) -> tuple[Tensor, Tensor]:
    """Takes so many images and as many others."""
    return x[:pairs], x[pairs : 2 * pairs]


def _patching(subject: Subject, full: int) -> Part:
    """Patches every unit, the latent first, then of sites spread over encoder and decoder."""
    lens, x, seed = subject.lens, subject.x, subject.seed
    in_order = [name for name in lens.sites if name != lens.sites.output]
    sites = spread(in_order)

    def patched(pairs: int, names: Sequence[str], moved: Moved) -> xr.Dataset:
        return patching_effects(lens, *_two_halves(x, pairs), names, seed=seed, progress=moved)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        taken = set(sites[: share.pieces])
        return patched(share.images, [name for name in in_order if name in taken], moved)

    def run_until(share: Share, moved: Moved) -> xr.Dataset:
        parts: dict[str, xr.Dataset] = {}
        with suppress(Late):
            for k, name in enumerate(sites[: share.pieces]):
                # The first is measured in any case: without it there is nothing.
                within = _between(moved, k / share.pieces, (k + 1) / share.pieces) if parts else lambda *_: None
                parts[name] = patched(share.images, [name], within)
        in_place = [parts[name] for name in in_order if name in parts]
        joined = xr.concat(in_place, "unit", combine_attrs="override")
        return joined.assign_attrs(outcomes=[outcome for part in in_place for outcome in part.attrs["outcomes"]])

    def seconds_a_unit(names: Sequence[str], patience: float, clock: Clock) -> tuple[float, bool]:
        """Seconds for a unit of a pair, and whether that was judged by a run that was ended early."""
        cost = measure(lambda pairs, moved: patched(pairs, names, moved), (min(2, full), full), patience, clock)
        return cost.seconds(full) / full / sum(lens.sites[name].units for name in names), cost.is_cut

    def cost(patience: float, clock: Clock) -> tuple[Cost, ...]:
        mean, is_cut = seconds_a_unit(in_order, patience / 2, clock)
        each = np.full(len(in_order), mean)
        if is_cut:  # the sites that it came to need not be like the others
            places = np.unique(np.linspace(0, len(in_order) - 1, _TIMED_SITES).round().astype(int))
            timed = [seconds_a_unit([in_order[k]], patience / 2 / len(places), clock)[0] for k in places]
            each = np.interp(np.arange(len(in_order)), places, timed)
        seconds = {name: each[k] * lens.sites[name].units for k, name in enumerate(in_order)}
        return tuple(Cost(0.0, float(seconds[name])) for name in sites)

    return Part("patching", full, run, "pairs", sites, cost, run_until)


def _between(moved: Moved, begin: float, end: float) -> Moved:
    """Tells the progress of a piece as that of the whole, of which it is what lies between two fractions."""
    return lambda done, total: moved(begin + (end - begin) * done / total, 1.0)


def spread(names: Sequence[str]) -> list[str]:
    """Orders names so that every beginning of the order is spread over all, the latent first."""
    order, gap = [names.index(LATENT), 0, len(names) - 1], len(names) - 1
    while gap > 1:
        gap = -(-gap // 2)
        order += range(0, len(names), gap)
    return [names[place] for place in dict.fromkeys(order)]


def _mediation(subject: Subject, share: Share, moved: Moved) -> xr.Dataset:
    """Measures the fraction of each treatment's effect on the image that passes through each latent."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed
    treatments: dict[str, tuple[Tensor, Tensor]] = {"another image": _two_halves(subject.x, share.images)}
    if len(ds.factors):
        pairs = {name: ds.pairs(name, share.images, seed=seed) for name in ds.factors.names}
        treatments = {name: (pair.x, pair.x2) for name, pair in pairs.items()}
    rows: list[xr.Dataset] = []
    with reporting(moved, _HUNDREDTHS * len(treatments), "mediation") as report:
        for name, (base, treated) in treatments.items():
            progress = report.part(_HUNDREDTHS, name)
            effects = mediation_effects(lens, base, treated, LATENT, seed=seed, progress=progress)
            rows.append(effects.drop_vars(["site", "index"]).rename(unit="latent"))
    names = xr.Variable("treatment", np.array(list(treatments)))
    return xr.concat(rows, names, combine_attrs="drop_conflicts", join="exact")


def _labels(subject: Subject, most: int) -> Part:
    """Compares labels with latents, on images that have at least one label."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed

    def run(share: Share, moved: Moved) -> xr.Dataset:
        indices = subject.pool.draw(share.images, seed + 2, "any")
        return label_table(codes_at(lens, ds, indices), ds, indices, seed, moved)

    full = min(most, subject.pool.count("any"))
    return Part("labels", full, run, fewest=_LEAST_CODES, trial=_LEAST_CODES // 4)


def _importance(subject: Subject, full: int, predicted: int, latent_sets: LatentSetsOf) -> Part:
    """Scores the codes against the factors, by predictors the first `predicted` of them."""
    lens, ds, seed = subject.lens, subject.ds, subject.seed
    what = "codes chosen" if lens.quantised else "means of the posterior"
    origin = f"{'means over positions of the ' if len(lens.sites[LATENT].shape) > 1 else ''}{what}"

    def codes(n: int) -> tuple[np.ndarray, np.ndarray]:
        indices = subject.pool.draw(n, seed + 1, "all")
        return codes_at(lens, ds, indices), ds.factor_values(indices).astype(np.int64)

    def options() -> ScoreOptions:
        return ScoreOptions(predicted, latent_sets().informative, seed, subject.dci_estimator)

    def run(share: Share, moved: Moved) -> xr.Dataset:
        return disentanglement(*codes(share.images), ds.factors.names, options(), origin, moved)

    def cost(patience: float, clock: Clock) -> tuple[Cost, ...]:
        few = min(full, _LEAST_CODES)
        begin = clock()
        sample = codes(few)
        encoded = (clock() - begin) / few
        return (Cost(0.0, encoded + disentanglement_seconds(*sample, full, options()) / full),)

    return Part("importance", full, run, "codes", cost=cost, fewest=_LEAST_CODES)
