"""Faults on a real socket, by script and by chance."""

from typing import Any

import pytest
import requests

from tests.sandbox.pictures import opened
from tests.sandbox.running import Sandbox

CREDITS = "/api/v1/credits"


def creates(sandbox: Sandbox) -> int:
    return int(sandbox.books()["tasks"]["total"])


def on_create(fault: str) -> dict[str, Any]:
    return {"on": "create", "nth": 1, "fault": fault}


@pytest.mark.parametrize(("fault", "tasks"), [("lost_reply", 1), ("reset_after", 1), ("reset_before", 0)])
def test_a_cut_connection_leaves_the_work_done_or_not(sandbox: Sandbox, fault: str, tasks: int) -> None:
    before = creates(sandbox)
    sandbox.script(on_create(fault))

    with pytest.raises(requests.ConnectionError):
        sandbox.create()

    assert creates(sandbox) - before == tasks


@pytest.mark.parametrize(
    ("fault", "sign"),
    [
        ("reset_before", "Connection reset by peer"),
        ("reset_after", "Connection reset by peer"),
        ("lost_reply", "closed connection without response"),
    ],
)
def test_a_reset_is_a_reset_and_a_lost_reply_is_a_close(sandbox: Sandbox, fault: str, sign: str) -> None:
    sandbox.script({"on": "credits", "nth": 1, "fault": fault})

    with pytest.raises(requests.ConnectionError, match=sign):
        sandbox.get(CREDITS)


@pytest.mark.parametrize(
    ("fault", "status", "tasks"),
    [
        ("http_500_html", 500, 0),
        ("http_500_html_after", 500, 1),
        ("http_503", 503, 0),
        ("malformed_json", 200, 1),
        ("malformed_json_unprocessed", 200, 0),
    ],
)
def test_an_unreadable_answer_leaves_the_work_done_or_not(
    sandbox: Sandbox, fault: str, status: int, tasks: int
) -> None:
    before = creates(sandbox)
    sandbox.script(on_create(fault))

    answer = sandbox.create()

    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert (answer.status_code, creates(sandbox) - before) == (status, tasks)


@pytest.mark.parametrize(("body", "begins"), [("html", b"<!DOCTYPE html>"), ("json", b'{"error":'), ("empty", b"")])
def test_a_503_from_the_edge_has_the_body_that_is_set(sandbox: Sandbox, body: str, begins: bytes) -> None:
    sandbox.set(edge_503_body=body)
    sandbox.script({"on": "credits", "nth": 1, "fault": "http_503"})

    answer = sandbox.get(CREDITS)

    assert answer.status_code == 503
    assert answer.content.startswith(begins)
    assert bool(answer.content) is bool(begins)


@pytest.mark.parametrize(("fault", "retry_after"), [("throttle", "7"), ("throttle_bare", None)])
def test_a_throttled_request_may_say_when_to_come_back(sandbox: Sandbox, fault: str, retry_after: str | None) -> None:
    sandbox.set(throttle_retry_after_s=7)
    sandbox.script({"on": "credits", "nth": 1, "fault": fault})

    answer = sandbox.get(CREDITS)

    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, retry_after)
    assert answer.json()["error"]["code"] == "rate_limited"


def test_a_slow_answer_is_late_and_whole(sandbox: Sandbox) -> None:
    sandbox.script({"on": "credits", "nth": 1, "fault": "slow", "delay_s": 0.2})

    answer = sandbox.get(CREDITS)

    assert answer.json() == {"current_credits": 10_000}
    assert answer.elapsed.total_seconds() >= 0.2


def test_a_truncated_download_ends_before_its_length(sandbox: Sandbox) -> None:
    path = f"/sandbox/results/{sandbox.create().json()['id']}.png"
    sandbox.script({"on": "download", "nth": 1, "fault": "truncated_download"})

    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        sandbox.get(path)


def test_a_download_may_have_the_wrong_size(sandbox: Sandbox) -> None:
    path = f"/sandbox/results/{sandbox.create().json()['id']}.png"
    sandbox.script({"on": "download", "nth": 1, "fault": "wrong_pixels"})

    assert opened(sandbox.get(path).content).size == (1016, 1016)


@pytest.mark.parametrize(
    ("fault", "status", "final", "charged"),
    [
        ("fail_generation", "failed", 0, 0),
        ("charge_failed", "failed", 4, 4),
        ("overcharge", "succeeded", 5, 5),
        ("never_ends", "processing", 0, 0),
    ],
)
def test_a_generation_may_end_badly_or_never(
    sandbox: Sandbox, fault: str, status: str, final: int, charged: int
) -> None:
    before = sandbox.books()["wallet"]["charged"]
    sandbox.script(on_create(fault))
    created = sandbox.create().json()

    sandbox.post("/sandbox/clock", {"advance_s": 10_000})
    task = sandbox.task(created["id"])

    assert (created["reserved_credits"], task["status"], task["final_credits"]) == (4, status, final)
    assert sandbox.books()["wallet"]["charged"] - before == charged


def test_a_scripted_fault_hits_the_nth_request_of_its_kind_from_now(sandbox: Sandbox) -> None:
    sandbox.get(CREDITS)
    sandbox.script({"on": "credits", "nth": 2, "fault": "throttle"}, {"on": "models", "nth": 1, "fault": "http_503"})

    statuses = [sandbox.get(CREDITS).status_code for _ in range(3)]

    assert statuses == [200, 429, 200]
    assert [line["on"] for line in sandbox.get("/sandbox/script").json()] == ["models"]


def statuses_under(sandbox: Sandbox, seed: int) -> list[int]:
    sandbox.set(seed=seed, faults={"credits": {"throttle": 0.4}})
    return [sandbox.get(CREDITS).status_code for _ in range(30)]


def test_the_same_seed_gives_the_same_faults(sandbox: Sandbox) -> None:
    first, other, again = (statuses_under(sandbox, seed) for seed in (7, 8, 7))

    assert first == again != other
    assert set(first) == {200, 429}


def test_chance_and_books_agree(sandbox: Sandbox) -> None:
    sandbox.set(faults={"*": {"throttle": 1.0}})
    before = sandbox.books()

    sandbox.get(CREDITS)
    sandbox.create()

    after = sandbox.books()
    assert after["throttled"] - before["throttled"] == 2
    assert after["tasks"] == before["tasks"]


@pytest.mark.parametrize(
    "bad",
    [
        {},
        [{"on": "create", "nth": 1}],
        [{"on": "lunch", "nth": 1, "fault": "slow"}],
        [{"on": "create", "nth": 1, "fault": "rain"}],
        [{"on": "create", "nth": 0, "fault": "slow"}],
        [{"on": "get", "nth": 1, "fault": "fail_generation"}],
    ],
)
def test_a_script_that_cannot_happen_is_refused(sandbox: Sandbox, bad: object) -> None:
    assert sandbox.call("POST", "/sandbox/script", json=bad).status_code == 400
    assert sandbox.get("/sandbox/script").json() == []


def test_a_late_create_is_answered_at_once_and_carried_out_when_its_time_has_come(sandbox: Sandbox) -> None:
    before = creates(sandbox)
    sandbox.script(on_create("late_create") | {"delay_s": 60})

    answer = sandbox.create(idempotency_key="late-1")
    at_once = creates(sandbox) - before
    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert answer.status_code == 504
    assert (at_once, creates(sandbox) - before) == (0, 1)
    assert sandbox.create(idempotency_key="late-1").json()["id"]
    assert creates(sandbox) - before == 1


def test_a_late_create_that_the_rules_refuse_by_then_makes_nothing(sandbox: Sandbox) -> None:
    before = creates(sandbox)
    sandbox.script(on_create("late_create") | {"delay_s": 60})
    sandbox.create(idempotency_key="late-2")
    sandbox.create({"model": "qwen-image", "prompt": "Another"}, idempotency_key="late-2")

    sandbox.post("/sandbox/clock", {"advance_s": 61})

    assert creates(sandbox) - before == 1


def test_only_a_create_can_be_late(sandbox: Sandbox) -> None:
    answer = sandbox.call("POST", "/sandbox/script", json=[{"on": "get", "nth": 1, "fault": "late_create"}])

    assert answer.status_code == 400
    assert "happens to creates" in answer.text
