"""The sentences that errors say, read from where the code puts them together: their causes and next steps."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from worker.core.rules.errors import DarkroomError

ROOT = Path(__file__).resolve().parents[2]
_SHORTEST = 12
"""Characters; less is a part of a sentence."""


def of(kind: type[DarkroomError]) -> list[str]:
    """Return what an error of this kind says, with ``{name}`` for what varies."""
    own = vars(kind).get("__str__")
    found = list(_returned(own)) if own is not None else _raised().get(kind.__name__, [])
    return sorted({_escaped(each) for each in found if len(each) >= _SHORTEST})


def _returned(function: object) -> Iterator[str]:
    """Return the texts that the method builds: those that it returns, and those that it puts together for that."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))  # type: ignore[arg-type]
    for node in ast.walk(tree):
        if isinstance(node, ast.Return) and node.value is not None:
            yield from _texts(node.value)


@lru_cache(maxsize=1)
def _raised() -> dict[str, list[str]]:
    """Return by the name of a class the texts with which it is made anywhere."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                found.setdefault(node.func.id, []).extend(_texts(node.args[0]))
    return found


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(words)):
            yield words
        case ast.JoinedStr(values=parts):
            yield "".join(_part(each) for each in parts)
        case ast.IfExp(body=first, orelse=second):
            yield from _texts(first)
            yield from _texts(second)


def _part(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    assert isinstance(node, ast.FormattedValue)
    names = [each for each in ast.walk(node.value) if isinstance(each, ast.Attribute | ast.Name)]
    first = names[0] if names else None
    name = first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "...")
    return f"{{{name.strip('_')}}}"


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")
