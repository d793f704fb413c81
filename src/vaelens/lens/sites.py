"""Sites, the named places of a VAE where an activation can be read or replaced.

A site is one stage of the encoder or the decoder (a layer with its nonlinearity), or the latent. Nothing here runs a
model or attaches a hook.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor

from vaelens.errors import VaelensError, unknown
from vaelens.markup import table

LATENT = "latent"
_COLUMNS = ("site", "part", "units", "shape", "module")
PATTERN = frozenset("*?[")  # of a name that selects by pattern


@dataclass(frozen=True)
class Site:
    """A place where an activation can be read or replaced.

    Attributes:
        name: `encoder.<k>`, `latent` or `decoder.<k>`, k in the order in which data passes; or as a user named it.
        part: "encoder", "latent" or "decoder".
        units: how many units the site has: channels, neurons or latent dimensions.
        shape: the activation's shape for one image, the unit axis first.
        module: the path within the model of the module whose output it is; empty for the latent.
        call: which call of the module, counted from 0 through encode and then decode; None where there is only one.
        note: what is said of it besides in the table.
    """

    name: str
    part: str
    units: int
    shape: tuple[int, ...]
    module: str = field(default="", compare=False)
    call: int | None = field(default=None, compare=False)
    note: str = field(default="", compare=False)


@dataclass(frozen=True)
class ModulePaths:
    """The paths of a model's modules, which stand for sites too.

    Attributes:
        names: by path the name of the site whose stage the module belongs to.
        reasons: by path why a module belongs to no site, or to several, as a sentence.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)


class Sites(Mapping[str, Site]):
    """An ordered mapping from site names to sites, in the order in which data reaches them.

    A module's path stands for the site whose stage the module belongs to, unless a site has that name: `sites["fc3"]`.
    A container's stands for the site of its last stage. Only the sites' names are listed.
    """

    def __init__(self, sites: Sequence[Site], paths: ModulePaths = ModulePaths()):
        self._sites = {site.name: site for site in sites}
        self._paths = paths

    def __getitem__(self, name: str) -> Site:
        if (site := self.get(name)) is not None:
            return site
        if isinstance(name, str) and name in self._paths.reasons:
            raise VaelensError(self._paths.reasons[name])
        raise unknown("site", name, self._sites, unlisted=self._paths.names)

    def get(self, name: object, default: Any = None) -> Any:
        """Returns the site of that name, or of the module at that path, or the default."""
        if not isinstance(name, str):
            return default
        return self._sites.get(self._paths.names.get(name, name) if name not in self._sites else name, default)

    def __contains__(self, name: object) -> bool:
        return self.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._sites)

    def __len__(self) -> int:
        return len(self._sites)

    def of(self, *parts: str) -> tuple[str, ...]:
        """Returns the names of the sites of some parts, in order."""
        return tuple(name for name, site in self._sites.items() if site.part in parts)

    @property
    def output(self) -> str | None:
        """The decoder's last stage, whose activation is the image, so that nothing is left downstream of it.

        None where the decoder has no site.
        """
        return next(reversed(self.of("decoder")), None)

    def check_units(self, activations: Mapping[str, Tensor]) -> None:
        """Checks that sites have as many units as when they were found, by their activations, (n, units, *positions).

        Raises:
            VaelensError: one has more or fewer, as after a layer of the model was replaced by a wider one.
        """
        for name, activation in activations.items():
            units, found = activation.shape[1], self._sites[name].units
            if units != found:
                raise VaelensError(
                    f"{name} has {units} units now, and had {found} when the sites were found; make a new Lens"
                )

    def with_note(self, name: str, note: str) -> "Sites":
        """Returns these sites with a note on one of them in the table."""
        noted = [replace(site, note=note) if site.name == name else site for site in self.values()]
        return Sites(noted, self._paths)

    def select(self, names: str | Collection[str] | None) -> tuple[str, ...]:
        """Checks names and puts them in the order of the data, where None and "all" mean every site.

        A shell pattern ("decoder.*", "*.1") stands for every site whose name it matches, or, where there is none, for
        the sites of the modules whose paths it matches; capitals matter.

        Raises:
            VaelensError: a name that this model does not have, a pattern that matches none.
        """
        if names is None or (isinstance(names, str) and names == "all"):
            return tuple(self)
        wanted: set[str] = set()
        for name in [names] if isinstance(names, str) else names:
            wanted.update(self._matching(name) if PATTERN.intersection(name) else [self[name].name])
        return tuple(name for name in self if name in wanted)

    def _matching(self, pattern: str) -> list[str]:
        names = [name for name in self if fnmatchcase(name, pattern)]
        names = names or [name for path, name in self._paths.names.items() if fnmatchcase(path, pattern)]
        if not names:
            raise VaelensError(f"no site matches {pattern!r}; sites: {', '.join(self)}")
        return names

    def __repr__(self) -> str:
        rows = [_COLUMNS, *self._rows()]
        widths = [max(len(row[k]) for row in rows) for k in range(len(_COLUMNS))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
        return "\n".join(line.rstrip() for line in lines)

    def _repr_html_(self) -> str:
        return table(_COLUMNS, self._rows())

    def _rows(self) -> list[tuple[str, ...]]:
        return [(s.name, s.part, str(s.units), "×".join(map(str, s.shape)), _place(s)) for s in self.values()]


def site_of(name: str, part: str, activation: Tensor) -> Site:
    """Returns the site whose activation, for a batch, is the given tensor."""
    shape = tuple(activation.shape[1:])
    if not shape:
        raise VaelensError(
            f"{name} gives a tensor of shape {tuple(activation.shape)}, but an activation has at least two axes "
            "(image, unit)"
        )
    return Site(name, part, shape[0], shape)


def _place(site: Site) -> str:
    call = "" if site.call is None else f", call {site.call}"
    return f"{site.module}{call}" + (f"({site.note})" if site.note else "")
