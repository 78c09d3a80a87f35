"""A process that is killed while a receiver has its event: the event arrives again, and is never lost."""

import subprocess
import sys
import threading

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.acceptance.waiting import until
from tests.hooks.desk import Desk, bodies
from worker.core.rules.events import EventType
from worker.hooks import sending


def test_an_event_whose_sender_is_killed_in_mid_delivery_arrives_at_least_once(desk: Desk, database_url: str) -> None:
    """Whether or not the receiver has taken it, nobody has written that down: another process sends it again."""
    arrived, let_go = threading.Event(), threading.Event()

    def hold(_: Request) -> Response:
        arrived.set()
        let_go.wait(30)
        return Response()

    with HTTPServer(threaded=True) as server:
        server.expect_request("/hook").respond_with_handler(hold)
        desk.add(server.url_for("/hook"), EventType.ACCOUNT_PAUSED)
        desk.happen(5)
        desk.relay()
        command = [sys.executable, "-m", "tests.hooks.killed", database_url, desk.clock().isoformat()]
        killed = subprocess.Popen(command)
        try:
            until(arrived.is_set, "the receiver has the first event")
        finally:
            killed.kill()
            killed.wait()
            let_go.set()
        desk.send()
        early = [each["is_delivered"] for each in desk.deliveries()]
        desk.clock.advance(sending.LEASE)

        desk.send()

        ids = [each["id"] for each in bodies(server)]
    assert early == [False] * 5
    assert [each["is_delivered"] for each in desk.deliveries()] == [True] * 5
    assert len(set(ids)) == 5
