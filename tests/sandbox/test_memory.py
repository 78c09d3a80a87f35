"""What the sandbox keeps across restarts, and what its books say."""

import json
from pathlib import Path

import pytest

from tests.sandbox.pictures import picture
from tests.sandbox.running import Sandbox, start


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_tasks_keys_files_and_money_outlive_the_process(tmp_path: Path, end: str) -> None:
    options = ("--state", tmp_path, "--set", "latency_median_s=1000", "--set", "latency_sigma=0")
    first = start(*options)
    stored = first.upload(picture()).json()
    items = [{"url": stored["url"], "kind": "image"}]
    body = {"model": "qwen-image", "prompt": "A chair", "params": {"referenceMediaItems": items}}
    created = first.create(body, idempotency_key="k").json()
    getattr(first, end)()

    second = start(*options)
    replayed = second.create(body, idempotency_key="k").json()
    task = second.task(created["id"])
    second.post("/sandbox/clock", {"advance_s": 1001})
    ended = second.task(created["id"])
    image = second.get(ended["result"]["primary_url"].removeprefix(second.url))
    books = second.books("?keys=1")
    second.stop()

    assert first.key == second.key
    assert replayed == created
    assert (task["status"], ended["status"], image.status_code) == ("queued", "succeeded", 200)
    assert books["tasks_per_key"] == {"k": 1}
    assert (books["wallet"]["charged"], books["wallet"]["available"]) == (4, 9_996)


def test_requests_and_polls_outlive_a_clean_stop(tmp_path: Path) -> None:
    first = start("--state", tmp_path)
    first.task(first.create().json()["id"])
    before = first.books()
    first.stop()

    second = start("--state", tmp_path)
    after = second.books()
    second.stop()

    assert (after["requests"], after["polls"]) == (before["requests"], before["polls"])


def test_a_torn_last_line_is_forgotten(tmp_path: Path) -> None:
    first = start("--state", tmp_path)
    task_id = first.create().json()["id"]
    first.kill()
    with (tmp_path / "journal.jsonl").open("a") as journal:
        journal.write('["credits",{"acc')

    second = start("--state", tmp_path)
    task = second.task(task_id)
    second.stop()

    assert task["id"] == task_id
    assert [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]


def test_the_books_know_each_generation(sandbox: Sandbox) -> None:
    created = sandbox.create(
        {"model": "qwen-image", "prompt": "A chair", "client_request_id": "row-7"}, idempotency_key="books"
    ).json()
    sandbox.task(created["id"])
    sandbox.task(created["id"])

    row = next(row for row in sandbox.books("?tasks=1")["task_list"] if row["id"] == created["id"])

    assert (row["key"], row["client_request_id"], row["status"]) == ("books", "row-7", "succeeded")
    assert (row["reserved"], row["final"], row["polls"]) == (4, 4, 2)
    assert 0 <= row["detection_lag_s"] < 5
    assert len(row["sha256"]) == 64


def test_the_books_balance(sandbox: Sandbox) -> None:
    sandbox.set(
        refund_after_s=60,
        faults={"create": {"fail_generation": 0.3, "charge_failed": 0.2, "never_ends": 0.2}},
    )
    ids = [sandbox.create().json()["id"] for _ in range(20)]
    tasks = [sandbox.task(task_id) for task_id in ids]

    books = sandbox.books()

    wallet = books["wallet"]
    held = wallet["available"] + wallet["reserved"] + wallet["returning"] + wallet["charged"]
    assert len(tasks) == len(ids)
    assert held == wallet["added"]
    assert min(wallet["available"], wallet["reserved"], wallet["returning"], wallet["charged"]) >= 0


def test_a_wallet_can_be_set_below_zero(sandbox: Sandbox) -> None:
    wallet = sandbox.post("/sandbox/wallet", {"set": -6})

    assert (wallet["available"], sandbox.get("/api/v1/credits").json()) == (-6, {"current_credits": -6})


def test_no_more_is_taken_out_of_the_wallet_than_it_has(sandbox: Sandbox) -> None:
    wallet = sandbox.post("/sandbox/wallet", {"add": -50_000})

    assert wallet["available"] == 0


def test_uploads_are_counted_by_their_bytes(sandbox: Sandbox) -> None:
    before = sandbox.books()["uploads"]
    data = picture(colour="teal")

    sandbox.upload(data)
    sandbox.upload(data)

    after = sandbox.books()["uploads"]
    assert (after["total"] - before["total"], after["distinct"] - before["distinct"]) == (2, 1)
