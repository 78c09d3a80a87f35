"""Rows beside the ledger, and what guards it: what a superuser changes there is named too."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from tests.audit.conftest import Tamper
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.conftest import process, sandbox
from tests.pipeline.node import Clock, Node
from worker.audit import resolve
from worker.audit.rules.dispute_decision import Signature
from worker.audit.verify import verify

__all__ = ["process", "sandbox"]

ANN = Signature(actor="ann", reason="the provider said so")
Broken = Callable[[], dict[str, tuple[Any, ...]]]


@pytest.fixture
def node(database_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[Node]:
    """Yield two batches: one image that was adopted, one that a person decided about, and two that went well."""
    made = nodes.make(database_url, tmp_path, Clock(), base_url=sandbox.base_url, key=sandbox.key)
    made.submit({"prompt": "1"}, {"prompt": "2"}, name="doubts")
    sandbox.script(("create", 1, "lost_reply"), ("create", 2, "lost_reply"))
    made.run_for(timedelta(seconds=0.2))
    made.clock.advance(timedelta(hours=2))
    made.run_until_quiet()
    first, second = (row["id"] for row in made.query("SELECT id FROM generation ORDER BY id"))
    resolve.adopt(made.services, first, task_of(first, sandbox), ANN)
    resolve.charged(
        made.services.database, second, 4, ANN, new_id=made.services.new_id, approve_above=None, now=made.clock()
    )
    made.submit({"prompt": "3"}, {"prompt": "4"}, name="well")
    made.run_until_quiet()
    yield made
    made.services.client.close()
    made.services.database.close()


def task_of(generation_id: UUID, sandbox: Provider) -> str:
    return next(str(task["id"]) for task in sandbox.tasks() if task["key"] == f"darkroom-{generation_id}")


@pytest.fixture
def broken(node: Node) -> Broken:
    """Return the examples of each proof that does not hold."""

    def look() -> dict[str, tuple[Any, ...]]:
        with node.services.database.engine.connect() as tx:
            return {check.name: check.examples for check in verify(tx).checks if not check.ok}

    return look


def test_untouched_books_are_believed(broken: Broken) -> None:
    assert broken() == {}


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE generation SET held = held + 1 WHERE state = 'succeeded'", "entries_follow_state"),
        ("UPDATE generation SET reserved = reserved + 1 WHERE state = 'succeeded'", "entries_follow_state"),
        ("UPDATE generation SET provider_id = 'task_' || id WHERE state = 'succeeded'", "provider_ids"),
        ("DELETE FROM call WHERE kind = 'create'", "provider_ids"),
        ("UPDATE generation SET batch_id = (SELECT max(id::text)::uuid FROM batch)", "one_batch"),
        ("UPDATE job SET batch_id = gen_random_uuid()", "one_batch"),
        ("UPDATE generation SET account_id = gen_random_uuid()", "one_batch"),
        ("UPDATE generation SET state = 'void', final = 4 WHERE state = 'succeeded'", "kinds"),
        ("UPDATE job_count SET succeeded = succeeded + 1", "jobs_counted"),
        ("DELETE FROM job_count", "jobs_counted"),
        ("DELETE FROM change", "provider_ids"),
        ("DELETE FROM change", "corrections_signed"),
        ("UPDATE change SET actor = 'Eve'", "corrections_signed"),
        ("UPDATE change SET reason = 'none'", "corrections_signed"),
    ],
)  # fmt: skip
def test_a_row_beside_the_ledger_that_was_changed_is_named(
    change: str, check: str, tamper: Tamper, broken: Broken
) -> None:
    tamper(change)

    assert check in broken()


def test_a_key_that_is_not_its_generations_is_named_where_the_constraint_was_dropped(
    superuser: Engine, tamper: Tamper, broken: Broken
) -> None:
    with superuser.begin() as tx:
        tx.execute(text("ALTER TABLE generation DROP CONSTRAINT ck_generation_idempotency_key_of_id"))

    tamper("UPDATE generation SET idempotency_key = 'mine' || number WHERE number = 1 AND state = 'failed'")

    assert "keys" in broken()


HOLLOW = "CREATE OR REPLACE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$"


@pytest.mark.parametrize(
    ("weakened", "check", "named"),
    [
        (HOLLOW.format("refuse_change"), "guards", {"function": "refuse_change"}),
        (HOLLOW.format("keep_books_closed"), "guards", {"function": "keep_books_closed"}),
        (HOLLOW.format("record_after_seal"), "guards", {"function": "record_after_seal"}),
        ("DROP TRIGGER append_only ON seal", "append_only", {"table": "seal", "trigger": "append_only"}),
        ("DROP TRIGGER append_only ON wallet_reading", "append_only", {"table": "wallet_reading"}),
        ("ALTER TABLE change DISABLE TRIGGER append_only", "append_only", {"table": "change"}),
        ("DROP TRIGGER recorded ON call", "append_only", {"table": "call", "trigger": "recorded"}),
        ("ALTER TABLE credit_entry DISABLE TRIGGER books_closed", "append_only", {"trigger": "books_closed"}),
        ("DROP TRIGGER append_only ON call; GRANT DELETE ON call TO darkroom_app", "rights", {"table": "call"}),
        ("GRANT UPDATE (credits) ON credit_entry TO darkroom_app", "rights", {"table": "credit_entry"}),
    ],
)  # fmt: skip
def test_a_guard_that_was_weakened_is_named(
    weakened: str, check: str, named: dict[str, str], superuser: Engine, broken: Broken
) -> None:
    with superuser.begin() as tx:
        tx.execute(text(weakened))

    assert named.items() <= dict(broken()[check][0]).items()


@pytest.mark.parametrize("table", ["wallet_reading", "change"])
def test_readings_and_changes_are_written_once_even_for_their_owner(table: str, node: Node, superuser: Engine) -> None:
    with pytest.raises(Exception, match="append-only"), superuser.begin() as tx:
        tx.execute(text(f"DELETE FROM {table}"))
