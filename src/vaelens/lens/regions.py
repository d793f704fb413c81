"""stub until merge"""
from dataclasses import dataclass
@dataclass(frozen=True)
class Region:
    units: tuple
    positions: tuple | None = None
    def take(self, a):
        u = slice(self.units[0], self.units[0]+1) if len(self.units)==1 else list(self.units)
        a = a[:, u]
        return a if self.positions is None else a[(slice(None), slice(None), *self.positions)]
    def put(self, a, v):
        idx = list(self.units)
        if self.positions is None: a[:, idx] = v
        else: a[(slice(None), idx, *self.positions)] = v
