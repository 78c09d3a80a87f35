"""Erasures out of the usual: of many jobs by a process that is killed, of periods without salt, of what was refused."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tests.acceptance.waiting import until
from tests.audit.test_erasing import NOTE, SECRET, batch, broken, dumped, erase, job, node, reports, traces
from tests.cli.conftest import ROOT
from tests.pipeline.conftest import process, sandbox
from tests.pipeline.node import Node
from worker.audit import sealing
from worker.audit.queries import facts
from worker.audit.queries.erasures import JOBS_AT_ONCE, Target
from worker.batches import control
from worker.intake.rules.delivery import ENQUEUE, Delivery
from worker.node import fetch_stage

__all__ = ["node", "process", "sandbox"]

JOBS = 2 * JOBS_AT_ONCE + 1_000


def many(node: Node) -> None:
    """Leave a batch of which three images were made and all others withdrawn, with sealed facts."""
    rows = [{"key": f"{n:06}", "prompt": f"{SECRET}, {n}", "note": NOTE} for n in range(JOBS)]
    receipt = node.submit(*rows, name="many")
    for _ in range(3):
        node.round()
    control.cancel(node.services.database, receipt.batch_id, now=node.clock(), by=node.author("enough"))
    node.run_until_quiet()
    for _ in range(2):
        sealing.close_books(node.services.database, datetime.now(UTC))


ERASE = ("erase", "--batch", "many", "--reason", "request 12", "--yes")


def erasing(node: Node, home: Path) -> "subprocess.Popen[str]":
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "worker.cli", *ERASE],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            "DARKROOM_DATABASE_URL": node.services.database.url.render_as_string(hide_password=False),
            "DARKROOM_STORE": str(node.folder),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


_WAITS = text("""
    SELECT count(*) > 0 FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%erase_texts%'""")
_LEFT = (
    "SELECT count(*) AS jobs FROM job WHERE erased_at IS NULL AND batch_id = (SELECT id FROM batch WHERE name = 'many')"
)


def test_an_erasure_of_many_jobs_that_is_killed_is_completed_by_the_same_order_and_nothing_is_erased_twice(
    node: Node, superuser: Engine, tmp_path: Path
) -> None:
    """The process waits for the lock of a job of its second transaction when it is killed."""
    many(node)
    before = reports(node)
    with superuser.connect() as tx:
        held = tx.execute(text(f"SELECT id FROM job WHERE key = '{JOBS_AT_ONCE + 500:06}' FOR UPDATE")).scalar_one()
        killed = erasing(node, tmp_path)
        with superuser.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
            until(lambda: other.execute(_WAITS).scalar_one(), "the second transaction waits")
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=30)
        tx.rollback()
    left = node.query(_LEFT)[0]["jobs"]

    again = erasing(node, tmp_path)
    said, _ = again.communicate(timeout=120)

    assert held is not None
    assert left == JOBS - JOBS_AT_ONCE
    assert (killed.returncode, again.returncode) == (-signal.SIGKILL, 0), said
    assert f"erased {left:,} jobs" in said
    assert node.query("SELECT jobs FROM erasure ORDER BY jobs") == [{"jobs": 1_000}, {"jobs": 5_000}, {"jobs": 5_000}]
    assert node.query(_LEFT) == [{"jobs": 0}]
    assert f"{SECRET}, " not in dumped(superuser).replace(f"{SECRET}, failing", "")
    assert broken(node) == {}
    assert reports(node) == before


UNSALTED = tuple(kind for kind in facts.DIGESTS if not kind.startswith("salted_"))


def test_after_an_upgrade_periods_that_were_sealed_without_salt_are_erased_and_proved(
    node: Node, superuser: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What versions before migration 0074 bound, as they bound it."""
    monkeypatch.setattr(facts, "SEALED", UNSALTED)
    node.submit({"key": "old", "prompt": f"{SECRET}, old", "note": NOTE}, name="old")
    node.run_until_quiet()
    for _ in range(2):
        sealing.close_books(node.services.database, datetime.now(UTC))
    monkeypatch.undo()
    node.submit({"key": "new", "prompt": f"{SECRET}, new", "note": NOTE}, name="new")
    node.run_until_quiet()
    for _ in range(2):
        sealing.close_books(node.services.database, datetime.now(UTC))
    before, digests = reports(node), node.query("SELECT digests FROM seal_fact ORDER BY seal_id")

    done = [erase(node, batch(node, name)) for name in ("old", "new", "portraits")]

    kinds = {row["kind"] for row in node.query("SELECT DISTINCT kind FROM erased_row")}
    assert {"job", "request", "batch", "salted_job", "salted_request", "salted_batch"} <= kinds
    assert [len(each.erasures) for each in done] == [1, 1, 1]
    assert [traces(each, dumped(superuser)) for each in (SECRET, NOTE)] == [set(), set()]
    assert node.query("SELECT digests FROM seal_fact ORDER BY seal_id") == digests
    assert broken(node) == {}
    assert reports(node) == before


def test_a_change_of_an_unsalted_period_is_still_named_after_an_erasure(
    node: Node, superuser: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "SEALED", UNSALTED)
    node.submit({"key": "old", "prompt": SECRET}, {"key": "kept", "prompt": "A chair"}, name="old")
    node.run_until_quiet()
    for _ in range(2):
        sealing.close_books(node.services.database, datetime.now(UTC))
    monkeypatch.undo()
    erase(node, job(node, "old"))
    believed = broken(node)

    with superuser.begin() as tx:
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(text("UPDATE job SET prompt = 'mine' WHERE key = 'kept'"))

    assert believed == {}
    assert "sealed_facts" in broken(node)


def refused(token: str, *requests: object) -> Delivery:
    """Return a producer's message with these lines."""
    body = json.dumps([[], {"batch": {"token": token, "name": token}, "requests": requests}, {}]).encode()
    return Delivery(
        queue=ENQUEUE,
        task=ENQUEUE,
        message_id=token,
        content_type="application/json",
        body=body,
        size_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )


def test_a_refused_batch_is_erased_with_its_message_and_the_words_of_its_faults(node: Node, superuser: Engine) -> None:
    """Of a message that cannot be read its first bytes are kept; of one that can, what is wrong with its lines."""
    faulty = refused("faces", {"prompt": SECRET, "image_size": NOTE}, {"prompt": f"{SECRET} 2", "model": NOTE})
    whole = refused("bytes", {"prompt": SECRET, "note": NOTE})
    unreadable = replace(whole, body=whole.body[:-3], sha256=hashlib.sha256(whole.body[:-3]).hexdigest())
    erase(node, batch(node, "portraits"))
    for each in (faulty, unreadable):
        fetch_stage.take_or_keep(node.services, each, json.loads)
    held = traces(NOTE, dumped(superuser))
    batches = [row["id"] for row in node.query("SELECT id FROM batch WHERE state = 'refused'")]
    targets = [Target(subject=f"batch:{each}", batch_id=each) for each in batches]

    done = [erase(node, each) for each in targets]
    again = [erase(node, each) for each in targets]

    dump = dumped(superuser)
    assert held == {"text", "bytes"}
    assert [traces(each, dump) for each in (SECRET, NOTE)] == [set(), set()]
    assert unreadable.sha256 not in dump
    assert [len(each.erasures) for each in (*done, *again)] == [1, 1, 0, 0]
    assert broken(node) == {}
