"""The file of a study, in YAML, whose mistakes are told by line and field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vaelens.errors import VaelensError
from vaelens.study.plan import Plan

_LONGEST = 2**20  # bytes; a study's file takes a few thousand

_Lines = dict[tuple[str | int, ...], int]


class _Loader(yaml.SafeLoader):
    """Reads plain values alone, and refuses a field that stands twice and a value that stands for another."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses aliases, by which a small file can unfold without an end."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias (*) has no place in a study", problem_mark=mark)
        return super().compose_node(parent, index)


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)  # pyright: ignore[reportArgumentType]: any node
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"the field {key!r} stands twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read_plan(path: Path) -> Plan:
    """Reads a study's plan from its file.

    Raises:
        VaelensError: there is no such file, it is no YAML, or a field is unknown, missing or out of range; with the
            line.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
        text = content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VaelensError(f"the study {str(path)!r} can't be read ({error}); give a YAML file in UTF-8") from error
    if len(content) > _LONGEST:
        raise VaelensError(f"the study {str(path)!r} is longer than {_LONGEST:,} bytes; give a study's YAML file")
    return parse_plan(text, str(path))


def parse_plan(text: str, source: str = "the study") -> Plan:
    """Reads a study's plan from text.

    Args:
        text: YAML.
        source: what the errors call it.

    Raises:
        VaelensError: as `read_plan`.

    Example:
        >>> plan = parse_plan("{name: tiny, datasets: [digits], models: [vae, beta-vae], seeds: [0, 1]}")
        >>> [cell.title for cell in plan.cells()]
        ['digits/vae/0', 'digits/beta-vae/0', 'digits/vae/1', 'digits/beta-vae/1']
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        loader = _Loader(text)
        try:
            fields = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or " ".join(str(error).split())[:200]
        raise VaelensError(f"{source}{where}: {problem}; expected YAML, as in studies/smoke.yaml") from error
    if not isinstance(fields, Mapping):
        raise VaelensError(
            f"{source} holds no fields; expected name, datasets, models and seeds, as in studies/smoke.yaml"
        )
    try:
        return Plan.model_validate(fields)
    except ValidationError as error:
        lines: _Lines = {}
        _collect_lines(root, (), lines)
        raise VaelensError(_told(error, lines, source)) from error


def _collect_lines(node: Any, place: tuple[str | int, ...], lines: _Lines) -> None:
    """Notes on which line each field stands."""
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            lines[inner] = key.start_mark.line + 1
            _collect_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, (*place, index), lines)


def _told(error: ValidationError, lines: _Lines, source: str) -> str:
    """Tells the first few mistakes, each with its line and field."""
    told = []
    for mistake in error.errors(include_url=False)[:3]:
        place = tuple(part for part in mistake["loc"] if part not in ("dict", "list"))
        known = place
        while known not in lines and known:
            known = known[:-1]
        field = ".".join(map(str, place)) or "the study"
        reason = mistake["msg"].removeprefix("Value error, ")
        if mistake["type"] == "extra_forbidden":
            reason = "there is no such field"
        given = f", not {mistake['input']!r}" if isinstance(mistake["input"], bool | int | float | str) else ""
        given = "" if mistake["type"] in ("value_error", "extra_forbidden", "missing") else given
        told.append(f"line {lines[known]}, {field}: {reason[:1].lower()}{reason[1:]}{given}")
    more = error.error_count() - len(told)
    return f"{source}: {'; '.join(told)}{f'; and {more} more' if more else ''}"
