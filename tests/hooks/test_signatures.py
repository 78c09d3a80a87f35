"""What is posted verifies with the library of Standard Webhooks, and secrets are rotated without a gap."""

from datetime import UTC, datetime, timedelta

import pytest
from pytest_httpserver import HTTPServer
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from tests.hooks.desk import Desk, bodies
from worker.hooks import subscriptions
from worker.hooks.rules.hook import OVERLAP, BadHook


@pytest.fixture
def desk(desk: Desk, httpserver: HTTPServer) -> Desk:
    """Return a desk whose clock shows the time, which the library compares signatures with; its receiver is there."""
    desk.clock.now = datetime.now(UTC)
    httpserver.expect_request("/hook", method="POST").respond_with_data("")
    return desk


def verifies(secret: str | None, server: HTTPServer) -> bool:
    request, _ = server.log[-1]
    try:
        Webhook(secret or "").verify(request.data, dict(request.headers))
    except WebhookVerificationError:
        return False
    return True


def test_a_post_is_signed_over_its_id_its_time_and_its_body(desk: Desk, httpserver: HTTPServer) -> None:
    made = desk.add(httpserver.url_for("/hook"))
    desk.happen()
    desk.send()

    request, _ = httpserver.log[0]
    (body,) = bodies(httpserver)
    content = Webhook(made.secret or "").verify(request.data, dict(request.headers))
    assert content == body
    assert request.headers["webhook-id"] == body["id"]
    assert request.headers["webhook-timestamp"] == str(int(desk.clock().timestamp()))
    assert (body["type"], body["version"], set(body)) == (
        "account.paused", 1, {"id", "type", "version", "created_at", "data"},
    )  # fmt: skip
    assert body["id"].startswith("evt_")


def test_a_changed_body_does_not_verify(desk: Desk, httpserver: HTTPServer) -> None:
    made = desk.add(httpserver.url_for("/hook"))
    desk.happen()
    desk.send()
    request, _ = httpserver.log[0]

    with pytest.raises(WebhookVerificationError):
        Webhook(made.secret or "").verify(request.data + b" ", dict(request.headers))


def test_for_a_day_after_a_rotation_both_secrets_verify_and_then_the_new_one_alone(
    desk: Desk, httpserver: HTTPServer
) -> None:
    old = desk.add(httpserver.url_for("/hook"))
    desk.clock.advance(-OVERLAP)
    new = subscriptions.rotate(desk.node.services.database, desk.author(), str(old.hook_id))
    desk.clock.advance(OVERLAP - timedelta(seconds=1))
    desk.happen()
    desk.send()
    within = (verifies(old.secret, httpserver), verifies(new.secret, httpserver))
    desk.clock.advance(timedelta(seconds=1))
    desk.happen()
    desk.send()
    after = (verifies(old.secret, httpserver), verifies(new.secret, httpserver))

    assert (within, after) == ((True, True), (False, True))
    assert old.secret != new.secret


def test_a_hook_that_is_rotated_again_and_again_is_refused_before_its_header_grows_without_end(
    desk: Desk, httpserver: HTTPServer
) -> None:
    made = desk.add(httpserver.url_for("/hook"))
    for _ in range(3):
        subscriptions.rotate(desk.node.services.database, desk.author(), str(made.hook_id))

    with pytest.raises(BadHook, match="wait a day"):
        subscriptions.rotate(desk.node.services.database, desk.author(), str(made.hook_id))


def test_a_secret_is_in_no_log_and_not_in_the_log_of_changes(
    desk: Desk, httpserver: HTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    made = desk.add(httpserver.url_for("/hook"))
    new = subscriptions.rotate(desk.node.services.database, desk.author(), str(made.hook_id))
    desk.happen()
    desk.send()

    kept = desk.node.query("SELECT field, before, after, actor FROM change WHERE subject LIKE 'hook:%' ORDER BY id")
    said = "".join(capsys.readouterr()) + str(kept)
    assert [each for each in kept if each["field"] == "secret"] == [
        {"field": "secret", "before": None, "after": "set anew", "actor": "rita"},
        {"field": "secret", "before": "set", "after": "set anew", "actor": "rita"},
    ]
    assert (made.secret or "") not in said
    assert (new.secret or "") not in said
