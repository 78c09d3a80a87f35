"""The reference of the settings: name, form, default and meaning, from the one class that reads them."""

import ast
import inspect
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic_core import PydanticUndefined

from ops.reference import ROOT
from worker import settings
from worker.settings import FILE as FILE_SUFFIX
from worker.settings import SECRETS, Settings

FILE = ROOT / "docs" / "reference-settings.md"


def text() -> str:
    """Return the content of the file."""
    head = [
        "# Settings",
        "",
        "Written by `python -m ops.reference` from the code; do not edit it. All are variables of the environment; an",
        f"empty one is none. A secret may be in a file that the variable with `{FILE_SUFFIX}` at its end names. Spans",
        "are seconds or have a unit: `90s`, `15m`, `6h`, `2d`. The variables of [traces](traces.md) are those of",
        "OpenTelemetry.",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *_rows(), ""])


def _rows() -> Iterator[str]:
    meanings = dict(_docstrings())
    for name, field in sorted(Settings.model_fields.items(), key=lambda each: str(each[1].alias)):
        secret = " A secret." if field.alias in SECRETS else ""
        yield f"| `{field.alias}` | {_default(field.default)} | {meanings[name]}{secret} |"


def _default(value: Any) -> str:
    match value:
        case None | () | "" | {}:
            return "none"
        case bool():
            return "on" if value else "off"
        case timedelta():
            return f"`{value.total_seconds():g}s`"
        case _ if value is PydanticUndefined:
            return "none"
        case frozenset() | tuple() | dict():
            return "as the code has it"
        case _:
            return f"`{value}`"


def _docstrings() -> Iterator[tuple[str, str]]:
    """Return the name of each field with the words below it."""
    [found] = [
        node
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == Settings.__name__
    ]
    for field, below in zip(found.body, found.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            words = ast.literal_eval(below.value)
            yield field.target.id, " ".join(words.replace("``", "`").split()).replace("|", "\\|")
