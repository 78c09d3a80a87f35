"""A create that the provider carries out long after its call has timed out: what the window promises, and what not.

Within the time for which the provider remembers a key nothing is paid twice, whenever the create arrives. Beyond it a
second task is possible; then the wallet shows it as spent by others.
"""

from datetime import timedelta
from typing import Any

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.doubts import ANN, date_tasks, doubtful
from tests.pipeline.node import Node
from tests.reports.conftest import read_wallet
from worker.audit import resolve
from worker.audit.reports import ReportQuery, build
from worker.audit.rules.dispute_decision import UnfitTask
from worker.audit.rules.reconciliation import Cause
from worker.audit.rules.reporting import ReportName
from worker.audit.sealing import closed_instant

LATE = timedelta(minutes=1)
LONG_AFTER = timedelta(hours=2)
WINDOW = timedelta(hours=1)
"""Ours, as the node has it; the provider's is 24 h unless a test says otherwise."""


def pass_time(node: Node, sandbox: Provider, span: timedelta) -> None:
    """Move both clocks; the sandbox delivers what is due by then."""
    node.clock.advance(span)
    sandbox.advance(span.total_seconds())


def creates(node: Node) -> list[tuple[int, str]]:
    rows = node.query("SELECT send, outcome FROM call WHERE kind = 'create' ORDER BY id")
    return [(row["send"], row["outcome"]) for row in rows]


def causes(node: Node) -> dict[str, Any]:
    """Explain the wallet by our entries; return what is left, by its cause."""
    database = node.services.database
    as_of = closed_instant(database, None, now=node.clock())
    with database.transaction() as tx:
        report = build(tx, ReportQuery(report=ReportName.RECONCILE, as_of=as_of))
    section = next(each for each in report.sections if each.name == "wallets")
    (row,) = section.rows
    named: dict[str, Any] = dict(zip((column.name for column in section.columns), row, strict=True))
    return {cause: -named[cause] for cause in map(str, Cause) if named[cause]}


def test_a_create_that_arrives_after_the_replay_was_answered_makes_no_second_task(
    node: Node, sandbox: Provider
) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "late_create"))
    node.run_until_quiet()

    sandbox.advance(LATE.total_seconds())

    assert creates(node) == [(1, "unknown"), (2, "ok")]
    assert node.jobs() == ["succeeded"]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_a_create_that_arrives_before_its_replay_is_what_the_replay_finds(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "late_create"))
    node.run_for(timedelta(seconds=0.2))

    sandbox.advance(LATE.total_seconds())
    (made,) = sandbox.tasks()
    node.run_until_quiet()

    assert node.query("SELECT provider_id FROM generation") == [{"provider_id": made["id"]}]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_every_send_of_a_create_may_arrive_late_and_in_any_order(node: Node, sandbox: Provider) -> None:
    node.submit({"prompt": "A chair"}, {"prompt": "A table"})
    sandbox.set(late_s=300)
    sandbox.script(*[("create", number, "late_create") for number in range(1, 7)])
    node.run_until_quiet()

    sandbox.advance(301)

    assert node.jobs() == ["succeeded"] * 2
    assert len(sandbox.tasks()) == 2
    books.check_all_done(node, sandbox)


@pytest.fixture
def still_on_its_way(node: Node, sandbox: Provider) -> Node:
    """Return a node whose only job is in doubt, while its create has not reached the provider yet."""
    read_wallet(node)
    node.submit({"prompt": "A chair"})
    sandbox.set(late_s=LONG_AFTER.total_seconds())
    sandbox.script(("create", 1, "late_create"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(WINDOW)
    node.run_until_quiet()
    assert (node.jobs(), sandbox.tasks()) == (["in_doubt"], [])
    return node


def test_a_create_that_arrives_while_its_job_is_in_doubt_is_covered_by_the_hold(
    still_on_its_way: Node, sandbox: Provider
) -> None:
    node = still_on_its_way

    pass_time(node, sandbox, LONG_AFTER)
    node.run_until_quiet()

    assert node.jobs() == ["in_doubt"]
    assert node.entries() == [("hold", 4)]
    assert len(sandbox.tasks()) == 1
    assert books.unclaimed(node, sandbox) == {sandbox.tasks()[0]["id"]}
    assert books.failed_checks(node) == []


def test_what_arrived_while_a_job_was_in_doubt_is_adopted_by_its_id_with_force_and_paid_once(
    still_on_its_way: Node, sandbox: Provider
) -> None:
    node = still_on_its_way
    pass_time(node, sandbox, LONG_AFTER)
    (made,) = sandbox.tasks()
    date_tasks(node, LONG_AFTER)
    with pytest.raises(UnfitTask, match="say so with --force"):
        resolve.adopt(node.services, doubtful(node), made["id"], ANN)

    resolve.adopt(node.services, doubtful(node), made["id"], ANN, may_be_misdated=True)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    assert len(sandbox.tasks()) == 1
    books.check_all_done(node, sandbox)


def test_a_create_that_arrives_when_the_provider_has_forgotten_its_key_is_spent_by_others_in_the_reconciliation(
    node: Node, sandbox: Provider
) -> None:
    read_wallet(node)
    node.submit({"prompt": "A chair"})
    sandbox.set(idempotency_window_s=600, late_s=1200)
    sandbox.script(("create", 1, "late_create"))
    node.run_until_quiet()
    node.clock.advance(timedelta(minutes=10))
    read_wallet(node)

    pass_time(node, sandbox, timedelta(minutes=20))
    node.clock.advance(timedelta(minutes=10))
    read_wallet(node)

    assert len(sandbox.tasks()) == 2
    assert node.entries() == [("hold", 4), ("reserve", 4), ("settle", 4)]
    assert books.failed_checks(node) == []
    assert causes(node) == {"outside_spend": 4}
