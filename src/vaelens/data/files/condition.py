"""Whether an official file is whole, by its size and then its hash, which costs one reading of the file."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from vaelens.data.annotations import Name, PathLike
from vaelens.data.files.places import candidates, data_root
from vaelens.data.files.progress import byte_bar
from vaelens.data.files.source import Need, SourceFile
from vaelens.data.files.sources import source_of
from vaelens.errors import VaelensError

BLOCK = 2**20


def fault(path: Path, file: SourceFile) -> str | None:
    """Says what is wrong with a file, in half a sentence, or None if nothing is known to be.

    Args:
        path: Where it lies.
        file: Which it should be.
    """
    if file.pictures is not None:
        return None if path.is_dir() else "is no folder"
    if not path.is_file():
        return "is no file"
    size = path.stat().st_size
    if file.size is not None and size < file.size:
        return f"is truncated: it has {size:,} of {file.size:,} bytes"
    if file.size is not None and size > file.size:
        return f"is altered: it has {size:,} bytes, expected {file.size:,}"
    if not file.hash:
        return None
    algorithm, _, expected = file.hash.partition(":")
    actual = file_hash(path, algorithm)
    if actual == expected:
        return None
    how = "altered" if file.size is not None else "altered or truncated"
    return f"is {how}: its {algorithm} hash is {actual}, expected {expected}"


def file_hash(path: Path, algorithm: str) -> str:
    """Hashes a file by "sha256", "md5" or "git" (SHA-1 over a header and the file), in hexadecimal."""
    size = path.stat().st_size
    digest = hashlib.new("sha1" if algorithm == "git" else algorithm, usedforsecurity=False)
    if algorithm == "git":
        digest.update(f"blob {size}\0".encode())
    with path.open("rb") as opened, byte_bar(size) as bar:
        task = bar.add_task(f"checking {path.name}", total=size)
        while block := opened.read(BLOCK):
            digest.update(block)
            bar.advance(task, len(block))
    return digest.hexdigest()


def check(name: Name, root: PathLike | None = None, variant: Name | None = None) -> tuple[list[str], list[str]]:
    """Checks a dataset's files, and says what is right and what is wrong with them.

    Args:
        name: The dataset.
        root: The folder that datasets are kept in; see `load_dataset`.
        variant: The variant, where there are several; by default those that are there.

    Returns:
        For each file that is whole, and for each missing, truncated or altered, what is so in half a sentence.

    Raises:
        VaelensError: If there is no such dataset or variant.
    """
    source, place = source_of(name), data_root(root)
    needs = source.needed(variant)
    if variant is None and source.variants:
        needs = tuple(need for need in needs if _present(need, place, name)) or needs[:1]
    right, wrong, missing = [], [], []
    for need in needs:
        present = _present(need, place, name)
        if not present:
            missing.append(need)
        for path, file in present:
            problem = fault(path, file)
            if problem:
                wrong.append(f"{str(path)!r} {problem}")
            else:
                right.append(f"{path} {_praise(path, file)}")
    if len(missing) == 1:  # any form of it will do; of many, the names of all forms would hide what is missing
        wrong.append(f"{' or '.join(form.name for form in missing[0].forms)} is missing")
    elif missing:
        wrong.append(f"{listed([need.forms[0].name for need in missing])} are missing")
    return right, wrong


def listed(names: Sequence[str]) -> str:
    """Lists names as a sentence does.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), names[-1]])


def is_there(name: str, root: Path, variant: Name | None = None) -> bool:
    """Says whether all that a dataset, or a variant of it, needs is there, whole or not."""
    return all(_present(need, root, name) for need in source_of(name).needed(variant))


def whole(name: str, need: Need, root: Path) -> Path | None:
    """Finds where a thing needed lies already, whole, or returns None if it does not.

    Raises:
        VaelensError: If a file is there and is not the official one.
    """
    for path, file in _present(need, root, name):
        problem = fault(path, file)
        if problem:
            raise VaelensError(f"{str(path)!r} {problem}; move it away, then run this again")
        return path
    return None


def _present(need: Need, root: Path, name: str) -> list[tuple[Path, SourceFile]]:
    return [(path, file) for file in need.forms for path in candidates(root, name, file.name) if path.exists()]


def _praise(path: Path, file: SourceFile) -> str:
    if file.pictures is not None:
        count = sum(1 for picture in path.iterdir() if picture.suffix == ".jpg")
        return f"has {count:,} of {file.pictures:,} pictures; no hash of a folder is known"
    if not file.hash:
        return "is there; no size or hash of it is known"
    return f"is the official file ({file.hash.partition(':')[0]})"
