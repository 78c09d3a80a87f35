"""Who follows a batch is told of each end once, through restarts of the server, and holds up nobody."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from tests.web.api.client import Client, client, count, end_jobs, parsed
from tests.web.serving import Web, serving
from worker.batches.queries import completion_feed
from worker.web import server
from worker.web.context import WebContext
from worker.web.limits import ApiLimits
from worker.web.rules.identity import Right


def submitted(shop: Client, lines: int = 3) -> str:
    answer = shop.submit([f"vase {number}" for number in range(lines)])
    return str(answer.json()["batch"])


def test_each_end_is_told_once_and_then_that_of_the_batch(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop)
    end_jobs(web.context.database, batch, [1, 2, 3])

    found = list(shop.events(f"/batches/{batch}/events"))

    assert [(kind, data.get("line")) for _, kind, data in found] == [
        ("job", 1),
        ("job", 2),
        ("job", 3),
        ("batch", None),
    ]
    assert found[-1][2]["state"] == "done"
    assert [number for number, _, _ in found] == sorted({number for number, _, _ in found})


def test_an_end_that_comes_while_a_client_follows_is_told(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, 2)
    end_jobs(web.context.database, batch, [2])
    events = shop.events(f"/batches/{batch}/events")

    first = next(events)
    end_jobs(web.context.database, batch, [1])
    rest = list(events)

    assert [first[2]["line"], *(data.get("line") for _, _, data in rest)] == [2, 1, None]


def test_a_client_that_comes_back_to_another_server_misses_nothing_and_gets_nothing_twice(context: WebContext) -> None:
    with serving(context) as web:
        shop = client(web)
        batch = submitted(shop, 4)
        end_jobs(context.database, batch, [3, 1])
        events = shop.events(f"/batches/{batch}/events")
        seen = [next(events)]
    end_jobs(context.database, batch, [2, 4])

    with serving(context) as again:
        later = Client(url=again.url, headers=shop.headers)
        seen += later.events(f"/batches/{batch}/events", after=seen[-1][0])

    assert sorted(data["line"] for _, kind, data in seen if kind == "job") == [1, 2, 3, 4]
    assert seen[-1][1] == "batch"


def test_a_client_that_has_all_is_told_to_come_back_no_more(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, 1)
    end_jobs(web.context.database, batch, [1])
    last = list(shop.events(f"/batches/{batch}/events"))[-1][0]

    answer = shop.get(f"/batches/{batch}/events", headers={"Last-Event-ID": str(last)})

    assert answer.status_code == 204


def test_a_job_that_is_retried_ends_again_for_who_follows(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, 1)
    end_jobs(web.context.database, batch, [1])
    last = list(shop.events(f"/batches/{batch}/events"))[-1][0]

    shop.post(f"/batches/{batch}/retry")
    end_jobs(web.context.database, batch, [1])

    again = list(shop.events(f"/batches/{batch}/events", after=last))
    assert [kind for _, kind, _ in again] == ["job", "batch"]


@pytest.mark.parametrize("portion", [2, 5, 100])
def test_who_follows_a_batch_whose_numbers_were_deleted_is_told_of_each_end_once(portion: int, web: Web) -> None:
    """Also when a stream comes between two portions of the deletion."""
    shop = client(web)
    batch = submitted(shop, 5)
    end_jobs(web.context.database, batch, [1, 2, 3, 4, 5])
    last = list(shop.events(f"/batches/{batch}/events"))[-1][0]
    before = web.context.clock() + timedelta(minutes=1)

    with web.context.database.transaction() as tx:
        deleted = completion_feed.delete_numbers(tx, before, portion)
    found = list(shop.events(f"/batches/{batch}/events"))

    assert deleted == min(portion, 6)
    assert sorted(data["line"] for _, kind, data in found if kind == "job") == [1, 2, 3, 4, 5]
    assert [kind for _, kind, _ in found][-1] == "batch"
    assert max(number for number, _, _ in found) > last


def test_numbers_of_a_batch_that_is_not_over_or_was_just_numbered_stay(web: Web) -> None:
    shop = client(web)
    running = submitted(shop, 2)
    end_jobs(web.context.database, running, [1])
    next(shop.events(f"/batches/{running}/events"))
    over = str(shop.submit(["a cup"], "over").json()["batch"])
    end_jobs(web.context.database, over, [1])
    list(shop.events(f"/batches/{over}/events"))
    now = web.context.clock()

    with web.context.database.transaction() as tx:
        early = completion_feed.delete_numbers(tx, now - timedelta(minutes=1), 100)
        late = completion_feed.delete_numbers(tx, now + timedelta(minutes=1), 100)

    assert (early, late) == (0, 2)
    assert count(web.context.database, "feed_event") == 1


def test_two_servers_number_each_end_once(context: WebContext) -> None:
    with serving(context) as one, serving(context) as other:
        shop = client(one)
        batch = submitted(shop, 50)
        end_jobs(context.database, batch, list(range(1, 51)))
        streams = [Client(url=web.url, headers=shop.headers).events(f"/batches/{batch}/events") for web in (one, other)]
        found = [[number for number, _, _ in stream] for stream in streams]

    assert found[0] == found[1]
    assert (len(found[0]), count(context.database, "feed_event")) == (51, 51)


def test_who_follows_all_batches_sees_those_of_its_owner_from_then_on(web: Web) -> None:
    shop, rival = client(web, owner="shop"), client(web, "rival", owner="rival")
    with shop.get("/events", stream=True) as answer:
        other = rival.submit(["a bowl"], "other").json()["batch"]
        own = shop.submit(["a cup"], "own").json()["batch"]
        end_jobs(web.context.database, other, [1])
        end_jobs(web.context.database, own, [1])
        events = parsed(answer)
        found = [next(events), next(events)]

    assert [(kind, data["batch"]) for _, kind, data in found] == [("job", own), ("batch", own)]


def test_who_follows_all_batches_goes_on_behind_the_last_event(web: Web) -> None:
    shop = client(web)
    with shop.get("/events", stream=True) as answer:
        first = shop.submit(["a cup"], "first").json()["batch"]
        end_jobs(web.context.database, first, [1])
        events = parsed(answer)
        last = [next(events), next(events)][-1][0]
    second = shop.submit(["a bowl"], "second").json()["batch"]
    end_jobs(web.context.database, second, [1])

    _, kind, data = next(shop.events("/events", after=last))

    assert (kind, data["batch"]) == ("job", second)


@pytest.mark.parametrize("given", ["x", "-1", "1.5", "9" * 40, "٣"])
def test_what_is_no_id_of_an_event_is_refused(web: Web, given: str) -> None:
    shop = client(web)

    answer = shop.get("/events", headers={"Last-Event-ID": given.encode().decode("latin-1")})

    assert answer.status_code == 400


def test_the_events_of_another_owners_batch_are_not_found(web: Web) -> None:
    batch = submitted(client(web, owner="shop"))

    assert client(web, "rival", owner="rival").get(f"/batches/{batch}/events").status_code == 404


def opened(web: Web, shop: Client, path: str) -> socket.socket:
    parts = urlsplit(web.url)
    stream = socket.create_connection((parts.hostname, parts.port), timeout=30)
    lines = [f"GET /api/v1{path} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
    lines += [f"{name}: {value}" for name, value in shop.headers.items()]
    stream.sendall("\r\n".join([*lines, "", ""]).encode())
    return stream


@pytest.fixture
def idle(web: Web) -> Iterator[list[socket.socket]]:
    """Yield 500 streams that have nothing to tell."""
    shop = client(web, "idle", rights=[Right.READ])
    batch = submitted(client(web, "other"))
    streams = [opened(web, shop, f"/batches/{batch}/events") for _ in range(500)]
    for each in streams:
        assert each.recv(12) == b"HTTP/1.1 200"
    yield streams
    for each in streams:
        each.close()


def test_500_idle_streams_hold_up_nobody(web: Web, idle: list[socket.socket]) -> None:
    shop = client(web)

    taken = shop.submit(["a vase"], "while idle")
    shown = shop.get(f"/batches/{taken.json()['batch']}", timeout=10)

    assert (taken.status_code, shown.status_code) == (202, 200)
    assert web.context.database.engine.pool.checkedout() <= 2  # type: ignore[attr-defined]  # of the pool that it is
    assert threading.active_count() < 100


def test_more_streams_than_one_client_may_have_are_refused(context: WebContext) -> None:
    with serving(replace(context, limits=ApiLimits(streams_of_one=1))) as web:
        shop, other = client(web), client(web, "other")
        with shop.get("/events", stream=True):
            answer = shop.get("/events")
            with other.get("/events", stream=True) as anothers:
                statuses = (answer.status_code, anothers.status_code)

    assert (statuses, answer.headers["Retry-After"]) == ((429, 200), "5")


def test_streams_above_the_bound_are_told_to_come_back_later(context: WebContext) -> None:
    with serving(replace(context, limits=ApiLimits(streams=1))) as web:
        shop, other = client(web), client(web, "other")
        with shop.get("/events", stream=True):
            answer = other.get("/events")

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["type"] == "urn:darkroom:error:too_many_streams"


def test_a_stream_with_nothing_to_tell_says_that_it_is_alive(context: WebContext) -> None:
    with (
        serving(replace(context, limits=ApiLimits(heartbeat_s=0.05))) as web,
        client(web).get("/events", stream=True) as answer,
    ):
        lines = answer.iter_lines(chunk_size=1)

        assert next(line for line in lines if line.startswith(b":")) == b": alive"


def test_open_streams_do_not_use_up_the_grace_of_a_server_that_is_told_to_end(
    context: WebContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GRACE_S", 600)
    with serving(context, is_patient=True) as web:
        stream = client(web).get("/events", stream=True)
        assert stream.status_code == 200

    assert list(parsed(stream)) == []
