"""A report of an instant is the same for ever, whatever happens afterwards."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.reports.conftest import World
from worker.audit.evidence import Printed
from worker.audit.rules.reporting import Format, ReportName
from worker.audit.sealing import NotClosed, closed_instant

FORMATS = [Format.TABLE, Format.CSV, Format.JSON, Format.XLSX]


def everything(world: World) -> dict[tuple[str, str], Printed]:
    """Print every report in every format as of the world's instant."""
    job_id = world.node.query("SELECT id FROM job WHERE key = 'chair-0'")[0]["id"]
    return {
        (name, each): world.printed(name, each, **({"job_id": job_id} if name is ReportName.JOB else {}))
        for name in ReportName
        for each in FORMATS
    }


def test_printing_again_after_more_work_gives_the_same_bytes(own_world: World) -> None:
    before = everything(own_world)
    sealed = own_world.as_of
    own_world.node.submit({"key": "more", "prompt": "More"}, name="more", owner="shop")
    own_world.node.run_until_quiet()
    own_world.read_wallet()
    own_world.node.clock.advance(timedelta(days=40))
    own_world.close()

    own_world.as_of = sealed

    assert everything(own_world) == before


def test_more_work_is_in_the_next_report(own_world: World) -> None:
    before = own_world.printed(ReportName.SPEND, Format.CSV)
    own_world.node.submit({"key": "more", "prompt": "More"}, name="more", owner="shop")
    own_world.node.run_until_quiet()

    own_world.close()

    assert own_world.printed(ReportName.SPEND, Format.CSV).body.count(b"\n") == before.body.count(b"\n") + 1


LATE = {
    "reading": """
        INSERT INTO wallet_reading (id, account_id, credits, read_at)
        SELECT gen_random_uuid(), id, 1, :then FROM account""",
    "call": """
        INSERT INTO call (started_at, ended_at, account_id, generation_id, is_late, kind, outcome)
        SELECT :then, :then, account_id, id, false, 'get', 'ok' FROM generation""",
}


@pytest.mark.parametrize("what", LATE)
def test_what_is_written_late_with_an_old_time_is_not_in_an_old_report(what: str, own_world: World) -> None:
    before = everything(own_world)

    with own_world.node.services.database.transaction() as tx:
        tx.execute(text(LATE[what]), {"then": own_world.as_of - timedelta(minutes=1)})

    assert everything(own_world) == before


def test_closing_waits_for_a_call_that_is_being_written(own_world: World) -> None:
    """Else it would be dated before the seal, and be in a report that was printed without it."""
    with own_world.node.services.database.transaction() as tx:
        tx.execute(text(LATE["call"]), {"then": own_world.as_of})

        with own_world.node.services.database.transaction() as other:
            is_free = other.execute(text("SELECT pg_try_advisory_xact_lock(7041776402155231113)")).scalar()

    assert is_free is False


def test_an_instant_in_the_future_is_refused(world: World) -> None:
    future = datetime(2100, 1, 1, tzinfo=UTC)

    with pytest.raises(NotClosed, match="name an earlier --as-of"):
        closed_instant(world.node.services.database, future, now=world.node.clock())
