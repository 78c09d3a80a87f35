"""Help and completion are quick, and say what runs."""

import inspect
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import ROOT, Darkroom, run
from worker.cli.app import app
from worker.cli.commands import ROOT as COMMANDS
from worker.cli.lazy import Command, Group

HEAVY = (
    "PIL",
    "alembic",
    "celery",
    "jinja2",
    "kombu",
    "obstore",
    "psutil",
    "psycopg",
    "pydantic",
    "requests",
    "sqlalchemy",
    "structlog",
    "urllib3",
    "xlsxwriter",
)
"""What takes long to import, and no help text needs."""

HEAVY_FOR_STATUS = ("PIL", "alembic", "celery", "jinja2", "kombu", "obstore", "requests", "structlog", "urllib3")
"""What a command that only reads the database has no use for."""

SHOW_IMPORTS = """
import sys
from worker.cli import main
try:
    main()
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


SHOW_COLLECTIONS = """
import atexit, gc, sys
def show():
    print(*(each["collections"] for each in gc.get_stats()[1:]), gc.get_freeze_count() > 0, file=sys.stderr)
atexit.register(show)
from worker.cli import main
main()
"""


def commands(group: Group = COMMANDS, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    for entry in group.commands:
        if isinstance(entry, Group):
            yield from commands(entry, (*path, entry.name))
        else:
            yield (*path, entry.name), entry


ALL = [pytest.param(path, command, id=" ".join(path)) for path, command in commands()]
EXAMPLES = [pytest.param(example, id=example) for _, command in commands() for example in command.examples]


def groups(group: Group = COMMANDS, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Group]]:
    yield path, group
    for entry in group.commands:
        if isinstance(entry, Group):
            yield from groups(entry, (*path, entry.name))


GROUPS = [pytest.param(path, group, id=" ".join(path) or "darkroom") for path, group in groups()]


def imported_by(*arguments: str, **environment: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(done.stderr.split())


@pytest.mark.parametrize(("path", "_"), [*ALL, *GROUPS])
def test_help_imports_nothing_that_takes_long(path: tuple[str, ...], _: object) -> None:
    assert imported_by(*path, "--help").isdisjoint(HEAVY)


@pytest.mark.parametrize("words", ["darkroom ", "darkroom catalog ", "darkroom submit --"])
def test_completion_imports_nothing_that_takes_long(words: str) -> None:
    environment = {"_DARKROOM_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}

    assert imported_by(**environment).isdisjoint(HEAVY)


def test_status_imports_nothing_but_the_database(tmp_path: Path, database_url: str) -> None:
    settings = {"HOME": str(tmp_path), "DARKROOM_HOME": str(tmp_path), "DARKROOM_DATABASE_URL": database_url}

    assert imported_by("status", **settings).isdisjoint(HEAVY_FOR_STATUS)


def test_a_short_command_collects_no_garbage_neither_at_work_nor_at_its_end(tmp_path: Path) -> None:
    said = run(tmp_path, {}, "--version", program=("-c", SHOW_COLLECTIONS)).stderr.split()

    assert said == ["0", "0", "True"]


@pytest.mark.parametrize(("path", "command"), ALL)
def test_a_list_of_commands_says_what_the_command_says_of_itself(path: tuple[str, ...], command: Command) -> None:
    module, name = command.target.split(":")
    function = getattr(import_module(f"worker.cli.{module}"), name)

    first = (inspect.getdoc(function) or "").split("\n\n", maxsplit=1)[0]

    assert command.summary == " ".join(first.split())


@pytest.mark.parametrize(("path", "command"), ALL)
def test_the_help_of_a_command_ends_with_its_examples(
    path: tuple[str, ...], command: Command, bare: Darkroom, spawned: Darkroom
) -> None:
    # The help of the sandbox is that of the process which takes the command's place.
    command_line = spawned if path == ("sandbox",) else bare

    said = " ".join(command_line(*path, "--help").stdout.split())

    assert said.endswith(" ".join(" ".join(command.examples).split()))


@pytest.mark.parametrize(("path", "command"), ALL)
def test_no_word_of_a_help_text_is_cut_at_80_columns(path: tuple[str, ...], command: Command, bare: Darkroom) -> None:
    if path == ("sandbox",):
        pytest.skip("its help is argparse's, which cuts nothing")

    assert "…" not in bare(*path, "--help").stdout


def test_help_shows_the_defaults_that_stand_in_brackets(bare: Darkroom) -> None:
    said = " ".join(bare("submit", "--help").stdout.replace("│", " ").split())

    assert "The batch's name. [default: the file's name]" in said
    assert r"\[" not in said


@pytest.mark.parametrize(("path", "group"), GROUPS)
def test_the_help_of_a_group_ends_with_examples_of_its_commands(
    path: tuple[str, ...], group: Group, bare: Darkroom
) -> None:
    said = bare(*path, "--help").stdout.rstrip()

    assert len(group.examples) == 2
    assert " ".join(said.split()).endswith(" ".join(" ".join(group.examples).split()))


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_taken_by_the_parser(example: str) -> None:
    words = shlex.split(example)[1:]
    arguments = words[: words.index(">")] if ">" in words else words

    assert parsed(arguments)


def parsed(arguments: list[str]) -> bool:
    """Parse the arguments without running anything; raises what the parser refuses."""
    command = typer.main.get_command(app)
    context = command.make_context("darkroom", arguments)
    while isinstance(command, typer.core.TyperGroup):
        name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command, context = found, found.make_context(name, rest, parent=context)
    return True
