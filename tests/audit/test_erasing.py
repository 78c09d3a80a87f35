"""Erased prompts and references are nowhere any more, and the books are proved as before."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from tests.audit.conftest import Tamper
from tests.fixtures import pictures
from tests.fixtures.provider import Provider
from tests.pipeline import node as nodes
from tests.pipeline.conftest import process, sandbox
from tests.pipeline.node import Clock, Node
from worker.audit import erasing, sealing
from worker.audit.erasing import BooksDiffer, Erased, FilesLeft, NotErasable
from worker.audit.queries.erasures import Target
from worker.audit.reports import ReportQuery, build
from worker.audit.rules.reporting import ReportName
from worker.audit.verify import Verification, run_checks, verify
from worker.batches import control
from worker.batches.actions import JobsErased
from worker.ledger.second_person import SecondPersonNeeded

__all__ = ["process", "sandbox"]

SECRET, NOTE, REVIEW = "Portrait of Wilhelmina Zyx", "order of Wilhelmina Zyx", "Zyx"
EVERYTHING = (ReportName.SPEND, ReportName.STATEMENT, ReportName.TRIAL_BALANCE, ReportName.EXPORT)


@pytest.fixture
def node(database_url: str, tmp_path: Path, sandbox: Provider) -> Iterator[Node]:
    """Yield sealed books of two batches: portraits, of which one failed in the provider's words, and chairs."""
    made = nodes.make(database_url, tmp_path, Clock(), base_url=sandbox.base_url, key=sandbox.key)
    pictures.reference(made.folder, "source.png", shade=7)
    pictures.reference(made.folder, "chair.png", shade=9)
    sandbox.script(("create", 1, "fail_generation"), ("create", 2, "fail_generation"))
    made.submit(
        {"key": "failed", "prompt": f"{SECRET}, failing", "note": NOTE},
        {"key": "face", "prompt": SECRET, "reference": "source.png", "note": NOTE},
        {"key": "both", "prompt": f"{SECRET} on a chair", "reference": "chair.png"},
        name="portraits",
    )
    made.submit({"key": "chair", "prompt": "A chair", "reference": "chair.png"}, name="chairs")
    made.run_until_quiet()
    made.query("UPDATE job SET failure_message = :said WHERE key = 'failed' RETURNING id", said=f"no {SECRET}")
    for _ in range(2):
        sealing.close_books(made.services.database, datetime.now(UTC))
    yield made
    made.services.client.close()
    made.services.database.close()


def job(node: Node, key: str) -> Target:
    """Return the job with this key as a target."""
    job_id = node.query("SELECT id FROM job WHERE key = :key", key=key)[0]["id"]
    return Target(subject=f"job:{job_id}", job_id=job_id)


def batch(node: Node, name: str) -> Target:
    """Return the whole batch of this name as a target."""
    batch_id = node.query("SELECT id FROM batch WHERE name = :name", name=name)[0]["id"]
    return Target(subject=f"batch:{batch_id}", batch_id=batch_id)


def erase(node: Node, target: Target, *, by: str = "ann", above: int | None = None) -> Erased:
    author = node.author("request 12")
    author = type(author)(actor=by, reason=author.reason, now=author.now, new_id=author.new_id)
    return erasing.erase(node.services.database, node.services.store, target, author, approve_above=above)


def proved(node: Node) -> Verification:
    with node.services.database.engine.connect() as tx:
        return verify(tx)


def broken(node: Node) -> dict[str, tuple[Mapping[str, Any], ...]]:
    return {check.name: check.examples for check in proved(node).checks if not check.ok}


def dumped(engine: Engine) -> str:
    """Return every row of every table as text; bytes are in hexadecimal."""
    with engine.connect() as tx:
        tables = tx.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
        ).scalars()
        return "\n".join(
            row for table in tables.all() for row in tx.execute(text(f'SELECT t::text FROM "{table}" t')).scalars()
        )


def traces(of: str, dump: str) -> set[str]:
    """Return in which forms a text, or its SHA-256, is in a dump."""
    forms = {
        "text": of,
        "bytes": of.encode().hex(),
        "hash": hashlib.sha256(of.encode()).hexdigest(),
    }
    return {name for name, form in forms.items() if form in dump}


def reports(node: Node) -> list[tuple[str, Any]]:
    """Return the tables of reports as of the last seal."""
    as_of = node.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"]
    with node.services.database.transaction() as tx:
        return [(name, build(tx, ReportQuery(report=name, as_of=as_of)).sections) for name in EVERYTHING]


def test_nothing_of_an_erased_batch_is_in_the_database_or_the_store_and_the_books_are_proved(
    node: Node, superuser: Engine
) -> None:
    before, fingerprints = reports(node), [row["fingerprint"] for row in node.query("SELECT fingerprint FROM job")]
    face = pictures.reference(node.folder, "source.png", shade=7)
    chair = pictures.reference(node.folder, "chair.png", shade=9)

    done = erase(node, batch(node, "portraits"))

    dump = dumped(superuser)
    assert [traces(each, dump) for each in (SECRET, NOTE, REVIEW, "source.png")] == [set()] * 4
    assert sum(each in dump for each in fingerprints) == 1
    assert [each.jobs for each in done.erasures] == [3]
    assert (node.services.store.exists(f"references/{face}"), done.files) == (False, 1)
    assert node.services.store.exists(f"references/{chair}")
    assert broken(node) == {}
    assert reports(node) == before


def test_verify_names_who_erased_what_and_an_erasure_is_sealed_like_other_facts(node: Node, tamper: Tamper) -> None:
    target = job(node, "face")
    erase(node, target)

    [note] = next(check.notes for check in proved(node).checks if check.name == "erasures")
    for _ in range(2):
        sealing.close_books(node.services.database, datetime.now(UTC))
    believed = broken(node)
    tamper("UPDATE erasure SET reason = 'none'")

    assert (note["subject"], note["jobs"], note["actor"], note["reason"]) == (target.subject, 1, "ann", "request 12")
    assert note["sealed_rows"] >= 3
    assert believed == {}
    assert broken(node).keys() == {"sealed_facts", "erasures"}


TAMPERED = {
    "the price of an erased job": "UPDATE job SET price = price + 1 WHERE erased_at IS NOT NULL",
    "the prompt of an erased job": "UPDATE job SET prompt = 'mine' WHERE erased_at IS NOT NULL",
    "the prompt of another job": "UPDATE job SET prompt = 'mine' WHERE key = 'chair'",
    "the request of another job": """
        UPDATE generation SET body = 'mine' WHERE job_id = (SELECT id FROM job WHERE key = 'chair')""",
    "the record of a row": "UPDATE erased_row SET before = sha256('mine') WHERE kind = 'salted_job'",
    "the record of its other state": "UPDATE erased_row SET after = sha256('mine') WHERE kind = 'salted_job'",
    "a row's record, deleted": "DELETE FROM erased_row WHERE kind = 'salted_request'",
    "a job deleted": "DELETE FROM credit_entry WHERE kind = 'hold'",
}


def test_what_is_changed_after_an_erasure_is_still_named(node: Node, superuser: Engine) -> None:
    erase(node, job(node, "face"))

    named = {}
    for what, statement in TAMPERED.items():
        with superuser.connect() as tx:
            tx.execute(text("SET LOCAL session_replication_role = replica"))
            assert tx.execute(text(statement)).rowcount > 0
            named[what] = {check.name for check in run_checks(tx) if not check.ok}
            tx.rollback()

    assert {what: "sealed_facts" in names for what, names in named.items()} == dict.fromkeys(TAMPERED, True)


def test_a_change_is_not_hidden_by_forging_an_erasure_of_a_row_that_keeps_its_text(node: Node, tamper: Tamper) -> None:
    tamper("UPDATE job SET price = price + 1 WHERE key = 'chair'")
    tamper("""
        INSERT INTO erasure (id, subject, actor, reason, jobs, reference_images, erased_at)
        VALUES ('00000000-0000-0000-0000-000000000001', 'job:x', 'eve', 'none', 1, 0, now())""")
    tamper("""
        INSERT INTO erased_row (seal_id, kind, key, erasure_id, before, after)
        SELECT min(f.seal_id), 'salted_job', min(e.id)::text, '00000000-0000-0000-0000-000000000001', sha256('x'),
            sha256('x') FROM seal_fact f, credit_entry e
            WHERE e.generation_id IN (SELECT g.id FROM generation g JOIN job j ON j.id = g.job_id WHERE j.key = 'chair')
                AND e.kind = 'hold'""")

    assert {"erasures", "sealed_facts"} <= broken(node).keys()


def test_what_was_changed_before_is_not_erased_but_named(node: Node, tamper: Tamper) -> None:
    tamper("UPDATE job SET price = price + 1 WHERE key = 'face'")

    with pytest.raises(BooksDiffer, match="audit verify"):
        erase(node, batch(node, "portraits"))

    assert node.query("SELECT count(*) AS n FROM job WHERE erased_at IS NOT NULL") == [{"n": 0}]
    assert node.query("SELECT count(*) AS n FROM erasure") == [{"n": 0}]


def test_the_applications_role_erases_by_the_function_alone(node: Node, superuser: Engine) -> None:
    for statement in (
        "UPDATE job SET prompt = 'mine'",
        "INSERT INTO erasure SELECT * FROM erasure",
        "SET LOCAL darkroom.is_erasing = 'yes'; UPDATE call SET message = 'mine'",
        "SET LOCAL darkroom.is_erasing = 'yes'; UPDATE catalog_rejection SET prompt = 'mine'",
    ):
        with superuser.connect() as tx:
            tx.execute(text("SET LOCAL ROLE darkroom_app"))
            with pytest.raises(DBAPIError, match="permission denied"):
                tx.exec_driver_sql(statement)

    assert node.query("SELECT count(*) AS n FROM job WHERE prompt = 'mine'") == [{"n": 0}]


def test_what_has_not_ended_is_not_erased(node: Node) -> None:
    node.submit({"key": "waits", "prompt": SECRET}, name="waiting")

    with pytest.raises(NotErasable, match=r"1 of its jobs have not ended: wait for them, or `darkroom cancel"):
        erase(node, batch(node, "waiting"))

    assert node.query("SELECT prompt FROM job WHERE key = 'waits'") == [{"prompt": SECRET}]


def test_an_erased_job_is_not_ordered_again(node: Node, superuser: Engine) -> None:
    target = batch(node, "portraits")
    assert target.batch_id is not None
    node.query("UPDATE job SET state = 'failed' WHERE key IN ('failed', 'face') RETURNING id")
    erase(node, target)

    with pytest.raises(JobsErased, match="submit them as a new batch"):
        control.retry_failed(node.services.database, target.batch_id, node.author(), approve_above=None)
    with superuser.connect() as tx, pytest.raises(Exception, match="ck_job_erased_has_ended"):
        tx.execute(text("UPDATE job SET state = 'pending' WHERE erased_at IS NOT NULL"))


def test_a_reference_is_erased_from_jobs_that_have_ended_and_taken_in_again_when_it_is_sent_again(node: Node) -> None:
    chair = pictures.reference(node.folder, "chair.png", shade=9)
    target = Target(subject=f"reference:{chair}", image=chair)

    done = erase(node, target)
    is_there = node.services.store.exists(f"references/{chair}")
    node.submit({"key": "again", "prompt": "A chair", "reference": "chair.png"}, name="again")
    node.run_until_quiet()

    assert ([each.reference_images for each in done.erasures], done.files, is_there) == ([1], 1, False)
    assert node.query("SELECT state FROM job WHERE key = 'again'") == [{"state": "succeeded"}]
    assert node.query("SELECT name, erased_at FROM reference WHERE sha256 = :it", it=chair) == [
        {"name": "chair.png", "erased_at": None}
    ]
    assert broken(node) == {}


def test_files_that_could_not_be_removed_are_removed_by_the_same_order_again(node: Node) -> None:
    target, store = batch(node, "portraits"), Path(node.services.store.place)
    store.rename(store.with_name("elsewhere"))

    with pytest.raises(FilesLeft, match="run the same command again"):
        erase(node, target)
    store.with_name("elsewhere").rename(store)
    again = erase(node, target)

    assert (again.erasures, again.files) == ((), 1)


def test_a_second_person_is_needed_where_costly_orders_need_one(node: Node) -> None:
    target = job(node, "face")

    with pytest.raises(SecondPersonNeeded):
        erase(node, target, above=1000)
    waiting = node.query("SELECT erased_at FROM job WHERE key = 'face'")
    erase(node, target, by="bob", above=1000)

    assert waiting == [{"erased_at": None}]
    assert len(node.query("SELECT FROM erasure")) == 1
