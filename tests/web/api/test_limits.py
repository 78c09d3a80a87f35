"""Clients that send too much, or too slowly, are told so, and nothing is left of what they sent."""

import socket
import time
from dataclasses import fields, replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from tests.acceptance.waiting import until
from tests.web.api.client import Client, client, count
from tests.web.api.test_submit import KEY, spooled
from tests.web.serving import Web, serving
from worker.settings import Settings
from worker.web import server
from worker.web.context import WebContext
from worker.web.limits import ApiLimits
from worker.web.rules.rate_limit import RatePolicy

POLICY = RatePolicy(quota=3, window_s=30)


def test_a_client_above_its_rate_waits_and_others_do_not(context: WebContext) -> None:
    with serving(replace(context, limits=ApiLimits(requests=POLICY))) as web:
        shop, other = client(web), client(web, "other")
        answers = [shop.get("/batches") for _ in range(4)]
        others = other.get("/batches")

    assert [answer.status_code for answer in (*answers, others)] == [200, 200, 200, 429, 200]
    assert answers[0].headers["RateLimit-Policy"] == '"default";q=3;w=30'
    assert answers[0].headers["RateLimit"].startswith('"default";r=2;t=')
    assert 1 <= int(answers[3].headers["Retry-After"]) <= 10


def test_without_settings_the_bounds_are_the_documented_ones() -> None:
    assert ApiLimits.of(Settings.model_validate({})) == ApiLimits()


def test_every_bound_but_the_size_of_a_reference_is_a_setting() -> None:
    chosen = {name: 7 for name in Settings.model_fields if name.startswith("api_") and name != "api_key"}
    spans = {"api_body_grace": timedelta(seconds=7), "api_heartbeat": timedelta(seconds=7)}
    limits = ApiLimits.of(Settings.model_validate({}).model_copy(update={**chosen, **spans}))

    assert limits == ApiLimits(
        requests=RatePolicy(quota=7, window_s=60),
        reference_bytes=ApiLimits().reference_bytes,
        **{each.name: 7 for each in fields(ApiLimits) if each.name not in {"requests", "reference_bytes"}},
    )


def test_a_web_process_holds_its_clients_to_its_settings(context: WebContext) -> None:
    settings = context.settings.model_copy(update={"api_requests": 2})
    opened = server.context(settings)
    try:
        with serving(opened) as web:
            shop = client(web)
            answers = [shop.get("/batches").status_code for _ in range(3)]
    finally:
        opened.database.close()

    assert answers == [200, 200, 429]


SMALL = ApiLimits(body_bytes=2_000, json_bytes=200, control_bytes=100, reference_bytes=500, files=2, lines=3)


@pytest.mark.parametrize(
    "options",
    [
        {"data": b"x" * 2_001, "headers": {"Content-Type": "text/csv"}},
        {"data": iter([b"x" * 1_000] * 3), "headers": {"Content-Type": "text/csv"}},
        {"data": b'{"requests":' + b" " * 200, "headers": {"Content-Type": "application/json"}},
        {"data": b'{"prompt": "x"}\n' * 4, "headers": {"Content-Type": "application/x-ndjson"}},
        {"files": [("manifest", b'{"prompt": "x"}'), ("files", ("a.png", b"x" * 501))]},
        {"files": [("manifest", b'{"prompt": "x"}'), *(("files", (name, b"x")) for name in "abc")]},
        {"files": [("manifest", b'{"prompt": "x"}'), ("batch", (None, b"x" * 101))]},
    ],
)
def test_what_is_too_large_is_refused_and_nothing_is_left(context: WebContext, options: dict[str, object]) -> None:
    with serving(replace(context, limits=SMALL)) as web:
        headers = {**KEY, **options.pop("headers", {})}  # type: ignore[dict-item]
        found = client(web).post("/batches", headers=headers, **options)

        assert found.status_code == 413, found.text
        assert (count(context.database, "batch"), spooled(web)) == (0, [])


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def begun(web: Web, shop: Client, kind: str) -> socket.socket:
    """Begin an upload of which nothing more comes."""
    parts = urlsplit(web.url)
    slow = socket.create_connection((parts.hostname, parts.port), timeout=30)
    lines = ["POST /api/v1/batches HTTP/1.1", f"Host: {parts.netloc}", "Content-Length: 1000", "Expect: 100-continue"]
    lines += [f"Content-Type: {kind}", "Idempotency-Key: slow", f"Authorization: {shop.headers['Authorization']}"]
    slow.sendall("\r\n".join([*lines, "", ""]).encode())
    # It is said once the server begins to read the body, and has taken a place for it by then.
    assert slow.recv(len(CONTINUE)) == CONTINUE
    return slow


@pytest.mark.parametrize("kind", ["application/x-ndjson", "application/json", "multipart/form-data; boundary=x"])
def test_a_body_that_comes_too_slowly_is_cut_off(context: WebContext, kind: str) -> None:
    limits = ApiLimits(grace_s=0.3, slowest_bytes_s=1_000_000)
    with serving(replace(context, limits=limits)) as web, begun(web, client(web), kind) as slow:
        began = time.monotonic()
        answer = slow.recv(10_000)

        assert answer.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < 20
        until(lambda: spooled(web) == [], "nothing is left")


def test_a_client_that_hangs_up_leaves_nothing(web: Web) -> None:
    shop = client(web)
    with begun(web, shop, "multipart/form-data; boundary=x") as slow:
        slow.sendall(b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf')

    until(lambda: shop.submit(["a vase"], "slow").status_code == 202, "the key is free again")
    until(lambda: spooled(web) == [], "nothing is left")


def test_uploads_above_the_bound_of_a_client_are_refused(context: WebContext) -> None:
    with serving(replace(context, limits=ApiLimits(uploads_of_one=1))) as web:
        shop, other = client(web), client(web, "other")
        with begun(web, shop, "application/x-ndjson"):
            assert shop.submit(["a vase"], "more").status_code == 429
            assert other.submit(["a vase"], "others").status_code == 202
