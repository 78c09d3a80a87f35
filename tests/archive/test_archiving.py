"""What archiving leaves as it was: every report to the byte, every proof, every cap; and what it removes."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.archive.conftest import archive, broken, counts, files, reader, seal, verified
from tests.pipeline.hooked import Crash, Fuse
from tests.pipeline.node import Node
from tests.reports.conftest import World
from worker.archive import parquet
from worker.archive.reading import ArchiveDamaged
from worker.audit import correct, erasing
from worker.audit.evidence import Printed, printed
from worker.audit.queries.erasures import Target
from worker.audit.reports import ReportQuery
from worker.audit.reports.snapshot import ArchiveNotRead
from worker.audit.rules.dispute_decision import Signature
from worker.audit.rules.reporting import By, Format, ReportName, SpendBy

ANN = Signature(actor="ann", reason="the invoice says so")


def everything(world: World) -> dict[tuple[str, str], Printed]:
    """Print every report as of the world's instant and as of an instant between its batches."""
    first = world.node.query("SELECT min(posted_at) + interval '2 seconds' AS at FROM credit_entry")
    asked: list[dict[str, Any]] = [{}, {"as_of": MIDDLE.setdefault("at", first[0]["at"])}]
    job_id = JOB.setdefault("id", (world.node.query("SELECT id FROM job WHERE key = 'chair-0'") or [{}])[0].get("id"))
    more: dict[ReportName, dict[str, Any]] = {
        ReportName.JOB: {"job_id": job_id},
        ReportName.SPEND: {"by": SpendBy.IMAGE},
        ReportName.STATEMENT: {"by": By.MODEL},
        ReportName.RECONCILE: {"near_s": 120, "top_up_from": 100},
    }
    return {
        (name, str(at)): printed(
            world.node.services.database,
            ReportQuery(report=name, **({"as_of": world.as_of} | each | more.get(name, {}))),
            Format.JSON,
            reader(world.node),
        )
        for name in ReportName
        for at, each in enumerate(asked)
    }


MIDDLE: dict[str, Any] = {}
JOB: dict[str, Any] = {}


def test_every_report_and_proof_is_the_same_when_its_rows_are_in_the_store(own_world: World) -> None:
    node = own_world.node
    MIDDLE.clear()
    JOB.clear()
    before, totals, rows = everything(own_world), verified(node).totals, counts(node)

    looked_at = {each.name: each.obstacle for each in archive(node)}

    assert looked_at == {"chairs": None, "lamps": None, "doubts": "in_doubt"}
    assert counts(node)["job"] == 1 < rows["job"]
    assert all(counts(node)[table] < rows[table] for table in ("generation", "credit_entry", "call", "result"))
    assert everything(own_world) == before
    assert broken(node) == {}
    assert verified(node).totals == totals
    assert [each.name for each in archive(node)] == ["doubts"]


@pytest.mark.parametrize("by", [By.DAY, By.OWNER, By.MODEL])
def test_a_statement_of_a_later_month_opens_the_same_when_the_month_before_is_archived(by: By, small: Node) -> None:
    small.clock.advance(timedelta(days=40))
    small.submit({"key": "c", "prompt": "3"}, name="later")
    small.run_until_quiet()
    seal(small)
    asked = ReportQuery(report=ReportName.STATEMENT, as_of=small.clock(), by=by, from_day=small.clock().date())
    before = printed(small.services.database, asked, Format.JSON, reader(small))

    archived = [each.name for each in archive(small)]

    assert archived == ["pair", "later"]
    assert before.evidence["control_totals"]["accounts.opening"] == 8
    assert printed(small.services.database, asked, Format.JSON, reader(small)) == before
    assert broken(small) == {}


def test_more_work_after_archiving_is_sealed_reported_and_believed(small: Node) -> None:
    archive(small)

    replay = small.submit({"key": "a", "prompt": "1"}, {"key": "b", "prompt": "2"}, name="pair", token="pair")
    small.submit({"key": "c", "prompt": "3"}, name="more")
    small.run_until_quiet()
    seal(small)

    assert not replay.is_new
    assert counts(small)["job"] == 1
    assert broken(small) == {}
    assert small.query("SELECT sum(committed) AS credits FROM owner_month")[0]["credits"] == 12
    archive(small)
    assert counts(small)["job"] == 0
    assert broken(small) == {}


def test_an_erased_prompt_stays_erased_and_proved_in_the_archive(small: Node) -> None:
    erased = Target(subject="job", job_id=small.query("SELECT id FROM job WHERE key = 'a'")[0]["id"])
    erasing.erase(small.services.database, small.services.store, erased, small.author("request 12"), approve_above=None)
    seal(small)

    archive(small)

    assert counts(small)["job"] == 0
    assert broken(small) == {}
    written = [parquet.decode(each.file.read_bytes()) for each in files(small) if "-job-" in each.path]
    prompts = {row[[each.name for each in names].index("prompt")] for names, rows in written for row in rows}
    assert {prompt[:10] for prompt in prompts} == {"(erased on", "2"}


def test_what_is_said_of_an_archived_batch_is_what_was_counted(small: Node) -> None:
    before = small.overview()

    archive(small)

    assert small.overview() == before
    assert (before.spent, before.state) == (8, "done")


def flip(content: bytes) -> bytes:
    """Change one byte in the middle."""
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def test_a_file_that_is_changed_or_gone_is_named_and_no_report_is_printed_without_it(small: Node) -> None:
    archive(small)
    entries, *others = files(small)
    entries.file.chmod(0o644)
    entries.file.write_bytes(flip(entries.file.read_bytes()))
    others[0].file.unlink()

    found = broken(small)

    assert {(each["file"], each["what"]) for each in found["archive_files"]} == {
        (entries.path, "is not as it was written"),
        (others[0].path, "is missing"),
    }
    assert "sealed_entries" in found
    asked = ReportQuery(report=ReportName.EXPORT, as_of=small.query("SELECT max(sealed_at) AS at FROM seal")[0]["at"])
    with pytest.raises(ArchiveDamaged, match="restore it from a copy"):
        printed(small.services.database, asked, Format.CSV, reader(small))
    with pytest.raises(ArchiveNotRead, match="1 archived batch"):
        printed(small.services.database, asked, Format.CSV)


@pytest.mark.parametrize("effects", [1, 5, 7, 8, 13, 25, 27, 29, 31, 33])
def test_a_kill_between_any_two_effects_loses_nothing_and_the_next_run_goes_on(effects: int, small: Node) -> None:
    totals = verified(small).totals
    fuse = Fuse(effects)
    small.services.database.listener = fuse  # type: ignore[attr-defined]
    small.services.store.listener = fuse  # type: ignore[attr-defined]

    with pytest.raises(Crash):
        archive(small)

    small.services.database.listener = small.services.store.listener = lambda _: None  # type: ignore[attr-defined]
    assert broken(small) == {}
    assert verified(small).totals == totals
    archive(small)
    assert counts(small)["job"] == 0
    assert broken(small) == {}
    assert verified(small).totals == totals


KEPT = {
    "unfinished": "UPDATE job SET state = 'pending', ended_at = NULL WHERE key = 'a' RETURNING id",
    "in_doubt": "UPDATE job SET state = 'in_doubt' WHERE key = 'a' RETURNING id",
    "not_downloaded": "DELETE FROM result WHERE job_id = (SELECT id FROM job WHERE key = 'a') RETURNING job_id",
    "unsealed": """
        INSERT INTO call (started_at, ended_at, account_id, generation_id, is_late, kind, outcome)
        SELECT clock_timestamp(), clock_timestamp(), account_id, id, false, 'get', 'ok' FROM generation
        RETURNING id""",
    "approval": """
        INSERT INTO approval (id, subject, request, requested_by, requested_at)
        SELECT gen_random_uuid(), 'generation:' || id, 'spent 0', 'ann', now() FROM generation RETURNING id""",
    "events": """
        INSERT INTO event (id, type, version, subject, data, created_at)
        SELECT gen_random_uuid(), 'batch.done', 1, 'batch:' || id, '{}', now() FROM batch RETURNING id""",
    "in_operation": """
        WITH made AS (
            INSERT INTO bulk_operation (id, action, selection, parameters, actor, state, created_at)
            VALUES (gen_random_uuid(), 'cancel', '{}', '{}', 'ann', 'running', now()) RETURNING id)
        INSERT INTO bulk_operation_item (operation_id, position, batch_id, seen, state)
        SELECT made.id, 1, batch.id, '{}', 'waiting' FROM made, batch RETURNING batch_id""",
}


@pytest.mark.parametrize("obstacle", KEPT)
def test_a_batch_of_which_something_may_still_change_is_kept(obstacle: str, small: Node) -> None:
    assert small.query(KEPT[obstacle])

    looked_at = archive(small)

    assert [each.obstacle for each in looked_at] == [obstacle]
    assert counts(small)["job"] == 2


def test_no_row_is_removed_that_is_not_archived_and_sealed(small: Node) -> None:
    """With the program's rights nothing is deleted at all; with the owner's only what archiving itself would."""
    database = small.services.database
    for statement in (
        "DELETE FROM credit_entry",
        "DELETE FROM job",
        "SELECT remove_archived((SELECT id FROM batch), 10)",
    ):
        with pytest.raises(Exception, match=r"permission denied|is not archived"), database.transaction() as tx:
            tx.execute(text(statement))
    for table in ("credit_entry", "call"):
        with pytest.raises(Exception, match="append-only"):
            small.query(f"DELETE FROM {table} RETURNING id")

    assert counts(small)["job"] == 2


def test_rows_that_an_insider_removed_without_their_files_are_named(small: Node) -> None:
    with small.services.database.transaction() as tx:
        tx.execute(
            text("""
                INSERT INTO archived_batch (batch_id, jobs, spent, entries, last_entry_id, sealed_until)
                SELECT id, '{"succeeded": 2}', 8, 6, 1000, now() + interval '1 day' FROM batch""")
        )
        tx.execute(text("SELECT remove_archived((SELECT id FROM batch), 10)"))

    found = broken(small)

    assert {"archive_rows", "sealed_entries", "sealed_facts", "committed"} <= found.keys()


def test_an_archived_generation_is_not_corrected_and_an_archived_job_not_retried(small: Node) -> None:
    generation_id = small.query("SELECT id FROM generation LIMIT 1")[0]["id"]
    archive(small)

    with pytest.raises(LookupError):
        correct.correct(
            small.services.database,
            generation_id,
            1,
            ANN,
            new_id=small.services.new_id,
            now=small.clock(),
            approve_above=None,
        )

    assert broken(small) == {}
