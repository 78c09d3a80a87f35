"""What the runbook tells a person to run can be run."""

import re

import pytest
from sqlalchemy import text

from tests.ops.tools import ROOT
from worker.cli import commands
from worker.core.db.session import Database
from worker.core.rules.errors import PauseReason

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)
SECTIONS = re.split(r"^## ", RUNBOOK, flags=re.MULTILINE)[1:]
COMMANDS = sorted(set(re.findall(r"`darkroom\s+([a-z-]+(?:\s[a-z-]+)?)", RUNBOOK)))
GROUPS = {each.name: {c.name for c in getattr(each, "commands", ())} for each in commands.ROOT.commands}


@pytest.mark.parametrize("query", QUERIES)
def test_each_query_runs_on_the_schema(database: Database, query: str) -> None:
    with database.transaction() as tx:
        tx.execute(text("SET TRANSACTION READ ONLY"))
        tx.execute(text(query))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_each_section_says_what_is_seen_what_it_means_what_to_look_at_and_what_to_do(section: str) -> None:
    assert re.findall(r"^\*\*(\w+)\.\*\*", section, re.MULTILINE) == ["Symptom", "Meaning", "Query", "Action"]
    assert "```sql" in section


@pytest.mark.parametrize("words", COMMANDS)
def test_each_command_is_there(words: str) -> None:
    name, _, sub = words.partition(" ")

    assert name in GROUPS
    assert not (sub and GROUPS[name]) or sub in GROUPS[name]


def test_each_reason_of_a_pause_has_its_action() -> None:
    section = next(each for each in SECTIONS if each.startswith("DarkroomPausedTooLong"))

    assert [reason.value for reason in PauseReason if f"`{reason}`" not in section] == []
