"""The guide for finance keeps its word: each of its commands prints what the guide shows."""

import os
import re
import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import URL, NullPool, create_engine

from tests.cli.conftest import run_here
from tests.fixtures import databases
from tests.fixtures.provider import Provider
from tests.reports.conftest import World, work
from worker.cli.audit.files import NO_EVIDENCE

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "audit.md"
# The database dates nothing later than now, so the guide's November is that of a past year with the same weekdays.
BLOCKS = re.findall(r"```console\n(.*?)```", GUIDE.read_text().replace("2026-1", "2020-1"), re.DOTALL)
VARIES = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\b[0-9a-f]{64}\b|task_[0-9a-f]+|req_\w+|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*Z?|\d+ h \d\d min"
)
"""Ids, hashes and times: other ones in each run, always in the same places."""


DECISIONS = {"resolve", "correct"}
"""Commands that change something, for which the guide wants a login of the program."""


@pytest.fixture(scope="module")
def november(
    postgres: str, template: str, process: Provider, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Yield the books of the guide, closed in the first hour of December."""
    process.reset()
    with databases.clone(postgres, template) as url:
        made = work(url, tmp_path_factory.mktemp("store"), process.sibling("acct_guide"))
        made.node.clock.now = datetime(2020, 12, 1, 0, 30, tzinfo=UTC)
        made.close()
        yield made
        made.end()


def test_the_guide_shows_commands() -> None:
    assert len(BLOCKS) > 8


@pytest.fixture
def auditor(november: World) -> Iterator[str]:
    """Yield the URL of a login made as the guide says: a member of darkroom_audit, and of nothing else."""
    login = f"darkroom_test_ann_{os.getpid()}"
    url = november.node.services.database.url
    as_administrator(url, f"CREATE ROLE {login} LOGIN PASSWORD 'only here' IN ROLE darkroom_audit")
    yield url.set(username=login, password="only here").render_as_string(hide_password=False)
    as_administrator(url, f"DROP ROLE {login}")


def as_administrator(url: URL, statement: str) -> None:
    """Do one statement as the server's administrator."""
    engine = create_engine(url.set(drivername="postgresql+psycopg"), poolclass=NullPool)
    with engine.begin() as tx:
        tx.exec_driver_sql(statement)
    engine.dispose()


def test_every_command_of_the_guide_prints_what_the_guide_shows(november: World, auditor: str, tmp_path: Path) -> None:
    """An auditor's login does all of it with reading rights alone, but for the two decisions."""
    program = november.node.services.database.url.render_as_string(hide_password=False)
    names: dict[str, str] = {}

    contradictions = [
        f"{command}\n{printed}"
        for command, shown in _commands()
        if not _agrees(shown, printed := _run(tmp_path, _url_for(command, auditor, program), command, names), names)
    ]

    assert contradictions == []


def _url_for(command: str, auditor: str, program: str) -> str:
    return program if shlex.split(command)[1] in DECISIONS else auditor


def _commands() -> Iterator[tuple[str, str]]:
    """Yield each command with what it prints."""
    for block in BLOCKS:
        for part in block.split("$ ")[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def _run(folder: Path, url: str, command: str, names: dict[str, str]) -> str:
    """Run a command, its ids replaced by those of this run."""
    words = [names.get(word, word) for word in shlex.split(command)][1:]
    done = run_here(folder, {"DARKROOM_DATABASE_URL": url}, *words)
    return done.stdout + done.stderr.replace(f"{NO_EVIDENCE}\n", "")


def _agrees(shown: str, printed: str, names: dict[str, str]) -> bool:
    """Compare but for what varies, and learn which id of the guide is which of this run; ``...`` is any lines."""
    before, dots, after = shown.partition("...\n")
    lines = printed.splitlines(keepends=True)
    if dots:
        first, last = before.count("\n"), after.count("\n")
        lines = lines[:first] + (lines[-last:] if last else [])
    kept = "".join(lines)
    ours, theirs = VARIES.findall(before + after), VARIES.findall(kept)
    names.update(zip(ours, theirs, strict=False))
    return len(ours) == len(theirs) and _plain(before + after) == _plain(kept)


def _plain(text: str) -> str:
    return re.sub(r"[ -]{2,}", "  ", VARIES.sub("~", text)).replace(" \n", "\n")
