"""Circuits, which are the units of a model that carry a factor from image to image, and what they are like."""

from vaelens.circuits.circuit import Alternative, Circuit
from vaelens.circuits.discovery import discover_circuit
from vaelens.circuits.estimate import Estimate
from vaelens.circuits.motifs import find_motifs
from vaelens.circuits.selectivity import unit_selectivity
from vaelens.circuits.semantic import SemanticGraph, semantic_graph
from vaelens.circuits.stability import Stability, circuit_stability, circuit_transfer

__all__ = [
    "Alternative",
    "Circuit",
    "Estimate",
    "SemanticGraph",
    "Stability",
    "circuit_stability",
    "circuit_transfer",
    "discover_circuit",
    "find_motifs",
    "semantic_graph",
    "unit_selectivity",
]
