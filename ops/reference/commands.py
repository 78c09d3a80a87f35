"""The reference of the commands: usage, arguments, options and examples, as ``--help`` has them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ops.reference import ROOT
from worker.cli.commands import ROOT as COMMANDS
from worker.cli.lazy import Command, Group

FILE = ROOT / "docs" / "reference-commands.md"


def text() -> str:
    """Return the content of the file."""
    head = [
        "# Commands",
        "",
        "Written by `python -m ops.reference` from the code; do not edit it. Exit status 0: done; 1: not, or not all;",
        "2: usage or settings. `darkroom COMMAND --help` shows the same.",
        "",
    ]
    return "\n".join([*head, *(line for entry in COMMANDS.commands for line in _entry(entry, "darkroom"))])


def _entry(entry: Command | Group, above: str) -> Iterator[str]:
    path = f"{above} {entry.name}"
    if isinstance(entry, Group):
        for each in entry.commands:
            yield from _entry(each, path)
        return
    built: Any = entry.load()
    arguments = [each for each in built.params if each.param_type_name == "argument"]
    options = [each for each in built.params if each.param_type_name == "option" and not each.hidden]
    usage = " ".join((path, *(_argument(each) for each in arguments), *(["[OPTIONS]"] if options else [])))
    yield from (f"## `{path}`", "", _plain(built.help), "", "```text", usage, "```", "")
    if options:
        yield from ("| option | default | meaning |", "|---|---|---|")
        yield from (_option(each) for each in options)
        yield ""
    yield from ("```text", *entry.examples, "```", "")


def _argument(each: Any) -> str:
    name = (each.metavar or each.name).upper().strip("[]") + ("..." if each.nargs == -1 else "")
    return name if each.required else f"[{name}]"


def _option(each: Any) -> str:
    names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
    default = "required" if each.required else _default(each.default)
    meaning = _plain(getattr(each, "help", None)).replace("|", "\\|")
    return f"| {names} | {default} | {meaning} |"


def _default(value: Any) -> str:
    if callable(value) or value in (None, False, (), []):
        return ""
    if isinstance(value, Path | str | int | float):
        return f"`{value}`"
    return f"`{getattr(value, 'value', value)}`"


def _plain(text_: str | None) -> str:
    return " ".join((text_ or "").replace("\\[", "[").split()).replace("<", "&lt;")
