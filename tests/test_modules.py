"""How many modules only one other module uses, and how many files a folder of code, tests or templates holds.

A use is an import anywhere in a module of ``worker/``, also inside a function, or the module's name in a string, by
which Celery finds its parts (``worker.node.consumer:Consumer``) and the command line its commands
(``batches.status:status``). A package's ``__init__`` is not counted as a module that is used. A registry exists so that
its members stand in one place: one that only its registry names does not count either.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REGISTRIES = {
    "worker.audit.rendering",
    "worker.audit.reports",
    "worker.cli.commands",
    "worker.cli.commands.books",
    "worker.cli.commands.catalogs",
    "worker.cli.commands.web",
    "worker.engine.steps.perform",
    "worker.node.maintenance",
    "worker.web.api.routes",
    "worker.web.server",
    "worker.web.console.routes",
}
"""Modules that list others of one kind: commands, reports, steps, recurring jobs, pages, operations."""
MOST_WITH_ONE_USER = 40
MOST_FILES = 25
ROOMS = ("worker", "models", "tests", "ops")
_NAMED = re.compile(r"worker(\.\w+)+|[\w.]+:\w+")


def modules() -> dict[str, Path]:
    found = sorted((ROOT / "worker").rglob("*.py"))
    return {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in found}


def named_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (name for alias in node.names for name in (node.module or "", f"{node.module}.{alias.name}"))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAMED.fullmatch(node.value):
            name = node.value.partition(":")[0]
            yield from (name, f"worker.cli.{name}")


def users() -> dict[str, set[str]]:
    known, found = modules(), defaultdict[str, set[str]](set)
    for user, path in known.items():
        for name in named_in(path):
            if name in known and name != user:
                found[name].add(user)
    return {name: found[name] for name, path in known.items() if path.name != "__init__.py"}


def test_few_modules_are_used_by_one_other_module_alone() -> None:
    alone = {name: next(iter(by)) for name, by in users().items() if len(by) == 1 and not by <= REGISTRIES}

    assert len(alone) <= MOST_WITH_ONE_USER, "\n".join(f"{name} is used by {user}" for name, user in alone.items())


def test_every_registry_exists_and_names_members() -> None:
    assert {user for by in users().values() for user in by} >= REGISTRIES


def test_no_module_is_used_by_nothing() -> None:
    assert {name for name, by in users().items() if not by} == {"worker.cli.__main__"}


def test_a_folder_holds_at_most_25_files() -> None:
    """Python, templates, scripts and settings alike.

    Not counted are ``docs/decisions`` and ``migrations/versions``: a file there is one decision or one change, and its
    number is its place.
    """
    files = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file() and path.suffix != ".pyc")
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in files)

    assert {folder: count for folder, count in counts.items() if count > MOST_FILES} == {}
