"""An owner holds a batch back, continues it, or moves it to another class; what is begun is always downloaded."""

from uuid import UUID

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.batches import control
from worker.core.db.changes import Author
from worker.core.rules.batch_request import Priority
from worker.core.rules.states import ActionRefused
from worker.engine import dispatch

CHAIR = {"prompt": "A chair"}
CHANGES = "SELECT field, before, after, actor, reason FROM change ORDER BY id"


def author(node: Node) -> Author:
    return Author(actor="ann", reason="the sale", now=node.clock(), new_id=node.services.new_id)


def pause(node: Node, batch_id: UUID) -> None:
    control.pause(node.services.database, batch_id, author(node))


def resume(node: Node, batch_id: UUID) -> None:
    control.resume(node.services.database, batch_id, author(node))


def narrow(node: Node, room: int = 1) -> None:
    """Leave room for so many live jobs."""
    node.limit(rate=1000.0, window=room)


def test_a_paused_batch_begins_nothing_more_and_downloads_what_is_begun(node: Node, sandbox: Provider) -> None:
    narrow(node)
    receipt = node.submit(CHAIR, CHAIR)
    node.round()

    pause(node, receipt.batch_id)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded", "pending"]
    assert len(sandbox.tasks()) == 1
    books.check(node, sandbox)


def test_a_resumed_batch_renders_the_rest(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR, CHAIR)
    pause(node, receipt.batch_id)
    node.run_until_quiet()

    resume(node, receipt.batch_id)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded", "succeeded"]
    books.check_all_done(node, sandbox)


def test_a_job_that_goes_back_in_line_in_a_paused_batch_waits_and_goes_on_when_it_is_resumed(
    node: Node, sandbox: Provider
) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "fail_generation"))
    node.round()

    pause(node, receipt.batch_id)
    node.run_until_quiet()
    held_back = node.jobs()
    resume(node, receipt.batch_id)
    node.run_until_quiet()

    assert held_back == ["pending"]
    assert node.jobs() == ["succeeded"]
    books.check_all_done(node, sandbox)


def test_a_paused_batch_says_who_holds_it_back_and_how_it_goes_on(node: Node) -> None:
    receipt = node.submit(CHAIR)

    pause(node, receipt.batch_id)

    found = node.overview()
    assert found.state == "paused"
    assert found.obstacle is not None
    assert found.obstacle.reason == "batch paused by ann: the sale"
    assert found.obstacle.next_step == f"`darkroom resume {receipt.batch_id}`"


def test_a_paused_batch_of_which_all_has_ended_is_done(node: Node) -> None:
    receipt = node.submit(CHAIR)
    node.round()
    pause(node, receipt.batch_id)

    node.run_until_quiet()

    assert node.overview().state == "done"


def test_asking_again_for_failed_jobs_does_not_let_a_paused_batch_go_on(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()
    pause(node, receipt.batch_id)

    effect = control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    node.run_until_quiet()

    assert effect is not None
    assert effect.is_paused
    assert node.jobs() == ["pending"]


def test_asking_again_for_failed_jobs_opens_a_cancelled_batch(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()
    control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    control.retry_failed(node.services.database, receipt.batch_id, node.author(), approve_above=None)
    node.run_until_quiet()

    assert node.jobs() == ["succeeded"]


def test_a_paused_batch_can_be_cancelled(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    pause(node, receipt.batch_id)

    effect = control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    assert (effect.cancelled, node.jobs()) == (1, ["cancelled"])
    books.check_all_done(node, sandbox)


def test_a_batch_that_had_ended_before_it_was_cancelled_is_done(node: Node) -> None:
    receipt = node.submit(CHAIR)
    node.run_until_quiet()

    control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    assert (node.overview().state, node.jobs()) == ("done", ["succeeded"])


def test_a_cancelled_batch_is_not_resumed(node: Node) -> None:
    receipt = node.submit(CHAIR)
    control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    with pytest.raises(ActionRefused, match="is cancelled and cannot be resumed"):
        resume(node, receipt.batch_id)


def test_a_batch_in_a_more_urgent_class_has_most_of_the_turns(node: Node) -> None:
    narrow(node, room=17)
    node.submit(*[CHAIR] * 40, name="slow")
    urgent = node.submit(*[CHAIR] * 40, name="urgent")

    control.reprioritise(
        node.services.database, urgent.batch_id, author(node), priority=Priority.INTERACTIVE, weight=None
    )
    dispatch.run(node.services)

    admitted = "SELECT b.name, count(*) AS n FROM generation g JOIN batch b ON b.id = g.batch_id GROUP BY 1"
    counts = {row["name"]: row["n"] for row in node.query(admitted)}
    assert counts == {"urgent": 16, "slow": 1}


def test_each_change_is_kept_with_who_and_why(node: Node) -> None:
    receipt = node.submit(CHAIR)
    database, by = node.services.database, author(node)

    pause(node, receipt.batch_id)
    control.reprioritise(database, receipt.batch_id, by, priority=Priority.REFRESH, weight=3)
    resume(node, receipt.batch_id)
    control.cancel(database, receipt.batch_id, now=node.clock(), by=by)

    assert [tuple(row.values())[:3] for row in node.query(CHANGES)] == [
        ("state", "open", "paused"),
        ("priority", "bulk", "refresh"),
        ("weight", "1", "3"),
        ("state", "paused", "open"),
        ("state", "open", "cancelled"),
    ]
    assert {(row["actor"], row["reason"]) for row in node.query(CHANGES)} == {("ann", "the sale")}
