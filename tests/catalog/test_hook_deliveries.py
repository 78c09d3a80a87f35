"""Each message is sent in its order, again and again until it is taken, by one node and no other."""

import json
import socket
import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.catalog.receivers import owed, send
from tests.catalog.team import Team
from tests.pipeline.conftest import NodeFor
from worker.catalog import hooks as telling
from worker.catalog.hook_calls import NotTaken, post
from worker.catalog.hooks import Sent
from worker.catalog.queries import hooks


def drip(server: socket.socket) -> None:
    """Answer with one byte after the other, without an end."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        while True:
            connection.send(b"H")
            threading.Event().wait(0.05)


def test_each_message_of_a_round_has_its_own_time_and_its_own_lease(told: Team, httpserver: HTTPServer) -> None:
    """Receivers that take a minute each: the last message is sent minutes after the first."""
    told.stock({"a": "green"})
    told.refresh()
    seen = []

    def take_a_minute(request: Request) -> Response:
        lease = told.node.query("SELECT max(due_at) AS until FROM hook_delivery WHERE delivered_at IS NULL")[0]["until"]
        seen.append((int(request.headers["Darkroom-Timestamp"]) - begun, lease - told.clock.now))
        told.clock.now += timedelta(minutes=1)
        return Response()

    httpserver.expect_request("/live").respond_with_handler(take_a_minute)
    begun = int(told.clock().timestamp())

    send(told)

    assert [at for at, _ in seen] == [0, 60]
    assert [left for _, left in seen] == [telling.LEASE, telling.LEASE]


def test_a_receiver_that_drips_its_answer_is_left_when_the_time_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=(server,), daemon=True)
        dripping.start()
        port = server.getsockname()[1]

        with pytest.raises(NotTaken, match="no answer within"):
            post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout=timedelta(seconds=0.5))


@pytest.mark.parametrize("status", [301, 404, 410, 500])
def test_what_is_not_taken_is_sent_again_later_under_the_same_id(
    told: Team, httpserver: HTTPServer, status: int
) -> None:
    httpserver.expect_ordered_request("/live").respond_with_data("", status=status)
    httpserver.expect_ordered_request("/live").respond_with_data("")
    first = send(told)
    at_once = send(told)
    told.clock.advance(telling.FIRST_WAIT)

    second = send(told)

    ids = {request.headers["Darkroom-Delivery"] for request, _ in httpserver.log}
    assert (first, at_once, second) == (Sent(postponed=1), Sent(), Sent(delivered=1))
    assert len(ids) == 1


def test_a_receiver_that_is_away_costs_nothing_but_time(told: Team) -> None:
    told.node.query("UPDATE hook SET target = 'http://127.0.0.1:1/live' RETURNING id")

    sent = send(told)

    assert sent == Sent(postponed=1)
    assert [each["attempts"] for each in owed(told)] == [1]


def test_a_message_that_a_wrong_clock_put_off_by_a_day_is_sent_at_once(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live").respond_with_data("")
    put_off = told.clock() + timedelta(days=1)
    told.node.query("UPDATE hook_delivery SET due_at = :at RETURNING 1", at=put_off)

    assert send(told) == Sent(delivered=1)


def test_waits_grow_up_to_an_hour() -> None:
    waits = [telling.wait_after(attempts).total_seconds() for attempts in (1, 2, 3, 7, 8, 50)]

    assert waits == [30, 60, 120, 1920, 3600, 3600]


def test_a_hook_hears_of_one_thing_after_the_other(told: Team, httpserver: HTTPServer) -> None:
    """A message that waits holds up those behind it: the shop never ends with an older image than the catalog."""
    httpserver.expect_ordered_request("/live").respond_with_data("", status=500)
    httpserver.expect_ordered_request("/live").respond_with_data("")
    httpserver.expect_ordered_request("/live").respond_with_data("")
    send(told)
    told.stock({"a": "green"})
    told.refresh()
    held_up = send(told)
    told.clock.advance(telling.FIRST_WAIT)

    send(told)

    files = [json.loads(request.data)["items"][0]["file"] for request, _ in httpserver.log]
    assert held_up == Sent()
    assert files[0] == files[1] != files[2]


def test_a_message_that_nobody_takes_for_a_week_is_given_up_and_those_behind_it_go(
    told: Team, httpserver: HTTPServer
) -> None:
    httpserver.expect_ordered_request("/live").respond_with_data("", status=500)
    httpserver.expect_ordered_request("/live").respond_with_data("")
    told.stock({"a": "green"})
    told.clock.advance(timedelta(days=7))
    told.refresh()

    sent = send(told)

    assert sent == Sent(delivered=1, given_up=1)


def test_a_node_that_dies_while_it_sends_is_followed_by_another(
    told: Team, httpserver: HTTPServer, node_for: NodeFor
) -> None:
    httpserver.expect_request("/live").respond_with_data("")
    with told.node.services.database.transaction() as tx:
        hooks.claim(tx, now=told.clock(), lease=telling.LEASE)
    early = send(told)
    told.clock.advance(telling.LEASE)

    late = telling.send_due(node_for().services.database, told.node.services.store, clock=told.clock)

    assert (early, late) == (Sent(), Sent(delivered=1))


def test_nothing_is_open_in_the_database_while_a_receiver_is_waited_for(told: Team, httpserver: HTTPServer) -> None:
    seen: list[dict[str, object]] = []

    def look(_: Request) -> Response:
        seen.extend(
            told.node.query("""
                SELECT query FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'""")
        )
        return Response()

    httpserver.expect_request("/live").respond_with_handler(look)

    assert (send(told), seen) == (Sent(delivered=1), [])


def test_two_nodes_that_send_at_once_send_each_message_once(
    told: Team, httpserver: HTTPServer, node_for: NodeFor
) -> None:
    httpserver.expect_request("/live").respond_with_data("")
    nodes = [node_for() for _ in range(3)]
    store, clock = told.node.services.store, told.clock
    threads = [
        threading.Thread(target=telling.send_due, args=(each.services.database, store), kwargs={"clock": clock})
        for each in nodes
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(httpserver.log) == 1
