"""Batches are listed, shown and controlled as with the commands, each owner its own."""

import hashlib
import io
from dataclasses import replace

import pytest
from PIL import Image
from sqlalchemy import text

from tests.web.api.client import Client, client, end_jobs
from tests.web.serving import Web, serving, with_settings
from worker.core.db.session import Database
from worker.core.rules.batch_request import Priority
from worker.web.context import WebContext
from worker.web.rules.identity import Right

NOBODY = "01a226fb-54b2-7744-9e6d-edb8c238260d"
CONTROLS = ("pause", "resume", "cancel", "retry", "priority")


def submitted(shop: Client, key: str = "key", lines: int = 1, **batch: object) -> str:
    return str(shop.submit([f"vase {number}" for number in range(lines)], key, **batch).json()["batch"])


def test_pages_of_batches_of_one_instant_neither_repeat_nor_miss_one(web: Web) -> None:
    shop = client(web)
    batches = {submitted(shop, f"key {number}") for number in range(5)}
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE batch SET created_at = '2026-11-29T10:00:00Z'"))
    found: list[str] = []
    cursor: dict[str, str] = {}

    while True:
        page = shop.get("/batches", params={"limit": "2", **cursor}).json()
        found += [each["batch"] for each in page["batches"]]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}

    assert (len(found), set(found)) == (5, batches)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("token=b", ["b"]),
        ("name=vases", ["c"]),
        ("owner=shop", ["b"]),
        ("state=paused", ["a"]),
        ("state=open", ["c", "b", "a"]),
        ("state=done", []),
    ],
)
def test_batches_are_found_by_what_they_are(web: Web, query: str, keys: list[str]) -> None:
    shop = client(web)
    paused = submitted(shop, "a")
    shop.post(f"/batches/{paused}/pause")
    submitted(shop, "b", owner="shop")
    submitted(shop, "c", name="vases")

    assert [each["token"] for each in shop.get(f"/batches?{query}").json()["batches"]] == keys


def test_a_batch_is_shown_with_its_figures(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, lines=3, credit_cap=8)
    end_jobs(web.context.database, batch, [1])

    found = shop.get(f"/batches/{batch}").json()

    assert (found["state"], found["size"], found["jobs"]["pending"], found["jobs"]["failed"]) == ("running", 3, 2, 1)
    assert (found["credits"]["cap"], found["failures"][0]["code"], found["nodes"]) == (8, "made_up", 0)


def test_nobody_sees_or_changes_the_batch_of_another_owner(web: Web) -> None:
    batch, rival = submitted(client(web, owner="shop")), client(web, "rival", owner="rival")
    before = client(web, "all").get(f"/batches/{batch}").json()

    statuses = {rival.post(f"/batches/{batch}/{verb}", json={"weight": 2} if verb == "priority" else {}).status_code
                for verb in CONTROLS}  # fmt: skip
    statuses |= {rival.get(f"/batches/{batch}{path}").status_code for path in ("", "/results", "/events")}
    statuses.add(rival.send("PUT", f"/batches/{batch}/cap", json={"credits": None}).status_code)

    assert statuses == {404}
    assert rival.get("/batches").json() == {"batches": [], "next": None}
    assert client(web, "later").get(f"/batches/{batch}").json() == before


@pytest.mark.parametrize("batch", [NOBODY, "x", "%2e%2e", "0"])
def test_a_batch_that_is_not_there_is_not_found(web: Web, batch: str) -> None:
    found = client(web).get(f"/batches/{batch}")

    assert (found.status_code, found.json()["type"]) == (404, "urn:darkroom:error:not_found")


def test_a_batch_is_paused_resumed_and_cancelled_with_who_and_why(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, lines=2)

    states = [
        shop.post(f"/batches/{batch}/pause", json={"reason": "too early"}).json()["state"],
        shop.post(f"/batches/{batch}/resume").json()["state"],
    ]
    cancelled = shop.post(f"/batches/{batch}/cancel").json()

    assert (states, cancelled) == (["paused", "running"], {"cancelled": 2, "released": 0, "draining": 0})
    with web.context.database.transaction() as tx:
        rows = tx.execute(text("SELECT actor, reason FROM change WHERE after = 'paused'")).all()
    assert [tuple(row) for row in rows] == [("token:shop@tester", "too early")]


def test_what_means_nothing_in_the_state_of_a_batch_is_a_conflict(web: Web) -> None:
    shop = client(web)

    found = shop.post(f"/batches/{submitted(shop)}/resume")

    assert (found.status_code, found.json()["type"]) == (409, "urn:darkroom:error:batch_action_not_possible")


def test_failed_jobs_are_asked_for_again_up_to_a_price(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, lines=2)
    end_jobs(web.context.database, batch, [1, 2])

    refused = shop.post(f"/batches/{batch}/retry", json={"max_credits": 7})
    done = shop.post(f"/batches/{batch}/retry", json={"max_credits": 8})

    assert (refused.status_code, refused.json()["credits"]) == (409, 8)
    assert (done.json()["jobs"], done.json()["credits"]) == (2, 8)


def test_priority_and_cap_are_set_within_the_bounds_of_the_token(web: Web) -> None:
    shop = client(web, max_priority=Priority.REFRESH, credit_cap=100)
    batch = submitted(shop)

    answers = [
        shop.post(f"/batches/{batch}/priority", json={"priority": "refresh", "weight": 3}),
        shop.post(f"/batches/{batch}/priority", json={"priority": "interactive"}),
        shop.send("PUT", f"/batches/{batch}/cap", json={"credits": 50}),
        shop.send("PUT", f"/batches/{batch}/cap", json={"credits": 101}),
        shop.send("PUT", f"/batches/{batch}/cap", json={"credits": None}),
    ]

    assert [answer.status_code for answer in answers] == [200, 403, 200, 403, 403]
    assert answers[0].json() == {"priority": "refresh", "weight": 3}
    assert answers[2].json() == {"before": 100, "after": 50, "committed": 0}


def test_the_account_is_shown_and_its_wallet_to_finance_alone(web: Web) -> None:
    reader, finance = (
        client(web, "reader", rights=[Right.READ]),
        client(web, "books", rights=[Right.READ, Right.FINANCE]),
    )

    assert (reader.get("/account").json()["state"], reader.get("/account").json()["wallet"]) == ("running", None)
    assert finance.get("/account").json()["wallet"] == {"left": None, "read_at": None}


def test_who_exports_the_results_of_a_batch_is_in_the_log_of_changes(web: Web) -> None:
    shop = client(web)
    batch = shop.submit(["a cup"]).json()["batch"]
    shop.get(f"/batches/{batch}/results")
    shop.get(f"/batches/{batch}/results", headers={"Accept": "application/x-ndjson"})

    with web.context.database.transaction() as tx:
        rows = tx.execute(text("SELECT subject, field, after, actor FROM change WHERE field = 'exported'"))
        assert [tuple(row) for row in rows] == [(f"batch:{batch}", "exported", "results", "token:shop@tester")]


def test_results_come_in_the_order_of_lines_by_cursor_and_as_a_stream(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, lines=5)
    first = shop.get(f"/batches/{batch}/results?limit=3").json()

    rest = shop.get(f"/batches/{batch}/results", params={"after": first["next"], "limit": 3}).json()
    stream = shop.get(f"/batches/{batch}/results", headers={"Accept": "application/x-ndjson"})

    assert [[each["line"] for each in page["results"]] for page in (first, rest)] == [[1, 2, 3], [4, 5]]
    assert (rest["next"], stream.headers["Content-Type"]) == (None, "application/x-ndjson")
    assert len(stream.text.splitlines()) == 5


def stored(web: Web, batch: str, *, line: int = 1) -> tuple[str, bytes]:
    """Store an image as the result of a line's job; returns the job and the bytes."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    content = buffer.getvalue()
    path = "made/up.png" if line == 1 else f"made/up{line}.png"
    web.context.store.put_new(path, content, content_type="image/png")
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        found = tx.execute(text("SELECT id FROM job WHERE batch_id = :b AND line = :line"), {"b": batch, "line": line})
        job = found.scalar_one()
        tx.execute(text("SET LOCAL session_replication_role = replica"))
        tx.execute(
            text("""
                INSERT INTO result (job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width,
                    height, frames, not_as_ordered, stored_at, recorded_at)
                VALUES (:job, :job, '', :path, :sha256, :size, 'image/png', 8, 8, 1, '{}', now(), now())"""),
            {"job": job, "path": path, "sha256": hashlib.sha256(content).hexdigest(), "size": len(content)},
        )
    return str(job), content


def test_an_image_is_downloaded_whole_in_part_or_not_again(web: Web) -> None:
    shop = client(web)
    job, content = stored(web, submitted(shop))
    path = shop.get(f"/jobs/{job}").json()["image"].removeprefix("/api/v1")

    whole, head = shop.get(path), shop.send("HEAD", path)
    part = shop.get(path, headers={"Range": "bytes=4-7"})
    last = shop.get(path, headers={"Range": "bytes=-4"})
    again = shop.get(path, headers={"If-None-Match": whole.headers["ETag"]})
    beyond = shop.get(path, headers={"Range": f"bytes={len(content)}-"})

    assert (whole.content, whole.headers["Content-Type"]) == (content, "image/png")
    assert (head.headers["Content-Length"], head.content) == (str(len(content)), b"")
    assert (part.status_code, part.content, last.content) == (206, content[4:8], content[-4:])
    assert (again.status_code, beyond.status_code) == (304, 416)


def test_bytes_that_are_not_the_image_are_not_given_as_such(web: Web) -> None:
    shop = client(web)
    job, _ = stored(web, submitted(shop))
    web.context.store.replace("made/up.png", b"damaged", content_type="image/png")

    assert shop.get(f"/results/{job}/image").json()["type"] == "urn:darkroom:error:store_object_damaged"


def test_a_job_without_an_image_has_none(web: Web) -> None:
    shop = client(web)
    job = shop.get(f"/batches/{submitted(shop)}/results").json()["results"][0]["job"]

    assert shop.get(f"/results/{job}/image").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("DELETE", "/batches", {}, 405),
        ("GET", "/nothing", {}, 404),
        ("GET", "/batches", {"Accept": "text/html"}, 406),
        ("GET", "/batches?stat=open", {}, 400),
        ("GET", "/batches?state=x", {}, 422),
        ("GET", "/batches?limit=0", {}, 422),
        ("GET", "/batches?cursor=x", {}, 422),
        ("POST", f"/batches/{NOBODY}/priority", {}, 400),
    ],
)
def test_a_malformed_request_is_a_problem_that_says_why(
    web: Web, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    found = client(web).send(method, path, headers=headers)

    assert (found.status_code, found.headers["Content-Type"]) == (status, "application/problem+json"), found.text
    assert found.json()["detail"]


def test_a_database_that_is_gone_is_a_service_that_is_not_available(context: WebContext) -> None:
    gone = Database("postgresql://127.0.0.1:1/gone", connections=1)
    with serving(context) as web:
        headers = client(web).headers
    with serving(replace(context, database=gone)) as web:
        found = Client(url=web.url, headers=headers).get("/batches")

    assert (found.status_code, found.headers["Retry-After"]) == (503, "5")
    assert found.json()["type"] == "urn:darkroom:error:database_unavailable"


def test_what_nobody_foresaw_tells_a_client_nothing_of_the_server(web: Web) -> None:
    shop = client(web)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("ALTER TABLE batch RENAME TO other"))

    found = shop.get("/batches")

    assert (found.status_code, found.json()["detail"]) == (500, "the server failed; its log says why")


def test_a_dear_batch_waits_for_another_person(context: WebContext) -> None:
    with serving(with_settings(context, approve_above=5)) as web:
        shop = client(web)
        batch = submitted(shop, lines=2)

        found = shop.post(f"/batches/{batch}/resume")

        assert shop.get(f"/batches/{batch}").json()["state"] == "paused"
        assert (found.status_code, found.json()["type"]) == (409, "urn:darkroom:error:second_person_needed")
