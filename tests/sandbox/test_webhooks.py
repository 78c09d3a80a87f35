"""The endpoints with which webhooks are managed, as documented."""

from typing import Any

import pytest

from tests.acceptance.waiting import until
from tests.sandbox.running import Sandbox

BODY = {"name": "ours", "url": "https://example.com/hooks/x", "event_types": ["generation.succeeded"]}
PATH = "/api/v1/webhooks"


def added(sandbox: Sandbox, **changes: object) -> dict[str, Any]:
    answer = sandbox.call("POST", PATH, json={**BODY, **changes})
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def test_the_secret_is_shown_once_and_anew_when_it_is_changed(sandbox: Sandbox) -> None:
    endpoint = added(sandbox)

    shown = sandbox.get(f"{PATH}/{endpoint['id']}").json()
    rotated = sandbox.call("POST", f"{PATH}/{endpoint['id']}/rotate-secret").json()

    assert endpoint["signing_secret"].startswith("whsec_")
    assert "signing_secret" not in shown
    assert rotated["signing_secret"] != endpoint["signing_secret"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hooks",
        "https://me@example.com/hooks",
        "https://example.com/hooks#x",
        "https://localhost/hooks",
        "https://127.0.0.1/hooks",
        "https://10.0.0.1/hooks",
        "https://printer.local/hooks",
    ],
)
def test_an_address_that_is_not_public_https_is_refused(sandbox: Sandbox, url: str) -> None:
    answer = sandbox.call("POST", PATH, json={**BODY, "url": url})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "webhook_url_rejected")


@pytest.mark.parametrize("changes", [{"name": ""}, {"event_types": []}, {"event_types": ["chat.done"]}, {"url": 7}])
def test_a_wrong_body_is_refused(sandbox: Sandbox, changes: dict[str, object]) -> None:
    answer = sandbox.call("POST", PATH, json={**BODY, **changes})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "validation_failed")


def test_an_endpoint_can_be_changed_and_removed(sandbox: Sandbox) -> None:
    endpoint = added(sandbox)

    changed = sandbox.call("PATCH", f"{PATH}/{endpoint['id']}", json={"name": "theirs"}).json()
    sandbox.call("DELETE", f"{PATH}/{endpoint['id']}").raise_for_status()

    assert changed["name"] == "theirs"
    assert endpoint["id"] not in [each["id"] for each in sandbox.get(PATH).json()["data"]]
    assert sandbox.get(f"{PATH}/{endpoint['id']}").status_code == 404


def test_a_test_event_is_among_the_deliveries_when_it_was_tried(sandbox: Sandbox) -> None:
    sandbox.set(webhook_loopback=True, webhook_attempts=1)
    endpoint = added(sandbox, url="http://127.0.0.1:9/hooks")

    sandbox.call("POST", f"{PATH}/{endpoint['id']}/test").raise_for_status()

    def outcomes() -> list[str]:
        sent = sandbox.get(f"{PATH}/{endpoint['id']}/deliveries").json()["data"]
        return [each["outcome"] for each in sent]

    until(lambda: outcomes() == ["ClientConnectorError"], "it was tried")
    assert sandbox.get("/api/v1/webhook-events").json()["data"][-1]["type"] == "webhook.test"
