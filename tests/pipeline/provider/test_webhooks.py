"""Webhooks of the sandbox, over sockets, to a receiver and a node whose clock is moved: they are hints and no more."""

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from uuid_utils.compat import uuid7

from ops.bench.receiving import receiving
from ops.sandbox.choices import WebhookSignature
from ops.sandbox.webhooks import signature
from tests.acceptance.waiting import until
from tests.fixtures.provider import Provider
from tests.pipeline.node import Clock, Node
from worker.accounts import webhooks
from worker.accounts.webhooks import Added
from worker.core.db.changes import Author
from worker.core.rules.errors import ProviderError
from worker.core.rules.states import StepKind
from worker.engine.queries import hints, step_moves, steps
from worker.engine.queries.steps import Claim
from worker.engine.rules.hints import MOST_PER_GENERATION
from worker.engine.steps import outcomes, transitions
from worker.provider.webhooks import DEFAULT, Verifier
from worker.web import receiver

QUICK_END = {"latency_median_s": 0.3, "latency_sigma": 0, "webhook_delay_s": 0, "webhook_loopback": True}
NEVER = {**QUICK_END, "webhook_lost": 1.0}


@dataclass(kw_only=True)
class Rig:
    """A node, and an endpoint that is registered with its provider."""

    node: Node
    address: str
    added: Added

    def secret(self) -> str:
        return str(self.node.query("SELECT secret FROM webhook_endpoint")[0]["secret"])

    def submitted(self) -> str:
        """Have one job at the provider; returns its id there."""
        self.node.submit({"prompt": "A chair"})
        self.node.round()
        return str(self.node.query("SELECT provider_id FROM generation")[0]["provider_id"])

    def step(self) -> dict[str, Any]:
        return self.node.query("SELECT * FROM step")[0]

    def send(self, body: bytes, headers: Mapping[str, str] | None = None, url: str | None = None) -> int:
        return requests.post(url or self.added.url, data=body, headers=headers, timeout=10).status_code

    def send_signed(self, body: bytes, *, how: WebhookSignature = WebhookSignature.STANDARD, age_s: int = 0) -> int:
        """Send a body with a good signature that is so old by the clock of the receiver, or the system's."""
        now_s = self.node.clock.now.timestamp() if how is WebhookSignature.STRIPE else _system_s()
        return self.send(body, signature(how, self.secret(), "evt_1", int(now_s) - age_s, body))

    def outcomes(self) -> dict[str, int]:
        return {row["outcome"]: row["count"] for row in self.node.query("SELECT outcome, count FROM webhook_count")}


def _system_s() -> float:
    return time.time()


def event(provider_id: str, type_: str = "generation.succeeded") -> bytes:
    return json.dumps({"id": "evt_1", "type": type_, "data": {"id": provider_id}}).encode()


def author(clock: Clock) -> Author:
    return Author(actor="ann", reason=None, now=clock.now, new_id=uuid7)


@pytest.fixture
def rig(node: Node, sandbox: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setattr(receiver, "COUNTED_EVERY_S", 0.05)
    sandbox.set(**NEVER)
    services = node.services
    with receiving(services.database, node.clock) as address:
        added = webhooks.add(
            services.database,
            services.client,
            services.account_id,
            author(node.clock),
            address=address,
            name="test",
            verifiers=DEFAULT,
        )
        yield Rig(node=node, address=address, added=added)


@pytest.mark.parametrize("scheme", list(WebhookSignature))
@pytest.mark.parametrize("key", ["data", "data.object", "generation"])
def test_the_providers_webhook_makes_the_poll_due_at_once_however_it_is_signed_and_shaped(
    rig: Rig, sandbox: Provider, scheme: str, key: str
) -> None:
    sandbox.set(**QUICK_END, webhook_lost=0.0, webhook_signature=scheme, webhook_key=key)
    if scheme == "stripe":
        # The receiver's clock is the node's: a signature of this century is far ahead of it.
        rig.node.query("UPDATE webhook_endpoint SET verifiers = '{none}' RETURNING id")
    rig.submitted()

    until(lambda: rig.step()["hinted_at"] is not None, "the webhook has come")
    rig.node.round()

    assert (rig.node.jobs(), sandbox.tasks()[0]["polls"]) == (["succeeded"], 1)


def test_a_webhook_is_only_a_hint_what_the_provider_answers_counts(rig: Rig, sandbox: Provider) -> None:
    sandbox.set(latency_median_s=60)
    provider_id = rig.submitted()

    status = rig.send_signed(event(provider_id))
    rig.node.round()

    assert status == 204
    assert (rig.node.jobs(), sandbox.tasks()[0]["polls"]) == (["active"], 1)


@pytest.mark.parametrize("how", [WebhookSignature.STANDARD, WebhookSignature.STRIPE])
def test_after_a_rotation_the_new_secret_and_the_one_before_are_good_and_older_ones_are_not(
    rig: Rig, how: WebhookSignature, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "KNOWN_FOR_S", 0.0)
    services, secrets = rig.node.services, [rig.secret()]
    for _ in range(2):
        webhooks.rotate_secret(
            services.database, services.client, services.account_id, author(rig.node.clock), str(rig.added.id)
        )
        secrets.append(rig.secret().split()[0])
    now_s = rig.node.clock.now.timestamp() if how is WebhookSignature.STRIPE else _system_s()
    body = event("task_other")

    found = [rig.send(body, signature(how, secret, "evt_1", int(now_s), body)) for secret in secrets]

    assert found == [401, 204, 204]


def test_a_flood_of_good_webhooks_makes_few_polls(rig: Rig, sandbox: Provider) -> None:
    sandbox.set(latency_median_s=60)
    provider_id = rig.submitted()

    for _ in range(10):
        assert rig.send_signed(event(provider_id)) == 204
        rig.node.round()

    assert sandbox.tasks()[0]["polls"] == MOST_PER_GENERATION
    until(lambda: rig.outcomes() == {"taken": 3, "repeated": 7}, "it is counted what came")


def test_a_webhook_that_comes_after_its_end_was_seen_changes_nothing(rig: Rig) -> None:
    provider_id = rig.submitted()
    rig.node.run_until_quiet()

    status = rig.send_signed(event(provider_id))

    assert status == 204
    until(lambda: rig.outcomes() == {"late": 1}, "it is counted as late")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (event("task_unknown"), "unknown"),
        (event("task_unknown", "webhook.test"), "other"),
        (b'{"type": "generation.succeeded"}', "other"),
        (b'{"type": 7}', "unreadable"),
        (b"[" * 60_000, "unreadable"),
        (b"\xff\x00", "unreadable"),
    ],
)
def test_what_names_no_generation_of_ours_is_taken_and_changes_nothing(rig: Rig, body: bytes, outcome: str) -> None:
    rig.submitted()
    before = rig.step()

    status = rig.send(body)

    assert (status, rig.step()) == (204, before)
    until(lambda: rig.outcomes() == {outcome: 1}, "it is counted")


@pytest.mark.parametrize("how", [WebhookSignature.STANDARD, WebhookSignature.STRIPE])
@pytest.mark.parametrize(("age_s", "status"), [(0, 204), (250, 204), (600, 401), (-600, 401)])
def test_a_signature_that_is_old_or_of_the_future_is_refused(
    rig: Rig, how: WebhookSignature, age_s: int, status: int
) -> None:
    assert rig.send_signed(event(rig.submitted()), how=how, age_s=age_s) == status


@pytest.mark.parametrize("how", [WebhookSignature.STANDARD, WebhookSignature.STRIPE])
def test_a_body_that_was_changed_is_refused_and_changes_nothing(rig: Rig, how: WebhookSignature) -> None:
    provider_id = rig.submitted()
    before = rig.step()
    now_s = rig.node.clock.now.timestamp() if how is WebhookSignature.STRIPE else _system_s()
    headers = signature(how, rig.secret(), "evt_1", int(now_s), event("task_other"))

    status = rig.send(event(provider_id), headers)

    assert (status, rig.step()) == (401, before)


def test_an_unsigned_webhook_is_refused_where_a_signature_is_needed(rig: Rig) -> None:
    rig.node.query("UPDATE webhook_endpoint SET verifiers = '{standard,stripe}' RETURNING id")

    assert rig.send(event(rig.submitted())) == 401


def test_forgeries_of_the_provider_are_refused(rig: Rig, sandbox: Provider) -> None:
    sandbox.set(webhook_forged=1.0)
    rig.submitted()

    until(lambda: rig.outcomes().get("forged"), "the forged webhook has come")

    assert rig.step()["hinted_at"] is None


@pytest.mark.parametrize("path", ["x", "a" * 43, "../" * 14, "%00" * 43])
def test_another_path_is_not_found(rig: Rig, path: str) -> None:
    assert rig.send(event(rig.submitted()), url=f"{rig.address}/{path}") == 404


def test_an_endpoint_that_was_removed_takes_nothing(rig: Rig) -> None:
    services = rig.node.services
    args = (services.database, services.client, services.account_id)

    webhooks.remove(*args, author(rig.node.clock), rig.added.provider_id)

    assert rig.send(event("task_1")) == 404
    assert webhooks.listed(*args) == []


def test_a_huge_body_is_refused(rig: Rig) -> None:
    assert rig.send(b"x" * (receiver.MOST_BYTES + 1)) == 413


def test_a_huge_body_without_a_length_is_refused(rig: Rig) -> None:
    parts = iter([b"x" * 30_000] * 10)

    answer = requests.post(rig.added.url, data=parts, timeout=10)

    assert answer.status_code == 413


def test_a_slow_body_is_cut_off_and_holds_up_nobody(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver, "READ_S", 0.3)
    parts = urlsplit(rig.added.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as slow:
        slow.sendall(f"POST {parts.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
        status = rig.send_signed(event(rig.submitted()))
        answer = slow.recv(100)

    assert status == 204
    assert answer.startswith(b"HTTP/1.1 408")


def test_webhooks_at_the_same_time_are_all_taken(rig: Rig) -> None:
    provider_id = rig.submitted()
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(rig.send_signed(event(provider_id)))) for _ in range(8)]

    for each in threads:
        each.start()
    for each in threads:
        each.join(10)

    assert statuses == [204] * 8
    assert rig.step()["hints"] == MOST_PER_GENERATION


def test_a_webhook_that_comes_during_a_poll_is_followed_by_another_poll(rig: Rig) -> None:
    provider_id, services = rig.submitted(), rig.node.services
    rig.node.clock.advance(timedelta(seconds=3))
    with services.database.transaction() as tx:
        [ticket] = (
            step_moves.lease_all(
                tx,
                services.account_id,
                kinds=(StepKind.POLL,),
                fewer_than=10,
                now=rig.node.clock.now,
            )
            or []
        )
        wanted = [Claim(ticket=ticket, until=rig.node.clock.now + timedelta(seconds=30))]
        [work] = steps.claim(tx, wanted, account_id=rig.node.services.account_id)
    assert work is not None

    with services.database.transaction() as tx:
        hints.take(tx, services.account_id, provider_id, now=rig.node.clock.now)
    with services.database.transaction() as tx:
        later = outcomes.postpone(work, due_at=rig.node.clock.now + timedelta(seconds=5))
        transitions.apply(tx, services, [later])

    assert rig.step()["due_at"] == rig.node.clock.now


def test_the_secret_of_an_endpoint_is_kept_and_its_path_is_not(rig: Rig) -> None:
    [row] = rig.node.query("SELECT * FROM webhook_endpoint")

    path = rig.added.url.rpartition("/")[2]
    assert row["secret"].startswith("whsec_")
    assert path not in json.dumps(row, default=str)
    assert row["path_digest"] == webhooks.digest(path)


def test_who_added_an_endpoint_is_in_the_log_of_changes(rig: Rig) -> None:
    changes = rig.node.query("SELECT field, actor FROM change WHERE subject LIKE 'webhook:%' ORDER BY field")

    assert changes == [{"field": f, "actor": "ann"} for f in ("address", "provider_id", "verifiers")]


def test_an_address_that_the_provider_refuses_is_not_kept(rig: Rig, sandbox: Provider) -> None:
    sandbox.set(webhook_loopback=False)
    services = rig.node.services

    with pytest.raises(ProviderError, match="webhook_url_rejected"):
        webhooks.add(
            services.database,
            services.client,
            services.account_id,
            author(rig.node.clock),
            address=rig.address,
            name="refused",
            verifiers=(Verifier.NONE,),
        )

    assert len(webhooks.known(services.database, services.account_id)[0]) == 1


def test_a_registration_whose_answer_was_lost_is_found_at_the_provider(rig: Rig, sandbox: Provider) -> None:
    services = rig.node.services
    args = (services.database, services.client, services.account_id)
    sandbox.script(("webhooks", 1, "lost_reply"))

    with pytest.raises(webhooks.WebhookUnregistered):
        webhooks.add(*args, author(rig.node.clock), address=rig.address, name="lost", verifiers=DEFAULT)

    found = webhooks.listed(*args)
    assert [each.view is not None for each in found] == [True, True]
    webhooks.remove(*args, author(rig.node.clock), found[1].id)
    assert len(webhooks.listed(*args)) == 1


def test_a_test_event_is_sent_and_counted(rig: Rig) -> None:
    services = rig.node.services

    webhooks.request_test(services.database, services.client, services.account_id, str(rig.added.id))

    until(lambda: rig.outcomes() == {"other": 1}, "the test event has come")


def test_nodes_learn_how_many_webhooks_come_and_how_late(rig: Rig) -> None:
    latencies, database, clock = rig.node.services.latencies, rig.node.services.database, rig.node.clock
    latencies.share(database, clock.now)
    provider_id = rig.submitted()
    rig.send_signed(event(provider_id))
    rig.node.run_until_quiet()

    clock.advance(timedelta(seconds=10))
    latencies.share(database, clock.now)

    [known] = rig.node.query("SELECT counts, missed FROM webhook_delay")
    assert (round(sum(known["counts"]), 2), known["missed"]) == (1.0, 0.0)


def test_without_an_endpoint_nothing_is_learned_of_webhooks(node: Node) -> None:
    node.services.latencies.share(node.services.database, node.clock.now)
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()

    node.clock.advance(timedelta(seconds=10))
    node.services.latencies.share(node.services.database, node.clock.now)

    assert node.query("SELECT * FROM webhook_delay") == []
