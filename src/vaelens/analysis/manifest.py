"""The manifest of a kept analysis, which holds what was asked for, which files it has, and their checksums."""

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vaelens.analysis.scores import NUMBERS
from vaelens.errors import VaelensError
from vaelens.writing import write_whole

FORMAT = 3
_IMAGES = "images_sha256"
_FILE = re.compile(r"effects/\w+-[0-9a-f]{12}\.nc")  # no name that leaves the folder


@dataclass(frozen=True)
class KeptPart:
    """A part of an analysis in its file."""

    file: str
    """Its place in the folder, named for what it holds, so that two of the same name are the same."""
    sha256: str
    """Of all its bytes."""
    note: Mapping[str, Any] = field(default_factory=dict)
    """On how much it was measured."""


@dataclass(frozen=True)
class Manifest:
    """What a folder keeps of an analysis."""

    configuration: Mapping[str, Any]
    """All that its numbers depend on."""
    parts: Mapping[str, KeptPart]
    """The parts that are done."""
    spent: float = 0.0
    """Seconds that the parts have taken; of one that is not finished."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """The record's; empty until it is finished."""
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The record's, by key; empty until it is finished."""


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes a manifest with its own checksum, in one move."""
    content = plain({"format": FORMAT, "configuration_sha256": digest(manifest.configuration), **asdict(manifest)})
    content["sha256"] = digest(content)
    write_whole(path, f"{json.dumps(content, indent=2, allow_nan=False)}\n".encode())


def read_manifest(path: Path) -> Manifest | None:
    """Reads a manifest, or None where there is none.

    Raises:
        VaelensError: it is damaged, or of another version.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if isinstance(content, dict) and content.get("format", FORMAT) != FORMAT:
        raise VaelensError(
            f"{str(path)!r} is of format {content['format']!r}, and this vaelens reads {FORMAT}; analyse the model "
            "again, with overwrite, or use the version that wrote it"
        )
    try:
        checksum = content.pop("sha256")
        parts = {name: KeptPart(**part) for name, part in content["parts"].items()}
        whole = checksum == digest(content) and all(_FILE.fullmatch(part.file) for part in parts.values())
        fields = {name: content[name] for name in ("configuration", "spent", "provenance", "scores")}
        scores = {key: _numbers(score) for key, score in fields.pop("scores").items()}
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path) from error
    if not whole:
        raise _damaged(path)
    return Manifest(parts=parts, scores=scores, **fields)


def digest(record: Any) -> str:
    """Computes the SHA-256 of a record of plain values, in whatever order it was filled."""
    return hashlib.sha256(json.dumps(plain(record), sort_keys=True).encode()).hexdigest()


def differences(kept: Mapping[str, Any], asked: Mapping[str, Any]) -> list[str]:
    """Lists what in a kept configuration is not as asked for.

    Example:
        >>> differences({"seed": 0, "model": {"model": "vae", "weights_sha256": "a"}}, {
        ...     "seed": 1, "model": {"model": "vae", "weights_sha256": "b"}})
        ['seed 0, not 1', 'another model (weights_sha256)']
    """
    kept, asked = plain(kept), plain(asked)
    told = []
    for name in dict.fromkeys((*kept, *asked)):
        before, now = kept.get(name), asked.get(name)
        if before == now or name == _IMAGES:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            inner = [key for key in dict.fromkeys((*before, *now)) if before.get(key) != now.get(key)]
            told.append(
                f"another {name.removesuffix('s')} ({', '.join(inner[:3])})"
                if name != "versions"
                else f"other versions ({', '.join(f'{key} {before.get(key)}, not {now.get(key)}' for key in inner)})"
            )
        else:
            told.append(f"{name} {_said(before)}, not {_said(now)}")
    # That the images are others follows from most of the above.
    return told or (["other images"] if kept.get(_IMAGES) != asked.get(_IMAGES) else [])


def _said(value: Any) -> str:
    return "none" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _damaged(path: Path) -> VaelensError:
    return VaelensError(
        f"{str(path)!r} is damaged; put back a copy, or analyse the model again with overwrite, which replaces it"
    )


def plain(value: Any) -> Any:
    """Turns a value into what JSON returns of it, and NaN, which JSON lacks, into None."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def _numbers(score: Mapping[str, Any]) -> dict[str, Any]:
    """Turns the numbers of a score back into what they were before JSON."""
    return {
        name: (math.nan if value is None else float(value)) if name in NUMBERS else value
        for name, value in score.items()
    }
