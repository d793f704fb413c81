"""The record of where a dataset's official files come from.

A dataset needs some things, and a thing may come in several forms (packed or unpacked, say), of which one is enough.
"""

from dataclasses import dataclass

from vaelens.data.annotations import Name
from vaelens.errors import unknown


@dataclass(frozen=True)
class SourceFile:
    """One official file, or a folder of pictures.

    Attributes:
        name: Its name, relative to the dataset's folder.
        addresses: Where it can be downloaded, in the order in which to try.
        size: Its bytes, where known.
        hash: "sha256:…", "md5:…" or "git:…" (git's hash of a blob); empty where none is known.
        pictures: For a folder, how many pictures the whole of it has; a part will do.
        most: Bytes that it can't exceed, where `size` is not known: those of its images unpacked.
    """

    name: str
    addresses: tuple[str, ...] = ()
    size: int | None = None
    hash: str = ""
    pictures: int | None = None
    most: int | None = None


@dataclass(frozen=True)
class Need:
    """One thing that a dataset is read from.

    Attributes:
        forms: The files that will do; the first is the one to download.
        variant: The dataset's variant that it belongs to; empty where there are none.
    """

    forms: tuple[SourceFile, ...]
    variant: str = ""


@dataclass(frozen=True)
class Source:
    """Where a dataset comes from.

    Attributes:
        needs: What it is read from.
        licence: The terms of use, in a few words.
        citation: What to cite.
        page: The dataset's own page.
        agreement: Whether the terms must be agreed to there, so that only a person can get the files.
    """

    needs: tuple[Need, ...]
    licence: str
    citation: str
    page: str
    agreement: bool = False

    @property
    def size(self) -> str:
        """Says how much there is to download, as far as that is known, in a few words."""
        files = [need.forms[0] for need in self.needs]
        total = sum(file.size or 0 for file in files)
        if total:
            return f"{total / 1e6:,.0f} MB"
        most = max(file.most or 0 for file in files)
        if most:
            return f"at most {most / 1e9:.1f} GB{' each' if self.variants else ''}"
        form = next((form for need in self.needs for form in need.forms if form.size), None)
        return f"{form.size / 1e6:,.0f} MB as {form.name.rpartition('.')[2]}" if form and form.size else "size unknown"

    @property
    def variants(self) -> tuple[str, ...]:
        """Lists the variants it comes in, none if there is only one."""
        return tuple(need.variant for need in self.needs if need.variant)

    def needed(self, variant: Name | None = None) -> tuple[Need, ...]:
        """Lists what a variant is read from, or all variants where none is named.

        Raises:
            VaelensError: If there is no such variant.
        """
        if variant is None:
            return self.needs
        if variant not in self.variants:
            raise unknown("variant", variant, self.variants)
        return tuple(need for need in self.needs if need.variant == variant)
