"""What an Idempotency-Key does, under each switch."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.sandbox.running import Sandbox

BODY = b'{"model": "qwen-image", "prompt": "A chair"}'
SAME_IN_OTHER_BYTES = b'{"prompt":"A chair","model":"qwen-image"}'
OTHER = b'{"model": "qwen-image", "prompt": "A table"}'


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def send(sandbox: Sandbox, key: str, body: bytes = BODY, api_key: str = "") -> requests.Response:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return sandbox.call("POST", "/api/v1/generations", data=body, headers=headers, key=api_key)


def tasks_of(sandbox: Sandbox, key: str) -> int:
    return int(sandbox.books("?keys=1")["tasks_per_key"].get(key, 0))


def test_the_same_key_and_body_give_the_same_generation_and_one_charge(sandbox: Sandbox, key: str) -> None:
    first, second = send(sandbox, key), send(sandbox, key)

    assert first.json()["id"] == second.json()["id"]
    assert tasks_of(sandbox, key) == 1
    assert sandbox.credits() == 9_996


def test_the_same_key_and_another_body_conflict(sandbox: Sandbox, key: str) -> None:
    send(sandbox, key)

    answer = send(sandbox, key, OTHER)

    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_conflict")
    assert tasks_of(sandbox, key) == 1


def test_without_a_key_each_create_is_a_new_generation(sandbox: Sandbox) -> None:
    first, second = sandbox.create(), sandbox.create()

    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(("comparison", "status"), [("canonical", 200), ("raw", 409)])
def test_the_same_json_in_other_bytes_is_the_same_body_only_when_compared_as_json(
    sandbox: Sandbox, key: str, comparison: str, status: int
) -> None:
    sandbox.set(idempotency_compare=comparison)
    send(sandbox, key)

    assert send(sandbox, key, SAME_IN_OTHER_BYTES).status_code == status


@pytest.mark.parametrize(("age_s", "tasks"), [(3_000, 1), (3_700, 2)])
def test_a_key_is_forgotten_after_its_window(sandbox: Sandbox, key: str, age_s: int, tasks: int) -> None:
    sandbox.set(idempotency_window_s=3_600)
    send(sandbox, key)

    sandbox.post("/sandbox/clock", {"advance_s": age_s})
    send(sandbox, key)

    assert tasks_of(sandbox, key) == tasks


@pytest.mark.parametrize(("shows", "status"), [("current", "succeeded"), ("snapshot", "queued")])
def test_a_replay_shows_the_present_or_the_first_picture(sandbox: Sandbox, key: str, shows: str, status: str) -> None:
    sandbox.set(idempotency_replay=shows)
    send(sandbox, key)

    assert send(sandbox, key).json()["status"] == status


@pytest.mark.parametrize(("scope", "tasks"), [("account", 1), ("api_key", 2)])
def test_two_keys_of_an_account_share_idempotency_keys_only_in_that_scope(
    sandbox: Sandbox, key: str, scope: str, tasks: int
) -> None:
    second = sandbox.post("/sandbox/keys", {})["api_key"]
    sandbox.set(idempotency_scope=scope)

    send(sandbox, key)
    send(sandbox, key, api_key=second)

    assert tasks_of(sandbox, key) == tasks


@pytest.mark.parametrize(("in_flight", "statuses"), [("wait", [200, 200]), ("conflict", [200, 409])])
def test_a_replay_during_the_first_request_waits_or_conflicts(
    sandbox: Sandbox, key: str, in_flight: str, statuses: list[int]
) -> None:
    sandbox.set(idempotency_in_flight=in_flight, create_takes_s=0.3)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: send(sandbox, key), range(2)))

    assert sorted(answer.status_code for answer in answers) == statuses
    assert tasks_of(sandbox, key) == 1


@pytest.mark.parametrize(("burns", "status"), [("nothing", 200), ("refusals", 402), ("everything", 402)])
def test_a_refused_first_attempt_uses_the_key_up_only_when_so_set(
    sandbox: Sandbox, key: str, burns: str, status: int
) -> None:
    sandbox.set(idempotency_burns=burns)
    sandbox.post("/sandbox/wallet", {"set": 0})
    refused = send(sandbox, key)
    sandbox.post("/sandbox/wallet", {"set": 100})

    again = send(sandbox, key)

    assert (refused.status_code, again.status_code) == (402, status)


@pytest.mark.parametrize(("burns", "status"), [("refusals", 200), ("everything", 429)])
def test_a_throttled_first_attempt_uses_the_key_up_only_when_everything_does(
    sandbox: Sandbox, key: str, burns: str, status: int
) -> None:
    sandbox.set(idempotency_burns=burns)
    sandbox.script({"on": "create", "nth": 1, "fault": "throttle"})
    send(sandbox, key)

    assert send(sandbox, key).status_code == status


def test_a_replay_has_the_header_and_the_status_that_are_set(sandbox: Sandbox, key: str) -> None:
    sandbox.set(create_status=202, idempotency_replay_status=200, idempotency_replay_header="Idempotent-Replayed")

    first, second = send(sandbox, key), send(sandbox, key)

    assert (first.status_code, first.headers.get("Idempotent-Replayed")) == (202, None)
    assert (second.status_code, second.headers.get("Idempotent-Replayed")) == (200, "true")


@pytest.mark.parametrize("bad", ["", "x" * 256])
def test_a_key_that_is_empty_or_too_long_is_refused(sandbox: Sandbox, bad: str) -> None:
    assert send(sandbox, bad).status_code == 400
