"""An owner holds a batch back, continues it, or moves it to another class; what is begun is always brought home."""

from uuid import UUID

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.node import Node
from worker.accounts.queries import accounts
from worker.batches import bulk_actions, control
from worker.batches.bulk_actions import Order
from worker.batches.control import ChangedMeanwhile
from worker.batches.queries import overview
from worker.batches.queries.overview import Overview
from worker.batches.rules.selection import Selection
from worker.core.db.changes import Author
from worker.core.rules.batch_request import Priority
from worker.core.rules.batch_state import ActionRefused, BatchAction, BatchState
from worker.engine import dispatch
from worker.engine.queries import batches

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
    with node.services.database.transaction() as tx:
        accounts.configure(tx, node.services.account_id, rate=1000.0, max_in_flight=room, now=node.clock())


def look(node: Node) -> Overview:
    with node.services.database.transaction() as tx:
        return overview.read(tx, batches.newest(tx, limit=1)[0], now=node.clock())


def test_a_paused_batch_begins_nothing_more_and_brings_home_what_is_begun(node: Node, sandbox: Provider) -> None:
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

    found = look(node)
    assert found.state == "paused"
    assert found.obstacle is not None
    assert found.obstacle.reason == "batch paused by ann: the sale"
    assert found.obstacle.next_step == f"`darkroom resume {receipt.batch_id}`"


def test_a_paused_batch_of_which_all_has_ended_is_done(node: Node) -> None:
    receipt = node.submit(CHAIR)
    node.round()
    pause(node, receipt.batch_id)

    node.run_until_quiet()

    assert look(node).state == "done"


def test_asking_again_for_failed_jobs_does_not_let_a_paused_batch_go_on(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()
    pause(node, receipt.batch_id)

    effect = control.retry_failed(node.services.database, receipt.batch_id, now=node.clock())
    node.run_until_quiet()

    assert effect is not None
    assert effect.is_paused
    assert node.jobs() == ["pending"]


def test_asking_again_for_failed_jobs_opens_a_cancelled_batch(node: Node, sandbox: Provider) -> None:
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()
    control.cancel(node.services.database, receipt.batch_id, now=node.clock())

    control.retry_failed(node.services.database, receipt.batch_id, now=node.clock())
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

    assert (look(node).state, node.jobs()) == ("done", ["succeeded"])


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


def test_a_filter_means_batches_that_are_not_over_and_shows_what_is_reached(node: Node, sandbox: Provider) -> None:
    node.submit(CHAIR, owner="mia", name="over")
    node.run_until_quiet()
    narrow(node)
    node.submit(CHAIR, CHAIR, CHAIR, owner="mia", name="spring-1")
    node.round()
    node.submit(CHAIR, owner="tom", name="spring-2")

    frozen = bulk_actions.freeze(node.services.database, BatchAction.CANCEL, Selection(owner="mia"))

    (reach,) = frozen.targets
    assert (reach.name, reach.pending, reach.pending_credits) == ("spring-1", 2, 8)
    assert (reach.begun, reach.unsent, reach.unsent_credits, reach.at_provider_credits) == (1, 0, 0, 4)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        (Selection(name="spring*"), ["spring-1", "spring_2"]),
        (Selection(name="spring_?"), ["spring_2"]),
        (Selection(priority=Priority.INTERACTIVE), ["spring_2"]),
        (Selection(owner="mia", name="*2"), []),
    ],
)
def test_all_parts_of_a_filter_must_hold(selection: Selection, names: list[str], node: Node) -> None:
    node.submit(CHAIR, owner="mia", name="spring-1")
    node.submit(CHAIR, owner="tom", name="spring_2", priority="interactive")
    node.submit(CHAIR, owner="tom", name="autumn")

    frozen = bulk_actions.freeze(node.services.database, BatchAction.PAUSE, selection)

    assert [reach.name for reach in frozen.targets] == names


def test_only_the_frozen_batches_are_acted_on(node: Node) -> None:
    database = node.services.database
    node.submit(CHAIR, owner="mia", name="before")
    frozen = bulk_actions.freeze(database, BatchAction.PAUSE, Selection(owner="mia"))
    node.submit(CHAIR, owner="mia", name="after")

    bulk_actions.act(database, frozen, Order(action=BatchAction.PAUSE, author=author(node)))

    states = {row["name"]: row["state"] for row in node.query("SELECT name, state FROM batch")}
    assert states == {"before": "paused", "after": "open"}


def test_a_frozen_batch_whose_state_has_changed_is_left_alone_and_says_so(node: Node) -> None:
    database = node.services.database
    receipt = node.submit(CHAIR, owner="mia")
    frozen = bulk_actions.freeze(database, BatchAction.CANCEL, Selection(owner="mia"))
    pause(node, receipt.batch_id)

    (done,) = bulk_actions.act(database, frozen, Order(action=BatchAction.CANCEL, author=author(node)))

    assert done.refusal == str(ChangedMeanwhile(receipt.batch_id, BatchState.PAUSED))
    assert node.jobs() == ["pending"]
