"""Which reasons the planner can give, read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PLANNING: Final = Path(__file__).parents[1] / "planning"
_IS_REASON: Final = ("reason", "ready_reason")


def reasons_in_code() -> frozenset[str]:
    """Every constant that planning passes as the reason of a condition or verdict.

    Reasons that are handed on (of a failed write, of a child, of KEDA) are not constants there.
    """
    modules = [ast.parse(path.read_text()) for path in sorted(_PLANNING.rglob("*.py"))]
    takers = dict(taker for module in modules for taker in _takers(module))
    shared = {name: value for m in modules for name, value in _assigned(m) if name.isupper()}
    found: set[str] = set()
    for module in modules:
        named = {**shared, **dict(_assigned(module))}
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and (name := _called(node)) in takers:
                found.update(*(_constants(given, named) for given in _given(node, takers[name])))
            elif isinstance(node, ast.Dict) and _is_occasional(node, named):
                found.update(*(_constants(value, named) for value in node.values))
    # A write has a reason too, in a sentence.
    return frozenset(reason for reason in found if reason.isalnum())


def _takers(module: ast.Module) -> Iterator[tuple[str, dict[str, int]]]:
    """Functions and dataclasses that take a reason: their name, and which argument it is."""
    for node in ast.walk(module):
        names: list[str] = []
        if isinstance(node, ast.FunctionDef):
            names = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)]
        elif isinstance(node, ast.ClassDef):
            fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
            names = [f.target.id for f in fields if isinstance(f.target, ast.Name)]
        if positions := {name: i for i, name in enumerate(names) if name in _IS_REASON}:
            yield node.name, positions  # type: ignore[attr-defined]  # both kinds have one


def _assigned(module: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in ast.walk(module):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _given(call: ast.Call, positions: dict[str, int]) -> Iterator[ast.expr]:
    for name, position in positions.items():
        if position < len(call.args):
            yield call.args[position]
        yield from (keyword.value for keyword in call.keywords if keyword.arg == name)


def _constants(expression: ast.expr, named: dict[str, ast.expr]) -> set[str]:
    match expression:
        case ast.Constant(value=str(text)):
            return {text} - {""}
        case ast.Name(id=name) if name in named:
            rest = {k: v for k, v in named.items() if k != name}
            return _constants(named[name], rest)
        case ast.IfExp(body=one, orelse=other):
            return _constants(one, named) | _constants(other, named)
        case ast.BoolOp(values=values):
            return set().union(*(_constants(value, named) for value in values))
    return set()


def _is_occasional(node: ast.Dict, named: dict[str, ast.expr]) -> bool:
    return named.get("_OCCASIONAL") is node
