"""The web process is killed, or its database falls silent, whatever it does: nothing is lost, and nothing doubled."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests
from pytest_httpserver import HTTPServer
from uuid_utils.compat import uuid7
from werkzeug import Request, Response

from tests.acceptance import books, manifests, webs
from tests.acceptance.waiting import until
from tests.acceptance.webs import WebProcess
from tests.acceptance.world import World
from tests.fixtures import proxies
from tests.fixtures.proxies import Proxy
from tests.web.api.client import Client, end_jobs
from worker.accounts import webhooks
from worker.accounts.queries import accounts
from worker.core.db.changes import Author
from worker.core.db.clock import DatabaseClock
from worker.hooks import sending, subscriptions
from worker.provider import client as provider_client
from worker.provider.webhooks import Verifier

pytestmark = pytest.mark.chaos

LINES = 5_000
BODY = "".join(json.dumps({"key": f"k{n}", "prompt": f"A vase, number {n}"}) + "\n" for n in range(LINES)).encode()
LINES_TYPE = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "spring"}
ACCEPTED, UNAVAILABLE = 202, 503
CONNECT_S = 10
"""After which a connection that the server accepts and does not serve is given up."""
QUICK = {"DARKROOM_DATABASE_TIMEOUT": "2"}
WRITING = """
    SELECT count(*) AS n FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
        AND query ~* '^\\s*(INSERT|COPY)'"""


@pytest.fixture
def web(local_world: World) -> Iterator[WebProcess]:
    """Yield a web process of this world."""
    started = webs.started(local_world.settings, local_world.folder)
    yield started
    started.kill()


@dataclass(kw_only=True)
class Upload:
    """A submission of a thread; ``halfway`` is set in the middle of its body, which then waits for ``go_on``."""

    web: WebProcess
    halfway: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    answers: list[int] = field(default_factory=list)

    def _body(self) -> Iterator[bytes]:
        yield BODY[: len(BODY) // 2]
        self.halfway.set()
        self.go_on.wait(30)
        yield BODY[len(BODY) // 2 :]

    def _send(self) -> None:
        try:
            answer = self.web.request("POST", "/api/v1/batches", data=self._body(), headers=LINES_TYPE)
            self.answers.append(answer.status_code)
        except requests.RequestException:
            self.answers.append(0)

    def begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._send, daemon=True)
        thread.start()
        assert self.halfway.wait(30)
        return thread


def in_the_body(_: World, __: Upload) -> None:
    """The server has half of the body."""


def while_it_writes(world: World, upload: Upload) -> None:
    """The server's transaction is open."""
    upload.go_on.set()
    until(lambda: upload.answers or world.query(WRITING)[0]["n"], "it writes")


def after_the_commit(world: World, upload: Upload) -> None:
    """The batch is there; the client may not know it."""
    upload.go_on.set()
    until(lambda: world.count("batch") == 1, "the batch is committed")


@pytest.mark.parametrize("moment", [in_the_body, while_it_writes, after_the_commit])
def test_an_upload_whose_server_is_killed_leaves_all_or_nothing_and_its_key_is_taken_once(
    moment: Callable[[World, Upload], None], local_world: World, web: WebProcess
) -> None:
    upload = Upload(web=web)
    thread = upload.begin()

    moment(local_world, upload)
    web.kill()
    upload.go_on.set()
    thread.join(30)
    left = local_world.count("batch"), local_world.count("job")
    web.start()
    again = web.request("POST", "/api/v1/batches", data=BODY, headers=LINES_TYPE)
    once_more = web.request("POST", "/api/v1/batches", data=BODY, headers=LINES_TYPE)

    assert left in {(0, 0), (1, LINES)}
    assert (again.status_code, once_more.status_code) == (ACCEPTED, ACCEPTED)
    assert again.json()["batch"] == once_more.json()["batch"]
    assert once_more.headers["Idempotency-Replayed"] == "true"
    assert (local_world.count("batch"), local_world.count("job")) == (1, LINES)


def test_a_client_that_follows_through_a_kill_is_told_of_each_end_once(local_world: World, web: WebProcess) -> None:
    shop = Client(url=web.url, headers=web.headers)
    batch = str(shop.submit([f"vase {n}" for n in range(30)]).json()["batch"])
    seen: list[tuple[int, str, Any]] = []
    for first in (1, 11, 21):
        stream = shop.events(f"/batches/{batch}/events", after=seen[-1][0] if seen else None)
        end_jobs(local_world.database, batch, list(range(first, first + 10)))
        seen += [next(stream) for _ in range(7)]
        web.kill()
        web.start()

    seen += shop.events(f"/batches/{batch}/events", after=seen[-1][0])

    assert sorted(data["line"] for _, kind, data in seen if kind == "job") == list(range(1, 31))
    assert seen[-1][1] == "batch"


def endpoint(world: World, web: WebProcess) -> None:
    """Register the web process with the provider."""
    clock = DatabaseClock()
    clock.follow(world.database)
    with world.database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=clock())
    webhooks.add(
        world.database,
        provider_client.Client(base_url=world.provider.base_url, api_key=world.provider.key, now=clock),
        account_id,
        Author(actor="test", reason=None, now=clock(), new_id=uuid7),
        address=f"{web.url}{webhooks.RECEIVED_AT.rstrip('/')}",
        name="test",
        verifiers=(Verifier.STANDARD,),
    )


def test_webhooks_whose_receiver_is_killed_cost_no_image(local_world: World, web: WebProcess) -> None:
    local_world.provider.set(latency_median_s=1.0, latency_sigma=0.5, webhook_loopback=True)
    endpoint(local_world, web)
    local_world.node(DARKROOM_POLL_FIRST_S="15")
    local_world.submit(manifests.plain(60))

    until(lambda: local_world.count("job", "state = 'succeeded'") >= 5, "webhooks bring first images")
    web.kill()
    until(lambda: len(local_world.provider.tasks()) == 60, "all are at the provider")
    web.start()
    local_world.live_through(seconds=600, speed=10, until_done=True)

    assert local_world.count("job", "state = 'succeeded'") == 60
    books.check(local_world)


@pytest.fixture
def database_proxy(local_world: World) -> Iterator[Proxy]:
    """Put a proxy between the web process and the database; the test itself goes directly."""
    url = local_world.database.url
    with proxies.to(url.host or "127.0.0.1", url.port or 5432) as proxy:
        through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
        local_world.environment = QUICK | {"DARKROOM_DATABASE_URL": through}
        yield proxy


def test_a_silent_database_is_answered_with_503_and_a_key_that_is_sent_again_is_taken_once(
    local_world: World, database_proxy: Proxy, web: WebProcess
) -> None:
    shop = Client(url=web.url, headers=web.headers)
    batch = str(shop.submit(["a cup", "a bowl"], "first").json()["batch"])
    stream = shop.events(f"/batches/{batch}/events", timeout=60)
    end_jobs(local_world.database, batch, [1])
    first = next(stream)

    database_proxy.fall_silent()
    refused = [shop.get("/batches"), shop.submit(["a vase"], "second"), shop.get(f"/batches/{batch}/results")]
    alive = web.serves()
    end_jobs(local_world.database, batch, [2])
    database_proxy.heal()
    until(lambda: shop.submit(["a vase"], "second").status_code == ACCEPTED, "it is taken")
    rest = list(stream)

    assert [each.status_code for each in refused] == [UNAVAILABLE] * 3
    assert all(each.headers["Retry-After"] for each in refused)
    assert all(each.elapsed.total_seconds() < CONNECT_S + 5 for each in refused)
    assert alive
    assert [first[2]["line"], *(data.get("line") for _, _, data in rest)] == [1, 2, None]
    assert shop.submit(["a vase"], "second").headers["Idempotency-Replayed"] == "true"
    assert local_world.count("batch") == 2


def test_an_event_whose_node_is_killed_while_it_tells_arrives_with_the_same_id(local_world: World) -> None:
    arrived, let_go = threading.Event(), threading.Event()
    ids: list[str] = []

    def hold(request: Request) -> Response:
        ids.append(request.headers["webhook-id"])
        arrived.set()
        let_go.wait(30)
        return Response()

    clock = DatabaseClock()
    clock.follow(local_world.database)
    with HTTPServer(threaded=True) as server:
        server.expect_request("/hook").respond_with_handler(hold)
        by = Author(actor="test", reason=None, now=clock(), new_id=uuid7)
        subscriptions.add(local_world.database, by, server.url_for("/hook"), ["batch.done"], catalog_id=None)
        local_world.environment = {"DARKROOM_HOOK_HOSTS": f"{server.host}:{server.port}"}
        node = local_world.node()
        local_world.submit(manifests.plain(3))
        until(arrived.is_set, "the receiver has the event")
        node.kill()
        let_go.set()
        told = local_world.count("hook_delivery", "delivered_at IS NOT NULL")
        for table, column in (("hook", "leased_until"), ("hook_delivery", "due_at")):
            statement = f"UPDATE {table} SET {column} = {column} - make_interval(secs => :s)"
            local_world.query(statement, s=sending.LEASE.total_seconds())
        local_world.node()
        until(lambda: local_world.count("hook_delivery", "delivered_at IS NOT NULL") == 1, "another node tells it")

    assert told == 0
    assert len(ids) >= 2
    assert len(set(ids)) == 1
    assert local_world.count("event") == 1
