"""Circuits: the units of a model that carry a factor from image to image, and what they are like."""

from vaelens.circuits.circuit import Alternative, Circuit
from vaelens.circuits.discovery import discover_circuit
from vaelens.circuits.estimate import Estimate
from vaelens.circuits.motifs import find_motifs
from vaelens.circuits.selectivity import unit_selectivity

__all__ = ["Alternative", "Circuit", "Estimate", "discover_circuit", "find_motifs", "unit_selectivity"]
