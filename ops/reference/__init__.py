"""The reference, read from the code: errors of the commands, events of the log, and those of hooks.

``python -m ops.reference`` writes all pages of the reference; ``tests/test_documents.py`` compares them with the code.
"""

import ast
import importlib
import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops.reference import sentences
from worker.core.rules.errors import DarkroomError
from worker.core.rules.events import EventType

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "reference.md"
_LEVELS = ("debug", "info", "warning", "error", "exception")


@dataclass(frozen=True, kw_only=True, order=True)
class Event:
    """One kind of line in the log of a node or a command."""

    name: str
    level: str
    fields: tuple[str, ...]
    module: str


def events() -> list[Event]:
    """Return every event that the code logs, by name."""
    return sorted({event for path in _modules() for event in _events_of(path)})


def errors() -> list[type[DarkroomError]]:
    """Return every error that a command may end with, by its code."""
    for path in _modules():
        if "(DarkroomError)" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return sorted(_below(DarkroomError), key=lambda kind: kind.error_code)


def text() -> str:
    """Return the content of the file."""
    return "\n".join(
        [
            "# Reference",
            "",
            "Written by `python -m ops.reference` from the code; do not edit it.",
            "",
            "## Errors",
            "",
            "A command that fails prints one sentence and the next step on standard error; `darkroom web` answers with",
            "the same code. Below each error is what it says, with names in braces for what varies.",
            "",
            *(line for kind in errors() for line in _error(kind)),
            "## Log events",
            "",
            "With `DARKROOM_LOG_FORMAT=json` each line is an object: `event`, `level`, `timestamp`, and these.",
            "`**` stands for the ids of the job, its generation and its key.",
            "",
            "| event | level | fields | logged in |",
            "|---|---|---|---|",
            *(
                f"| `{event.name}` | {event.level} | {', '.join(f'`{name}`' for name in event.fields) or '-'} "
                f"| `{event.module}` |"
                for event in events()
            ),
            "",
            "## Events",
            "",
            "What [hooks](hooks.md) receive, with an example of each event's `data`.",
            "",
            *(line for each in EventType for line in _described(each)),
        ]
    )


def _error(kind: type[DarkroomError]) -> list[str]:
    head = [f"### `{kind.error_code}`", "", f"{_summary(kind)} Exit status {kind.exit_code}.", ""]
    said = sentences.of(kind)
    return [*head, *(f"- {each}" for each in said), *([""] if said else [])]


def _described(type_: EventType) -> list[str]:
    example = json.dumps(type_.example, indent=2)
    title = f"### `{type_}`, version {type_.version}"
    return [title, "", type_.meaning, "", "```json", example, "```", ""]


def _modules() -> list[Path]:
    return sorted((ROOT / "worker").rglob("*.py"))


def _events_of(path: Path) -> Iterator[Event]:
    module = ".".join(path.relative_to(ROOT / "worker").with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or not node.args:
            continue
        is_log = isinstance(node.func.value, ast.Name) and node.func.value.id in ("log", "_log", "logger")
        if is_log and node.func.attr in _LEVELS and isinstance(name := node.args[0], ast.Constant):
            fields = tuple(keyword.arg or "**" for keyword in node.keywords)
            yield Event(name=str(name.value), level=node.func.attr, fields=fields, module=module)


def _below(kind: type[DarkroomError]) -> set[type[DarkroomError]]:
    return {each for child in kind.__subclasses__() for each in {child, *_below(child)} if "error_code" in vars(each)}


def _summary(kind: type[DarkroomError]) -> str:
    return (inspect.getdoc(kind) or "").splitlines()[0]
