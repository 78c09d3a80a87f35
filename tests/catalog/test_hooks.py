"""Who wants to be told what went live is told: in order, signed, again and again until it is taken."""

import hashlib
import hmac
import json
import socket
import sys
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.catalog.team import Team, accept
from tests.pipeline.conftest import NodeFor
from worker.catalog import hooks as telling
from worker.catalog.going_live import go_live
from worker.catalog.hook_calls import NotTaken, command, post
from worker.catalog.hooks import BadHook, Sent
from worker.db import hooks
from worker.domain.catalog import RenderState
from worker.domain.hook import HookKind

SECRET = "sixteen letters and more"
TWO = {"a": "red", "b": "blue"}


def add(team: Team, target: str, kind: HookKind = HookKind.POST) -> None:
    """Add a hook to the team's catalog."""
    with team.node.services.database.transaction() as tx:
        hooks.add(
            tx,
            hook_id=team.node.services.new_id(),
            catalog_id=team.catalog.id,
            kind=kind,
            target=target,
            secret=SECRET if kind is HookKind.POST else None,
            now=team.clock(),
        )


def send(team: Team) -> Sent:
    return telling.send_due(team.node.services.database, team.node.services.store, clock=team.clock)


def owed(team: Team) -> list[dict[str, object]]:
    return team.node.query("SELECT attempts, last_error FROM hook_delivery WHERE delivered_at IS NULL")


def drip(server: socket.socket) -> None:
    """Answer with one byte after the other, without an end."""
    connection, _ = server.accept()
    with connection, suppress(OSError):
        while True:
            connection.send(b"H")
            threading.Event().wait(0.05)


@pytest.fixture
def told(team: Team, httpserver: HTTPServer) -> Team:
    """Give a team with one item live and a receiver at /live; nobody has been told yet."""
    team.stock({"a": "red"})
    add(team, httpserver.url_for("/live"))
    team.refresh()
    return team


def test_a_receiver_is_told_of_each_item_with_its_file_and_hash(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live", method="POST").respond_with_data("")

    sent = send(told)

    request, _ = httpserver.log[0]
    message = json.loads(request.data)
    item = message["items"][0]
    stored = told.node.services.store.read(item["file"])
    assert sent == Sent(delivered=1)
    assert (message["event"], message["catalog"], item["sku"]) == ("live", "mugs", "a")
    assert item["sha256"] == hashlib.sha256(stored).hexdigest()
    assert item["url"] == Path(told.node.services.store.location(item["file"])).as_uri()


def test_a_post_is_signed_over_its_time_and_its_body(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live").respond_with_data("")

    send(told)

    request, _ = httpserver.log[0]
    stamp = request.headers["Darkroom-Timestamp"]
    expected = hmac.new(SECRET.encode(), stamp.encode() + b"." + request.data, hashlib.sha256).hexdigest()
    assert request.headers["Darkroom-Signature"] == f"v1={expected}"
    assert stamp == str(int(told.clock().timestamp()))
    assert request.headers["Darkroom-Delivery"] == json.loads(request.data)["id"]


def test_the_message_is_written_with_what_it_tells_of_or_not_at_all(reviewing: Team, httpserver: HTTPServer) -> None:
    reviewing.stock({"a": "red"})
    add(reviewing, httpserver.url_for("/live"))
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
    undone = (reviewing.live(), owed(reviewing))
    reviewing.decide(*accept([waiting]))

    assert undone == ({}, [])
    assert (list(reviewing.live()), len(owed(reviewing))) == (["a"], 1)


def test_an_item_that_is_back_with_its_old_image_is_told_of(told: Team, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/live").respond_with_data("")
    send(told)
    told.stock({"b": "blue"})
    told.stock({"a": "red", "b": "blue"})

    sent = send(told)

    message = json.loads(httpserver.log[-1][0].data)
    assert sent == Sent(delivered=1)
    assert (message["reason"], [each["sku"] for each in message["items"]]) == ("back in the catalog", ["a"])


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


def test_a_command_gets_the_message_on_its_standard_input(team: Team, tmp_path: Path) -> None:
    script = tmp_path / "hook.py"
    script.write_text(
        "import json, os, sys\n"
        f"kept = open({str(tmp_path / 'got')!r}, 'w')\n"
        "skus = [each['sku'] for each in json.load(sys.stdin)['items']]\n"
        "print(skus, sorted(set(os.environ) - {'LC_CTYPE', 'LC_ALL', 'LANG', 'TZ'}), file=kept)\n"
    )
    team.stock(TWO)
    add(team, f"{sys.executable} {script}", HookKind.COMMAND)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RIVYA_API_KEY", "secret")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("HOME", str(tmp_path))
        team.refresh()

        sent = send(team)

    assert sent == Sent(delivered=1)
    known = ["DARKROOM_CATALOG", "DARKROOM_DELIVERY", "DARKROOM_EVENT", "HOME", "PATH"]
    assert (tmp_path / "got").read_text() == f"['a', 'b'] {known}\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("false", "ended with 1"),
        ("sh -c 'echo broken >&2; exit 7'", "ended with 7: broken"),
        ("/nowhere/at/all", "cannot be started"),
    ],
)
def test_a_command_that_fails_says_how(line: str, reason: str) -> None:
    with pytest.raises(NotTaken, match=reason):
        command(line, b"{}")


def test_a_command_that_takes_too_long_is_ended_with_its_children() -> None:
    with pytest.raises(NotTaken, match="did not end"):
        command("sh -c 'sleep 100 & sleep 100'", b"{}", timeout=timedelta(seconds=0.2))


@pytest.mark.parametrize(
    ("kind", "target", "secret"),
    [
        (HookKind.POST, "ftp://example.org", SECRET),
        (HookKind.POST, "example.org", SECRET),
        (HookKind.POST, "https://me:word@example.org", SECRET),
        (HookKind.POST, "https://bücher.example", SECRET),
        (HookKind.POST, "https://example.org", None),
        (HookKind.POST, "https://example.org", "short"),
        (HookKind.COMMAND, " ", None),
        (HookKind.COMMAND, "echo 'open", None),
    ],
)
def test_a_hook_that_can_never_work_is_refused(kind: HookKind, target: str, secret: str | None) -> None:
    with pytest.raises(BadHook):
        telling.check(kind, target, secret)


def test_a_removed_hook_is_told_nothing_more(told: Team, httpserver: HTTPServer) -> None:
    with told.node.services.database.transaction() as tx:
        found = hooks.of(tx, told.catalog.id)[0]
        dropped = hooks.remove(tx, found.id, now=told.clock())

    assert (dropped, send(told), httpserver.log) == (1, Sent(), [])
