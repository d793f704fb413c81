"""The file of a study, in YAML, whose mistakes are told by line and field."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from vaelens.errors import VaelensError
from vaelens.study.plan import Plan

_LONGEST = 2**20  # bytes; a study's file takes a few thousand

_LONGEST_WHOLE = 30  # digits
_BASE_8 = re.compile(r"[-+]?0[0-7_]+")  # as YAML 1.1 has it, where others read a decimal number

# What YAML calls what the checker calls by Python's names.
_IN_YAML = {
    "tuple_type": "input should be a list, such as [a, b]",
    "dict_type": "input should be fields with values, such as {a: 1}",
    "model_type": "input should be fields with values, such as {a: 1}",
    "extra_forbidden": "there is no such field",
}

_TRIED = [(kind,) for kind in ("bool", "int", "float", "str", "list[any]")]  # as the checker calls types of a value

_Lines = dict[tuple[str | int, ...], int]


class _Loader(yaml.SafeLoader):
    """Reads plain values alone, and refuses a field that stands twice and a value that stands for another."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Refuses aliases, by which a small file can unfold without an end."""
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias (*) has no place in a study", problem_mark=mark)
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Refuses what YAML takes for a number or a date and Python does not."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, TypeError, LookupError, OverflowError, AttributeError) as error:
            problem = f"{str(node.value)[:40]!r} can't be read ({' '.join(str(error).split())[:80]})"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from error


def _mapping(loader: _Loader, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
    seen = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise yaml.MarkedYAMLError(problem="a field has no name but a list", problem_mark=key_node.start_mark)
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
        _check_numbers(root, (), source)
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


def _check_numbers(node: Any, place: tuple[str | int, ...], source: str) -> None:
    """Refuses numbers that YAML 1.1 reads in base 8 or 60, and those of more digits than any field can need."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            _check_numbers(value, (*place, str(key.value)), source)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _check_numbers(value, (*place, index), source)
    elif node is not None and node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float"):
        base = 8 if _BASE_8.fullmatch(node.value) else 60 if ":" in node.value else 10
        reason = ""
        if node.tag.endswith("int") and len(node.value) > _LONGEST_WHOLE:
            reason = f"a number of {len(node.value):,} digits is longer than any field can need"
        elif base != 10:
            read = yaml.safe_load(node.value)
            reason = f"YAML reads {node.value} as {read}, a number in base {base}; write it in base 10"
        if reason:
            field = ".".join(map(str, place)) or "the study"
            raise VaelensError(f"{source}: line {node.start_mark.line + 1}, {field}: {reason}")


def _told(error: ValidationError, lines: _Lines, source: str) -> str:
    """Tells the first few mistakes, each with its line and field."""
    told, mistakes = [], error.errors(include_url=False)
    places = [mistake["loc"] for mistake in mistakes]
    by_field: dict[tuple[str | int, ...], list[Any]] = {}
    for mistake in mistakes:
        # A list is called too short as well where one of its items is refused.
        of_items = (place[: len(mistake["loc"])] == mistake["loc"] != place for place in places)
        if mistake["type"] != "too_short" or not any(of_items):
            by_field.setdefault(_field(mistake, lines), []).append(mistake)
    for field, (mistake, *others) in list(by_field.items())[:3]:
        line_of = field
        while line_of not in lines and line_of:
            line_of = line_of[:-1]
        reason = _IN_YAML.get(mistake["type"]) or str(mistake["msg"]).removeprefix("Value error, ")
        if others:  # one for each type that the value might have been of
            reason = "input should be one value, such as a number or a text"
        instead = f", not {mistake['input']!r}" if isinstance(mistake["input"], bool | int | float | str) else ""
        instead = "" if mistake["type"] in ("value_error", "extra_forbidden", "missing") else instead
        said = ".".join(map(str, field)) or "the study"
        told.append(f"line {lines[line_of]}, {said}: {reason[:1].lower()}{reason[1:]}{instead}")
    more = len(by_field) - len(told)
    return f"{source}: {'; '.join(told)}{f'; and {more} more' if more else ''}"


def _field(mistake: Any, lines: _Lines) -> tuple[str | int, ...]:
    """Finds the field that a mistake is in, without the type that its value was tried for."""
    place = tuple(part for part in mistake["loc"] if part not in ("dict", "list"))
    return place[:-1] if place not in lines and place[-1:] in _TRIED else place
