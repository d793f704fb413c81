"""A subspace, the coordinates of an activation along directions, which is read and replaced as a region is."""

from dataclasses import dataclass

from torch import Tensor

from vaelens.lens.basis import Basis


@dataclass(frozen=True, eq=False)
class Subspace:
    """The coordinates along some directions at some positions.

    Attributes:
        basis: the directions.
        positions: a slice with start and stop for each axis of positions; None for all positions.
    """

    basis: Basis
    positions: tuple[slice, ...] | None = None

    @property
    def units(self) -> tuple[int, ...]:
        """The directions by number."""
        return tuple(range(len(self.basis.vectors)))

    def take(self, activation: Tensor) -> Tensor:
        """Returns its coordinates, (n, directions, *its positions), in an activation (n, units, *positions)."""
        return self.basis.coordinates(self.source(activation)).to(activation)

    def source(self, activation: Tensor) -> Tensor:
        """Returns the part of an activation that its coordinates are read from, (n, units, *its positions)."""
        return activation[(slice(None), slice(None), *(self.positions or ()))]

    def change(self, source: Tensor, activation: Tensor) -> Tensor:
        """Computes the change of its coordinates to those in a source (n, units, *its positions).

        It is 0 where both are the same.
        """
        return self.basis.coordinates(source - self.source(activation)).to(activation)

    def move(self, activation: Tensor, change: Tensor) -> None:
        """Adds a change of its coordinates, which broadcasts to (n, directions, *its positions), in place."""
        inside = self.source(activation)
        full = change.expand(len(activation), len(self.units), *inside.shape[2:])
        inside += self.basis.along(full).to(inside)

    def copy(self, source: Tensor, into: Tensor) -> None:
        """Writes its coordinates in one activation over those in another, in place."""
        self.move(into, self.change(self.source(source), into))
