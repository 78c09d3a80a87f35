"""What commands store and show on a machine, or beside a node, whose wall clock is off."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from tests.chaos.nodes.wrong_clock_node import FILE
from tests.cli.conftest import ROOT, TIMEOUT_S, Darkroom
from worker.core.db.session import Database
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat

DAY_S = 86_400
LAPTOP = (
    "import sys; from tests.chaos.nodes.wrong_clock_node import shift; shift();"
    " from worker.cli.app import main; sys.argv[0] = 'darkroom'; main()"
)


@pytest.fixture
def laptop(tmp_path: Path, database_url: str) -> Darkroom:
    """Return the command on a machine whose clock is a day ahead."""
    offset = tmp_path / "offset"
    offset.write_text(str(DAY_S))
    settings = {"DARKROOM_DATABASE_URL": database_url, "DARKROOM_STORE": str(tmp_path / "store"), FILE: str(offset)}
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    return lambda *arguments, **_: subprocess.run(
        [sys.executable, "-c", LAPTOP, *arguments],
        cwd=tmp_path,
        env=home | settings,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def beat(database: Database, *, offset_s: float) -> None:
    said = Beat(node_id=uuid7(), name="studio-2:41", version="0.1.0", round_age_s=0.0, clock_offset_s=offset_s)
    with database.transaction() as tx:
        nodes.beat(tx, said)


def ahead(database: Database, query: str) -> timedelta:
    """Return by how much the latest of these instants is ahead of the server's."""
    with database.transaction() as tx:
        found: timedelta = tx.execute(text(f"SELECT max(at) - clock_timestamp() FROM ({query}) q (at)")).scalar_one()
    return found


def test_commands_on_a_laptop_that_is_a_day_ahead_store_the_databases_time(
    laptop: Darkroom, good_manifest: Path, database: Database
) -> None:
    submitted = laptop("submit", str(good_manifest), "--name", "one", "--deadline", "6h")
    paused = laptop("account", "pause", "--by", "ann", "--reason", "a look")
    printed = laptop("audit", "statement", "--format", "json")

    assert [done.returncode for done in (submitted, paused, printed)] == [0, 0, 0], submitted.stderr + printed.stderr
    past = """
        SELECT created_at FROM batch UNION ALL SELECT created_at FROM job UNION ALL SELECT sealed_at FROM seal
        UNION ALL SELECT paused_at FROM account UNION ALL SELECT changed_at FROM change"""
    assert ahead(database, past) < timedelta(seconds=1)
    assert ahead(database, "SELECT deadline_at FROM batch") < timedelta(hours=6)


def test_ids_that_a_laptop_a_day_ahead_makes_sort_by_the_databases_time(
    laptop: Darkroom, darkroom: Darkroom, good_manifest: Path, database: Database
) -> None:
    laptop("submit", str(good_manifest), "--name", "first")
    darkroom("submit", str(good_manifest), "--name", "second")

    with database.transaction() as tx:
        assert list(tx.execute(text("SELECT name FROM batch ORDER BY id")).scalars()) == ["first", "second"]


def test_the_doctor_and_the_status_name_a_node_whose_clock_is_off(darkroom: Darkroom, database: Database) -> None:
    beat(database, offset_s=DAY_S)

    examined = json.loads(darkroom("doctor", "--json").stdout)["findings"]
    listed = darkroom("status")

    sentence = "node studio-2:41: its clock is 1 d ahead of the database's; it works on the database's time"
    assert [(f["verdict"], f["detail"]) for f in examined if "node studio" in f["detail"]] == [("warning", sentence)]
    assert sentence in listed.stderr


def test_a_node_whose_clock_is_right_is_not_named(darkroom: Darkroom, database: Database) -> None:
    beat(database, offset_s=0.4)

    assert "studio-2" not in darkroom("doctor").stdout + darkroom("status").stderr


def test_the_doctor_names_a_slot_that_cannot_be(darkroom: Darkroom, good_manifest: Path, database: Database) -> None:
    darkroom("submit", str(good_manifest))
    with database.transaction() as tx:
        tx.execute(text("UPDATE account SET next_slot_at = now() + interval '1 day'"))

    examined = json.loads(darkroom("doctor", "--json").stdout)["findings"]

    [found] = [each for each in examined if each["part"] == "instants"]
    assert found["verdict"] == "warning"
    assert found["detail"].startswith("account.next_slot_at of default is ")
    assert "a running node corrects it" in found["next_step"]
