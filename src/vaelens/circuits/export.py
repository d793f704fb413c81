"""Graphs of circuits as text that other programs read (GraphML, Graphviz DOT), and the writing of such text."""

import json
import math
from pathlib import Path
from typing import Any

import networkx as nx

from vaelens.paths import user_path
from vaelens.writing import written_whole

_WIDEST = 6.0  # of a drawn edge, in points


def graphml(graph: nx.DiGraph) -> str:
    """Returns a graph as GraphML, units as nodes "site:index" with the attributes `site` and `index`."""
    named = nx.DiGraph()
    for node, kind in graph.nodes(data="kind"):
        place = {"site": node[0], "index": node[1]} if isinstance(node, tuple) else {}
        named.add_node(_name(node), kind=kind, **place)
    for sender, receiver, weight in graph.edges(data="weight"):
        named.add_edge(_name(sender), _name(receiver), weight=float(weight))
    return "\n".join(nx.generate_graphml(named)) + "\n"


def dot(graph: nx.DiGraph) -> str:
    """Returns a graph in the language of Graphviz, sites from left to right, the width of an edge as its weight.

    Edges of negative weight are dashed.
    """
    lines = ["digraph circuit {", "  rankdir=LR; node [shape=circle, fontsize=10]; edge [arrowsize=0.5];"]
    by_site: dict[str, list[tuple[str, int]]] = {}
    for node in graph.nodes:
        if isinstance(node, tuple):
            by_site.setdefault(node[0], []).append(node)
        else:
            lines.append(f"  {_quoted(_name(node))} [shape=box];")
    for site, nodes in by_site.items():
        members = " ".join(f"{_quoted(_name(node))} [label={_quoted(str(node[1]))}];" for node in nodes)
        lines.append(f"  subgraph {_quoted(f'cluster {site}')} {{ label={_quoted(site)}; color=gray; {members} }}")
    for sender, receiver, weight in graph.edges(data="weight"):
        width, style = min(_WIDEST, 0.3 + 4 * abs(weight)), "solid" if weight >= 0 else "dashed"
        ends = f"{_quoted(_name(sender))} -> {_quoted(_name(receiver))}"
        lines.append(f'  {ends} [penwidth={width:.2f}, style={style}, tooltip="{weight:.3g}"];')
    return "\n".join([*lines, "}"]) + "\n"


def json_text(record: Any) -> str:
    """Returns a record as JSON, in which what is no finite number is null."""
    return json.dumps(_plain(record), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def edges(graph: nx.DiGraph) -> list[dict[str, Any]]:
    """Lists a graph's edges with the names of their ends."""
    return [{"from": _name(u), "to": _name(v), "weight": float(weight)} for u, v, weight in graph.edges(data="weight")]


def write(path: str | Path, text: str) -> None:
    """Writes text to a file, which is replaced once the new one is whole.

    Raises:
        VaelensError: if it cannot be written.
    """
    target = user_path("path", path)
    with written_whole(target.parent) as unfinished:
        (unfinished / target.name).write_text(text, encoding="utf-8")


def _name(node: tuple[str, int] | str) -> str:
    return f"{node[0]}:{node[1]}" if isinstance(node, tuple) else node


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
