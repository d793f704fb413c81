"""Effects, scores, types of units and circuits that follow from a wiring, computed in NumPy on whole populations.

Nothing here runs a model or calls a measurement of ours. A dense model takes milliseconds.
"""

import numpy as np
import pandas as pd

from vaelens.lens import IMAGE, LATENT
from vaelens.planted.dataset import PlantedDataset
from vaelens.planted.kinds import KINDS
from vaelens.planted.model import Plan
from vaelens.planted.network import LOG_VARIANCE, PIXELS
from vaelens.planted.truth import Node, Truth, Units
from vaelens.planted.wiring import CONTRAST, Values, Wiring

RANGE = np.linspace(-3.0, 3.0, 7)  # the values of an intervention on a latent
_STILL = 1e-9  # what is only the rounding of a change


def truth_of(plan: Plan, kind: str, ds: PlantedDataset) -> Truth:
    """Works out what is true of a planted model."""
    wiring, names = plan.wiring, ds.factors.names
    circuits, alternatives = _circuits(plan, kind, len(names))
    moved = _moved(wiring, ds)
    ces, specificity, responses = _interventions(wiring, ds.shown)
    return Truth(
        circuits={name: _units(wiring, circuits[k]) for k, name in enumerate(names)},
        alternatives={name: tuple(_units(wiring, units) for units in alternatives[k]) for k, name in enumerate(names)},
        edges={name: _edges(wiring, name, circuits[k]) for k, name in enumerate(names)},
        unit_types={site: tuple(_type(column) for column in moved[site].T) for site in wiring.sites},
        roles={wiring.node(name): role for name, role in KINDS[kind].roles(plan.draft).items()},
        ces=ces,
        specificity=specificity,
        modularity=_modularity(wiring, ds.shown, responses, _active(plan, ds.shown)),
        mediation={name: _mediation(wiring, ds, k) for k, name in enumerate(names)},
    )


def _circuits(plan: Plan, kind: str, factors: int) -> tuple[list[set[str]], list[list[set[str]]]]:
    """Returns the circuit of every factor, and its alternatives, as names of units."""
    swaps = KINDS[kind].alternatives(plan.draft)
    circuits, alternatives = [], []
    for factor in range(factors):
        names = {name for stage in plan.wiring.stages for name in stage.names}
        circuit = {name for name in names if factor in plan.draft.factors_of(name)}
        instead, by = swaps.get(factor, (set(), set()))
        circuits.append(circuit - by)
        alternatives.append([(circuit - instead) | by] if by else [])
    return circuits, alternatives


def _units(wiring: Wiring, circuit: set[str]) -> Units:
    return {
        stage.site: tuple(k for k, name in enumerate(stage.names) if name in circuit)
        for stage in wiring.stages
        if stage.site != IMAGE
    }


def _edges(wiring: Wiring, factor: str, circuit: set[str]) -> frozenset[tuple[Node, Node]]:
    """Returns the wires of nonzero weight between a circuit's units at neighbouring sites, and to and from its ends."""
    edges: set[tuple[Node, Node]] = set()
    before: list[tuple[Node, int]] = []  # units of the circuit at the site before, with their columns
    for k, stage in enumerate(wiring.stages):
        if stage.site == IMAGE:
            edges |= {(sender, IMAGE) for sender, column in before if stage.weight[:, column].any()}
            break
        inside = [row for row, name in enumerate(stage.names) if name in circuit]
        for row in inside:
            receiver = (stage.site, row)
            edges |= (
                {(factor, receiver)}
                if k == 0
                else {(sender, receiver) for sender, column in before if abs(stage.weight[row, column]) > _STILL}
            )
        before = [((stage.site, row), row) for row in inside]
    return frozenset(edges)


def _moved(wiring: Wiring, ds: PlantedDataset) -> dict[str, np.ndarray]:
    """Tells whether a change of each factor ever moves each unit, (factors, units) by site."""
    values = wiring.run(ds.shown)
    moved: dict[str, list[np.ndarray]] = {site: [] for site in wiring.sites}
    for factor in range(len(ds.factors)):
        first, second = ds.pair_indices(factor)
        for site in wiring.sites:
            change = np.abs(values[site][second] - values[site][first])
            moved[site].append(np.asarray((change > _STILL).any(axis=0)))
    return {site: np.stack(rows) for site, rows in moved.items()}


def _type(moved: np.ndarray) -> str:
    return ("dead", "monosemantic", "polysemantic")[min(int(moved.sum()), 2)]


def _interventions(wiring: Wiring, shown: Values) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Computes CES and specificity of every latent, and the mean change that it makes in every unit of the decoder."""
    base, latents = wiring.run(shown), wiring.latents
    ces, specificity = np.zeros(latents), np.full(latents, np.nan)
    responses = {stage.site: np.zeros((latents, len(stage.bias))) for stage in wiring.of("decoder")}
    for latent in range(latents):
        picture = np.zeros(base[IMAGE].shape[1])  # the mean change of each lattice's pixels
        for value in RANGE:
            held = np.full_like(base[LATENT], np.nan)
            held[:, latent] = value
            changed = wiring.run(shown, {LATENT: held})
            change = np.abs(changed[IMAGE] - base[IMAGE]) / CONTRAST
            ces[latent] += np.sqrt(PIXELS * (change**2).sum(axis=1)).mean() / len(RANGE)
            picture += change.mean(axis=0) / len(RANGE)
            for site, response in responses.items():
                response[latent] += np.abs(changed[site] - base[site]).mean(axis=0) / len(RANGE)
        if picture.any():
            share = picture[picture > 0] / picture.sum()
            specificity[latent] = 1 / (np.log(PIXELS) - (share * np.log(share)).sum() + 1e-8)
    return ces, specificity, responses


def _active(plan: Plan, shown: Values) -> np.ndarray:
    """Tells of which latents the mean of KL(q(z_i|x) || N(0, 1)) is above 0.01 nat, (d,)."""
    names = plan.wiring.stage(LATENT).names
    log_variance = np.array([0.0 if name in plan.draft.dead_latents else LOG_VARIANCE for name in names])
    code = plan.wiring.run(shown)[LATENT]
    return (0.5 * (code**2 + np.exp(log_variance) - 1 - log_variance)).mean(axis=0) > 0.01


def _modularity(wiring: Wiring, shown: Values, responses: dict[str, np.ndarray], active: np.ndarray) -> float:
    """Computes 1 − the mean cosine of two latents' responses in units' standard deviations, averaged over sites."""
    base = wiring.run(shown)
    scores = []
    for site, response in responses.items():
        spread = base[site].std(axis=0)
        alive = spread > _STILL
        vectors = response[active][:, alive] / spread[alive]
        lengths = np.linalg.norm(vectors, axis=1)
        directions = vectors[lengths > 0] / lengths[lengths > 0][:, None]
        if len(directions) > 1:
            scores.append(1 - (directions @ directions.T)[np.triu_indices(len(directions), 1)].mean())
    return float(np.mean(scores)) if scores else float("nan")


def _mediation(wiring: Wiring, ds: PlantedDataset, factor: int) -> pd.DataFrame:
    """Computes what a change of a factor does through each unit alone and past it, by projection on the whole."""
    first, second = ds.pair_indices(factor)
    untreated, treated = ds.shown[first], ds.shown[second]
    before, after = wiring.run(untreated), wiring.run(treated)
    total = after[IMAGE] - before[IMAGE]

    def fraction(effect: Values) -> float:
        return float((effect * total).sum() / (total * total).sum())

    rows = []
    for site in wiring.sites:
        for unit in range(before[site].shape[1]):
            held = np.full_like(before[site], np.nan)
            held[:, unit] = after[site][:, unit]
            indirect = fraction(wiring.run(untreated, {site: held})[IMAGE] - before[IMAGE])
            held[:, unit] = before[site][:, unit]
            direct = fraction(wiring.run(treated, {site: held})[IMAGE] - before[IMAGE])
            rows.append((site, unit, direct, indirect, 1 - direct - indirect))
    return pd.DataFrame(rows, columns=["site", "index", "direct", "indirect", "interaction"])
