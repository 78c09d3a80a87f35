"""Each event is raised by the change that it tells of, in its transaction, once."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from tests.catalog.team import Team, accept
from tests.fixtures.provider import Provider
from tests.hooks.desk import Desk
from tests.pipeline.conftest import NodeFor
from tests.pipeline.doubts import ANN, doubtful
from tests.pipeline.node import Node
from worker.accounts import control as account_control
from worker.audit import resolve
from worker.batches import control, deadlines
from worker.batches import events as batch_events
from worker.catalog.publishing import go_live
from worker.catalog.rules.catalog import RenderState
from worker.core.db import outbox
from worker.core.rules import events
from worker.core.rules.errors import PauseReason
from worker.core.rules.events import SUBSCRIBABLE, EventType

CHAIR = {"prompt": "A chair"}
ANYWHERE = "https://shop.example/hook"


def subscribed(node: Node, *types: EventType) -> Desk:
    desk = Desk(node=node)
    desk.add(ANYWHERE, *(types or SUBSCRIBABLE))
    return desk


def shape(value: Any) -> Any:
    """Return the keys of nested data, without its values."""
    if isinstance(value, Mapping):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None


def assert_as_documented(type_: EventType, data: Mapping[str, Any]) -> None:
    """A key that the example has with a value may be empty here, and the other way around."""
    assert set(data) == set(type_.example), type_
    for key, example in type_.example.items():
        if isinstance(example, Mapping) and isinstance(data[key], Mapping):
            assert shape(data[key]) == shape(example), (type_, key)


def test_a_batch_is_done_when_its_last_job_has_ended(node: Node) -> None:
    desk = subscribed(node, EventType.BATCH_DONE)
    receipt = node.submit(CHAIR, CHAIR | {"prompt": "A table"}, owner="mia", name="chairs")
    desk.relay()
    before = desk.events()

    node.run_until_quiet()
    desk.relay()

    (data,) = desk.events()
    assert before == []
    assert data["batch"] == {"id": str(receipt.batch_id), "name": "chairs", "owner": "mia"}
    assert data["jobs"] == {"succeeded": 2, "failed": 0, "cancelled": 0, "in_doubt": 0}
    assert data["credits"] == {"spent": 8, "reserved": 0, "committed": 8, "cap": None}
    assert_as_documented(EventType.BATCH_DONE, data)


def test_a_batch_is_told_to_be_done_once_however_often_and_by_how_many_nodes_it_is_looked_at(
    node: Node, node_for: NodeFor
) -> None:
    desk = subscribed(node, EventType.BATCH_DONE)
    node.submit(CHAIR)
    node.run_until_quiet()

    for each in (node, node_for(), node):
        batch_events.write_due(each.services.database, now=desk.clock())

    assert len(desk.events()) == 1


def test_a_cancelled_batch_is_done(node: Node) -> None:
    desk = subscribed(node, EventType.BATCH_DONE)
    receipt = node.submit(CHAIR)
    control.cancel(node.services.database, receipt.batch_id, now=desk.clock())

    desk.relay()

    (data,) = desk.events()
    assert (data["state"], data["jobs"]["cancelled"]) == ("cancelled", 1)


def test_a_batch_whose_failed_jobs_are_retried_is_done_again(node: Node, sandbox: Provider) -> None:
    desk = subscribed(node, EventType.BATCH_DONE)
    receipt = node.submit(CHAIR)
    sandbox.script(("create", 1, "charge_failed"))
    node.run_until_quiet()
    desk.relay()
    control.retry_failed(node.services.database, receipt.batch_id, desk.author(), approve_above=None)
    desk.relay()
    meanwhile = len(desk.events())

    node.run_until_quiet()
    desk.relay()

    assert (meanwhile, len(desk.events())) == (1, 2)


def test_a_batch_of_before_the_subscription_is_not_told_of(node: Node) -> None:
    node.submit(CHAIR)
    node.run_until_quiet()
    batch_events.write_due(node.services.database, now=node.clock())

    desk = subscribed(node, EventType.BATCH_DONE)
    desk.relay()

    assert desk.events() == []


def test_a_job_whose_create_stays_unanswered_is_told_of_as_in_doubt(node: Node, sandbox: Provider) -> None:
    desk = subscribed(node, EventType.JOB_IN_DOUBT)
    node.submit({"prompt": "A table"}, owner="mia", name="tables")
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    node.clock.advance(timedelta(hours=2))
    node.run_until_quiet()

    (data,) = desk.events(EventType.JOB_IN_DOUBT)
    assert (data["batch"]["name"], data["jobs"], data["credits"]) == ("tables", 1, 4)
    assert_as_documented(EventType.JOB_IN_DOUBT, data)


def test_doubts_of_one_batch_that_come_together_are_one_event_that_lists_few_of_them(
    node: Node, sandbox: Provider
) -> None:
    desk = subscribed(node, EventType.JOB_IN_DOUBT)
    sandbox.set(latency_median_s=10**6)
    many = events.MOST_EXAMPLES + 5
    receipt = node.submit(*({"prompt": f"Chair {n}"} for n in range(many)))
    node.run_for(timedelta(minutes=5))
    author = desk.author()
    deadlines.change(node.services.database, receipt.batch_id, node.clock() + timedelta(minutes=1), author)
    node.clock.advance(timedelta(hours=1))

    deadlines.end_passed(node.services.database, node.services.account_id, now=node.clock())
    desk.relay()

    (data,) = desk.events(EventType.JOB_IN_DOUBT)
    assert (data["batch"]["id"], data["jobs"], data["credits"]) == (str(receipt.batch_id), many, 4 * many)
    assert len(data["first"]) == events.MOST_EXAMPLES


def test_doubts_that_are_written_one_by_one_are_merged_before_they_are_delivered(desk: Desk) -> None:
    desk.add(ANYWHERE, EventType.JOB_IN_DOUBT)
    batch = events.batch_named(desk.node.services.new_id(), "chairs", "mia")
    for n in range(30):
        with desk.node.services.database.transaction() as tx:
            data = {"batch": batch, "jobs": 1, "credits": 4, "first": [{"job": n}]}
            outbox.emit(tx, EventType.JOB_IN_DOUBT, data, subject=f"batch:{batch['id']}")

    desk.relay()

    (delivery,) = desk.deliveries()
    merged = desk.node.query("SELECT data FROM event WHERE id = :id", id=delivery["event_id"])[0]["data"]
    assert (merged["jobs"], merged["credits"], len(merged["first"])) == (30, 120, events.MOST_EXAMPLES)


def test_a_batch_whose_cap_does_not_pay_its_next_job_is_held_up_once_for_each_cap(node: Node) -> None:
    desk = subscribed(node, EventType.BATCH_HELD_UP)
    receipt = node.submit(*({"prompt": f"Chair {n}"} for n in range(4)), credit_cap=6)
    node.run_for(timedelta(seconds=30))
    desk.relay()
    desk.relay()
    first = desk.events()
    control.cap_batch(node.services.database, receipt.batch_id, 11, desk.author(), approve_above=None)
    node.run_for(timedelta(seconds=30))
    desk.relay()

    assert [(each["reason"], each["credits"]) for each in first] == [
        ("cap_reached", {"committed": 4, "cap": 6, "next_job": 4})
    ]
    assert [each["credits"]["cap"] for each in desk.events()] == [6, 11]
    assert_as_documented(EventType.BATCH_HELD_UP, first[0])


def test_a_batch_whose_deadline_is_near_is_held_up_once_for_each_deadline(node: Node) -> None:
    desk = subscribed(node, EventType.BATCH_HELD_UP)
    account_control.pause(node.services.database, "default", desk.author())
    receipt = node.submit(CHAIR)
    node.query("UPDATE batch SET created_at = :now RETURNING id", now=node.clock())
    author = desk.author()
    deadlines.change(node.services.database, receipt.batch_id, node.clock() + timedelta(hours=20), author)
    node.clock.advance(timedelta(hours=18, minutes=50))
    desk.relay()
    early = desk.events()
    node.clock.advance(timedelta(minutes=15))

    desk.relay()
    desk.relay()

    (data,) = desk.events()
    assert (early, data["reason"], data["batch"]["id"]) == ([], "deadline_near", str(receipt.batch_id))


def test_an_account_that_is_paused_by_the_provider_is_told_of_and_so_is_its_end(node: Node, sandbox: Provider) -> None:
    desk = subscribed(node, EventType.ACCOUNT_PAUSED, EventType.ACCOUNT_RESUMED)
    sandbox.fund(0)
    node.submit(CHAIR)
    node.run_for(timedelta(seconds=3))
    sandbox.fund(100)
    node.run_until_quiet()

    paused, resumed = desk.events()

    assert (paused["account"]["name"], paused["reason"]) == ("default", PauseReason.INSUFFICIENT_CREDITS)
    assert resumed["reason"] == PauseReason.INSUFFICIENT_CREDITS
    assert_as_documented(EventType.ACCOUNT_PAUSED, paused)
    assert_as_documented(EventType.ACCOUNT_RESUMED, resumed)


def test_resuming_an_account_that_is_not_paused_is_no_event(node: Node) -> None:
    desk = subscribed(node, EventType.ACCOUNT_RESUMED)

    account_control.resume(node.services.database, "default", desk.author())

    assert desk.events() == []


@pytest.mark.parametrize("scope", ["batch", "owner"])
def test_each_threshold_of_a_budget_is_told_of_once(node: Node, scope: str) -> None:
    desk = subscribed(node, EventType.BUDGET_80, EventType.BUDGET_100)
    if scope == "owner":
        control.cap_owner(node.services.database, "mia", 41, desk.author(), approve_above=None)
    requests = [{"prompt": f"Chair {n}"} for n in range(12)]
    node.submit(*requests, owner="mia", credit_cap=41 if scope == "batch" else None)

    node.run_for(timedelta(minutes=2))

    (at_80,), (at_100,) = desk.events(EventType.BUDGET_80), desk.events(EventType.BUDGET_100)
    assert (at_80["scope"], at_80["owner"], at_80["credits"]["cap"]) == (scope, "mia", 41)
    assert 33 <= at_80["credits"]["committed"] <= at_100["credits"]["committed"] == 40
    assert_as_documented(EventType.BUDGET_80, at_80)


def test_a_threshold_that_is_reached_again_after_credits_came_back_is_not_told_of_twice(node: Node) -> None:
    desk = subscribed(node, EventType.BUDGET_100)
    receipt = node.submit(CHAIR, CHAIR | {"prompt": "A table"}, credit_cap=4)
    node.run_for(timedelta(seconds=30))
    node.query("UPDATE batch SET committed = 0 RETURNING id")

    node.run_for(timedelta(seconds=30))

    assert [each["batch"]["id"] for each in desk.events()] == [str(receipt.batch_id)]


def test_a_cap_that_is_lowered_to_what_is_used_is_a_threshold_reached(node: Node) -> None:
    desk = subscribed(node, EventType.BUDGET_80, EventType.BUDGET_100)
    node.submit(CHAIR, owner="mia")
    node.run_until_quiet()

    control.cap_owner(node.services.database, "mia", 4, desk.author(), approve_above=None)

    assert [each["credits"] for each in desk.events()] == [{"committed": 4, "cap": 4}] * 2


def test_images_that_go_live_are_told_of_with_their_hashes(team: Team) -> None:
    team.stock({"a": "red", "b": "blue"})
    desk = subscribed(team.node, EventType.IMAGE_LIVE)
    team.refresh()

    (data,) = desk.events()

    assert (data["catalog"], data["reason"], [each["sku"] for each in data["items"]]) == (
        "mugs",
        "no review",
        ["a", "b"],
    )
    assert set(data["items"][0]) | {"url"} == set(EventType.IMAGE_LIVE.example["items"][0])
    assert_as_documented(EventType.IMAGE_LIVE, data)


def test_a_hook_of_one_catalog_is_told_of_no_other(team: Team) -> None:
    team.stock({"a": "red"})
    desk = Desk(node=team.node)
    desk.add(ANYWHERE, EventType.IMAGE_LIVE, catalog_id=team.catalog.id)
    with team.node.services.database.transaction() as tx:
        other = events.batch_named(team.node.services.new_id(), "x", "y")
        outbox.emit(tx, EventType.IMAGE_LIVE, other, subject="catalog:other")

    team.refresh()

    assert [each["catalog"] for each in desk.events()] == ["mugs"]


def test_a_change_that_is_rolled_back_leaves_no_event(reviewing: Team) -> None:
    reviewing.stock({"a": "red"})
    desk = subscribed(reviewing.node, EventType.IMAGE_LIVE)
    reviewing.refresh()
    waiting = reviewing.candidates()["a"]

    with suppress(ZeroDivisionError), reviewing.node.services.database.transaction() as tx:
        go_live(
            tx,
            [waiting.render_id],
            states=[RenderState.CANDIDATE],
            actor="rita",
            reason="accepted",
            now=reviewing.clock(),
            new_id=reviewing.node.services.new_id,
        )
        raise ZeroDivisionError
    undone = desk.events()
    reviewing.decide(*accept([waiting]))

    assert (undone, len(desk.events())) == ([], 1)


def test_nothing_is_written_while_nobody_is_subscribed(node: Node) -> None:
    desk = Desk(node=node)
    desk.happen()
    node.submit(*({"prompt": f"Chair {n}"} for n in range(4)), credit_cap=6)
    node.run_for(timedelta(seconds=30))
    desk.relay()

    assert desk.events() == []


def test_a_decision_about_a_doubt_makes_its_batch_done_again(lost: Node) -> None:
    desk = subscribed(lost, EventType.BATCH_DONE)
    desk.relay()

    services = lost.services
    resolve.not_charged(
        services.database, doubtful(lost), ANN, new_id=services.new_id, approve_above=None, now=lost.clock()
    )
    desk.relay()

    assert [each["jobs"]["in_doubt"] for each in desk.events()] == [1, 0]
