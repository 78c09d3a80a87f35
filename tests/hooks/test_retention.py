"""Events that hooks have taken are deleted when they are old, in portions; what is owed, or told once, stays."""

from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer

from tests.hooks.desk import Desk
from worker.core.db import outbox
from worker.core.rules.events import EventType
from worker.hooks import subscriptions
from worker.node import maintenance
from worker.node.maintenance import events

OLD = timedelta(days=31)


def left(desk: Desk) -> tuple[int, int]:
    """Return how many events and deliveries there are."""
    [row] = desk.node.query("SELECT (SELECT count(*) FROM event) AS e, (SELECT count(*) FROM hook_delivery) AS d")
    return row["e"], row["d"]


def clean(desk: Desk) -> None:
    maintenance.run(desk.node.services, events.RETENTION.name)


@pytest.fixture
def taken(told: Desk, httpserver: HTTPServer) -> Desk:
    """Return a desk whose receiver has taken one event."""
    httpserver.expect_request("/hook").respond_with_data("")
    told.send()
    assert [each["is_delivered"] for each in told.deliveries()] == [True]
    return told


def test_an_event_that_was_taken_is_deleted_after_the_retention_and_not_before(taken: Desk) -> None:
    taken.clock.advance(timedelta(days=29))
    clean(taken)
    early = left(taken)

    taken.clock.advance(timedelta(days=2))
    clean(taken)

    assert (early, left(taken)) == ((1, 1), (0, 0))


def test_what_is_not_delivered_stays_however_old(told: Desk) -> None:
    told.relay()

    told.clock.advance(OLD)
    clean(told)

    assert left(told) == (1, 1)


def test_what_is_not_relayed_stays_however_old(told: Desk) -> None:
    told.clock.advance(OLD)
    clean(told)

    assert left(told) == (1, 0)


def test_a_dead_letter_stays_until_its_hook_is_removed(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=410)
    told.send()
    [dead] = told.deliveries()
    told.clock.advance(OLD)
    clean(told)
    kept = left(told)

    subscriptions.remove(told.node.services.database, told.author(), str(dead["hook_id"]))
    told.clock.advance(OLD)
    clean(told)

    assert dead["is_dead"]
    assert (kept, left(told)) == ((1, 1), (0, 0))


def test_an_event_that_is_told_once_for_its_key_stays_so_that_it_is_not_told_again(desk: Desk) -> None:
    desk.add("https://shop.example/hook", EventType.BUDGET_80)
    with desk.node.services.database.transaction() as tx:
        outbox.emit(tx, EventType.BUDGET_80, {}, subject="batch:1", once_key="batch:1:40")
        outbox.emit(tx, EventType.BUDGET_80, {}, subject="batch:2")
    desk.relay()
    desk.node.query("UPDATE hook_delivery SET delivered_at = due_at RETURNING id")

    desk.clock.advance(OLD)
    clean(desk)

    assert left(desk) == (1, 0)


def test_a_long_backlog_is_deleted_in_portions_and_the_rest_soon(taken: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "AT_ONCE", 2)
    monkeypatch.setattr(events, "PORTIONS", 2)
    taken.happen(6)
    taken.send()
    taken.node.keep({events.RETENTION.name: timedelta(hours=1)})
    taken.clock.advance(OLD)

    clean(taken)
    first = left(taken)
    [row] = taken.node.query("SELECT due_at FROM maintenance WHERE kind = 'retention'")
    clean(taken)

    assert first == (3, 3)
    assert row["due_at"] <= taken.clock() + timedelta(seconds=10)
    assert left(taken) == (0, 0)
