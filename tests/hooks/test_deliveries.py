"""Each event is sent again and again until it is taken, by one node and no other; no hook holds up another."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.acceptance.waiting import until
from tests.hooks.desk import HERE, Desk, bodies
from tests.pipeline.conftest import NodeFor
from worker.core.rules.setting_values import HookPolicy
from worker.engine.services import Collectors
from worker.hooks import calls, sending, subscriptions
from worker.hooks.calls import NotTaken, post
from worker.hooks.queries import deliveries
from worker.hooks.rules import hook as rules
from worker.hooks.subscriptions import DeliveryUnknown, HookDisabled
from worker.storage.fetch.addresses import AddressPolicy

MACHINE = AddressPolicy(schemes=frozenset({"http"}), is_loopback_permitted=True)


@pytest.fixture
def threaded() -> Iterator[HTTPServer]:
    """Yield a receiver that answers several requests at once."""
    with HTTPServer(threaded=True) as server:
        yield server


def drip(server: socket.socket) -> None:
    """Answer with one byte after the other, without an end."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        while True:
            connection.send(b"H")
            threading.Event().wait(0.05)


@pytest.mark.parametrize("status", [301, 404, 429, 500])
def test_what_is_not_taken_is_sent_again_under_the_same_id_with_the_same_bytes(
    told: Desk, httpserver: HTTPServer, status: int
) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=status)
    httpserver.expect_ordered_request("/hook").respond_with_data("")
    told.send()
    told.send()
    at_once = len(httpserver.log)
    told.clock.advance(rules.WAITS[0])

    told.send()

    (first, _), (second, _) = httpserver.log
    assert (at_once, told.deliveries()[0]["is_delivered"]) == (1, True)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.data == second.data


def test_waits_grow_over_three_days_and_then_it_is_a_dead_letter(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("no", status=503)
    began = told.clock()
    tried = []
    while not (told.deliveries() and told.deliveries()[0]["is_dead"]):
        told.send()
        tried.append(told.clock() - began)
        told.clock.now = max(told.clock.now, told.deliveries()[0]["due_at"])

    (delivery,) = told.deliveries()
    assert [each.total_seconds() for each in tried[:4]] == [0, 5, 305, 2105]
    assert tried[-1] > timedelta(days=3)
    assert (len(tried), delivery["attempts"], delivery["status"], delivery["response"]) == (10, 10, 503, "no")


def test_a_redirect_is_not_followed(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", 302, {"Location": httpserver.url_for("/elsewhere")})

    told.send()

    assert [request.path for request, _ in httpserver.log] == ["/hook"]
    assert "redirects are not followed" in told.deliveries()[0]["last_error"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "169.254.169.254", "10.0.0.1"])
def test_a_private_address_that_is_not_listed_gets_nothing(desk: Desk, httpserver: HTTPServer, host: str) -> None:
    desk.add(f"http://{host}:{httpserver.port}/hook")
    desk.happen()

    desk.send(HookPolicy())

    assert httpserver.log == []
    assert "DARKROOM_HOOK_HOSTS" in desk.deliveries()[0]["last_error"]


def test_gone_disables_the_hook_and_what_comes_later_can_be_replayed(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=410)
    httpserver.expect_ordered_request("/hook").respond_with_data("")
    httpserver.expect_ordered_request("/hook").respond_with_data("")
    told.send()
    told.happen()
    told.send()
    dead = [each["is_dead"] for each in told.deliveries()]
    hook_id = str(told.deliveries()[0]["hook_id"])
    with pytest.raises(HookDisabled, match="410 Gone"):
        subscriptions.replay_failed(
            told.node.services.database, since=told.clock() - timedelta(days=1), hook=hook_id, now=told.clock()
        )
    subscriptions.enable(told.node.services.database, told.author(), hook_id)

    replayed = subscriptions.replay_failed(
        told.node.services.database, since=told.clock() - timedelta(days=1), hook=None, now=told.clock()
    )
    told.send()

    assert (dead, replayed) == ([True, True], 2)
    assert [each["is_delivered"] for each in told.deliveries()] == [True, True]


def test_a_hook_that_fails_for_days_without_a_success_is_disabled(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("", status=500)
    told.send()
    told.clock.advance(rules.DISABLE_AFTER)
    told.happen()

    told.send()

    hook = told.node.query("SELECT * FROM hook")[0]
    assert "every try failed since" in hook["disabled_reason"]
    assert {each["is_dead"] for each in told.deliveries()} == {True}


def test_a_success_begins_the_count_of_days_anew(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_ordered_request("/hook").respond_with_data("", status=500)
    httpserver.expect_ordered_request("/hook").respond_with_data("")
    told.send()
    told.clock.advance(rules.DISABLE_AFTER)

    told.send()

    hook = told.node.query("SELECT * FROM hook")[0]
    assert (hook["failing_since"], hook["disabled_at"]) == (None, None)


def test_one_delivery_is_replayed_by_its_id_or_its_events(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    told.send()
    database = told.node.services.database
    (delivery,) = told.deliveries()

    for name in (str(delivery["id"]), f"evt_{delivery['event_id'].hex}"):
        subscriptions.replay(database, name, now=told.clock())
        told.send()

    ids = [each["id"] for each in bodies(httpserver)]
    assert (len(ids), len(set(ids))) == (3, 1)


@pytest.mark.parametrize("name", ["nonsense", "evt_00000000000000000000000000000000"])
def test_what_was_never_sent_cannot_be_replayed(told: Desk, name: str) -> None:
    with pytest.raises(DeliveryUnknown):
        subscriptions.replay(told.node.services.database, name, now=told.clock())


def test_an_event_that_fails_holds_up_no_other_event_of_its_hook(told: Desk, httpserver: HTTPServer) -> None:
    told.happen()
    refused = {each["id"]: each for each in told.node.query("SELECT id FROM event ORDER BY id LIMIT 1")}

    def answer(request: Request) -> Response:
        is_first = json.loads(request.data)["id"].removeprefix("evt_") in {each.hex for each in refused}
        return Response(status=500 if is_first else 200)

    httpserver.expect_request("/hook").respond_with_handler(answer)
    told.send()
    told.clock.advance(sending.REST)

    told.send()

    assert [each["is_delivered"] for each in told.deliveries()] == [False, True]


def test_events_are_sent_in_their_order_while_they_are_taken(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    told.happen(4)

    told.send()

    ids = [each["id"] for each in bodies(httpserver)]
    assert (len(ids), ids) == (5, sorted(ids))


def test_a_slow_and_a_dead_receiver_hold_up_no_good_one(desk: Desk, threaded: HTTPServer) -> None:
    """More receivers fail than there are threads, and some do not answer: the good one has a thread all the same."""
    let_go = threading.Event()

    def wait(_: Request) -> Response:
        let_go.wait(30)
        return Response()

    threaded.expect_request("/slow").respond_with_handler(wait)
    threaded.expect_request("/good").respond_with_data("")
    pool = Collectors(8)
    slow = [desk.add(threaded.url_for(f"/slow?{n}")) for n in range(3)]
    dead = [desk.add(f"http://localhost:1/{n}") for n in range(8)]
    desk.node.query(
        "UPDATE hook SET failing_since = created_at, took_s = 10 WHERE id = ANY(:ids) RETURNING id",
        ids=[each.hook_id for each in (*slow, *dead)],
    )
    good = desk.add(threaded.url_for("/good"))
    desk.happen(3)

    desk.send(pool=pool)

    def is_good_done() -> bool:
        return [each["is_delivered"] for each in desk.deliveries() if each["hook_id"] == good.hook_id] == [True] * 3

    try:
        until(is_good_done, "the good receiver has taken all three", timeout_s=10)
        assert not any(each["is_delivered"] for each in desk.deliveries() if each["hook_id"] != good.hook_id)
    finally:
        let_go.set()
        pool.drain()


def test_hooks_in_trouble_share_few_senders_among_all_nodes(desk: Desk) -> None:
    for n in range(6):
        desk.add(f"https://shop.example/{n}")
    desk.node.query("UPDATE hook SET failing_since = created_at RETURNING id")
    desk.happen()
    desk.relay()

    with desk.node.services.database.transaction() as tx:
        leased = [deliveries.lease(tx, now=desk.clock(), lease=sending.LEASE, lane=4) for _ in range(6)]

    assert [each is not None for each in leased] == [True] * 4 + [False] * 2


def test_a_node_that_stopped_in_mid_delivery_is_followed_by_another_when_its_lease_ends(
    told: Desk, httpserver: HTTPServer, node_for: NodeFor
) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    told.relay()
    with told.node.services.database.transaction() as tx:
        leased = deliveries.lease(tx, now=told.clock(), lease=sending.LEASE, lane=4)
        assert leased is not None
        deliveries.claim_next(tx, leased, now=told.clock(), lease=sending.LEASE)
    other = node_for()
    told.send(node=other)
    early = len(httpserver.log)
    told.clock.advance(sending.LEASE)

    told.send(node=other)

    assert (early, told.deliveries()[0]["is_delivered"]) == (0, True)


def test_what_another_node_has_delivered_since_is_not_made_a_failure_by_the_first(told: Desk) -> None:
    told.relay()
    database = told.node.services.database
    with database.transaction() as tx:
        leased = deliveries.lease(tx, now=told.clock(), lease=sending.LEASE, lane=4)
        assert leased is not None
        _, first = deliveries.claim_next(tx, leased, now=told.clock(), lease=sending.LEASE)
    told.clock.advance(sending.LEASE)
    with database.transaction() as tx:
        again = deliveries.lease(tx, now=told.clock(), lease=sending.LEASE, lane=4)
        assert again is not None
        _, second = deliveries.claim_next(tx, again, now=told.clock(), lease=sending.LEASE)
        assert first is not None
        assert second is not None
        deliveries.settle(tx, second, deliveries.Tried(took_s=1), now=told.clock(), again_at=None)

    with database.transaction() as tx:
        late = deliveries.Tried(took_s=1, error="too late")
        deliveries.settle(tx, first, late, now=told.clock(), again_at=told.clock())

    assert [(each["is_delivered"], each["last_error"]) for each in told.deliveries()] == [(True, None)]


def test_nodes_that_send_at_once_send_each_event_once(told: Desk, httpserver: HTTPServer, node_for: NodeFor) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    told.happen(9)
    nodes = [node_for() for _ in range(3)]
    threads = [threading.Thread(target=told.send, kwargs={"node": each}) for each in nodes]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [each["id"] for each in bodies(httpserver)]
    assert (len(ids), len(set(ids))) == (10, 10)


def test_nothing_is_open_in_the_database_while_a_receiver_is_waited_for(told: Desk, httpserver: HTTPServer) -> None:
    seen: list[dict[str, object]] = []

    def look(_: Request) -> Response:
        seen.extend(
            told.node.query("""
                SELECT query FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'""")
        )
        return Response()

    httpserver.expect_request("/hook").respond_with_handler(look)
    told.send()

    assert (len(httpserver.log), seen) == (1, [])


def test_a_delivery_that_a_wrong_clock_put_off_by_days_is_sent_at_once(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    told.relay()
    told.node.query("UPDATE hook_delivery SET due_at = :at RETURNING 1", at=told.clock() + timedelta(days=9))

    told.send()

    assert told.deliveries()[0]["is_delivered"]


def test_of_a_long_answer_the_head_is_kept(told: Desk, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("x" * 5_000_000, status=500)

    told.send()

    assert told.deliveries()[0]["response"] == "x" * calls.HEAD_BYTES


def test_a_receiver_that_drips_its_answer_is_left_when_the_time_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dripping = threading.Thread(target=drip, args=(server,), daemon=True)
        dripping.start()
        port = server.getsockname()[1]

        with pytest.raises(NotTaken, match="no answer within"):
            post(f"http://127.0.0.1:{port}/", b"{}", {}, allow=MACHINE, timeout=timedelta(seconds=0.5))


def test_a_removed_hook_is_told_nothing_more(told: Desk, httpserver: HTTPServer) -> None:
    told.relay()
    hook_id = str(told.deliveries()[0]["hook_id"])

    dropped = subscriptions.remove(told.node.services.database, told.author(), hook_id)
    told.happen()
    told.send(HERE)

    assert (dropped, httpserver.log) == (1, [])
