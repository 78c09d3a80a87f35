"""Where traces begin: commands, requests of the API, and messages; a producer's own trace goes on there."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from kombu.utils.json import loads
from pytest_httpserver import HTTPServer

from tests.hooks.desk import Desk
from tests.pipeline.node import Node
from tests.tracing.collector import Collector
from tests.tracing.test_steps import LINK, PRODUCER
from tests.web.serving import serving
from worker.core import tracing
from worker.core.rules import traceparent
from worker.intake.rules.delivery import Delivery
from worker.node import celery_intake, fetch_stage
from worker.web.context import WebContext

Deliver = Callable[..., str]
LINES = '{"key": "a", "prompt": "A chair"}\n'


def message(batch: dict[str, object], *, header: str | None = PRODUCER, reference: str | None = None) -> Delivery:
    request = {"key": "a", "prompt": "A chair"} | ({} if reference is None else {"reference": reference})
    body = json.dumps([[batch, [request]], {}, {}]).encode()
    return Delivery(
        queue="darkroom.enqueue",
        task="darkroom.enqueue",
        message_id="m1",
        content_type="application/json",
        body=body,
        size_bytes=len(body),
        sha256="0" * 64,
        traceparent=traceparent.parse(header),
    )


def stored(node: Node) -> str | None:
    [row] = node.query("SELECT traceparent FROM batch")
    found: str | None = row["traceparent"]
    return found


def take(node: Node, delivery: Delivery) -> None:
    with fetch_stage.received(delivery):
        fetch_stage.take_or_keep(node.services, delivery, loads)


def test_the_header_of_a_message_is_kept_with_its_batch_and_is_the_parent_of_taking_it(
    node: Node, traced: Collector
) -> None:
    take(node, message({"token": "t1"}))
    tracing.end()

    assert stored(node) == PRODUCER
    [taken] = traced.named("process darkroom.enqueue")
    assert (taken.trace_id, taken.parent_id) == LINK
    assert taken.attributes["darkroom.batch.id"] == str(node.query("SELECT id FROM batch")[0]["id"])
    assert traced.orphans(known=(PRODUCER,)) == []


def test_the_field_of_a_batch_comes_before_the_header(node: Node) -> None:
    own = PRODUCER.replace("4bf9", "5bf9")

    take(node, message({"token": "t1", "traceparent": own}))

    assert stored(node) == own


@pytest.mark.parametrize("header", ["garbage", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_header_that_makes_no_sense_is_no_fault(header: str, node: Node) -> None:
    take(node, message({"token": "t1"}, header=header))

    assert stored(node) is None
    assert node.query("SELECT state FROM batch") == [{"state": "open"}]


def test_the_header_of_a_message_that_waits_for_references_is_kept(node: Node) -> None:
    take(node, message({"token": "t1"}, reference="https://127.0.0.1:9/chair.png"))

    assert node.query("SELECT traceparent FROM waiting_message") == [{"traceparent": PRODUCER}]


def test_a_batch_of_the_sql_inbox_keeps_the_span_that_it_names(node: Node) -> None:
    node.query(
        "SELECT darkroom_enqueue(CAST(:batch AS jsonb), CAST(:requests AS jsonb))",
        batch=json.dumps({"token": "t1", "traceparent": PRODUCER}),
        requests=json.dumps([{"key": "a", "prompt": "A chair"}]),
    )
    [row] = node.query("SELECT body FROM waiting_message")
    args = json.loads(bytes(row["body"]))[0]

    celery_intake.take_call(node.services, "sql:t1", tuple(args), {})

    assert stored(node) == PRODUCER


def test_a_producer_in_python_that_is_traced_names_its_span_by_itself(node: Node, traced: Collector) -> None:
    with tracing.begun("order") as order:
        node.submit({"prompt": "A chair"})

    assert stored(node) == order.traceparent


def test_a_request_of_the_api_goes_on_in_the_trace_of_its_client(context: WebContext, traced: Collector) -> None:
    with serving(context) as web:
        headers = web.token("shop") | {
            "traceparent": PRODUCER,
            "Idempotency-Key": "k1",
            "Content-Type": "application/x-ndjson",
        }
        answer = requests.post(f"{web.url}/api/v1/batches?name=chairs", data=LINES, headers=headers, timeout=10)
        requests.get(f"{web.url}/healthz", timeout=10)
    tracing.end()

    assert answer.status_code == 202
    [request] = [each for each in traced.spans if each.kind == 2]
    assert (request.trace_id, request.parent_id) == LINK
    assert request.attributes["http.response.status_code"] == 202
    assert request.attributes["url.path"] == "/api/v1/batches"
    assert request.attributes["darkroom.batch.id"] == answer.json()["batch"]
    assert traced.orphans(known=(PRODUCER,)) == []
    with context.database.transaction() as tx:
        assert tx.exec_driver_sql("SELECT traceparent FROM batch").scalar_one() == PRODUCER


def test_a_command_is_a_span_below_the_one_that_its_environment_names(
    database_url: str, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "chairs.jsonl").write_text(LINES)
    environment = os.environ | {
        "DARKROOM_DATABASE_URL": database_url,
        "DARKROOM_BROKER_URL": "redis://127.0.0.1:9/0",
        "DARKROOM_HOME": str(tmp_path),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "TRACEPARENT": PRODUCER,
    }

    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "submit", "chairs.jsonl", "--json"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    [command] = collector.named("darkroom submit")
    assert (command.trace_id, command.parent_id) == LINK
    assert command.attributes["darkroom.batch.id"] == json.loads(done.stdout)["batch"]
    assert command.resource["service.name"] == "darkroom"
    assert command.resource["darkroom.role"] == "command"
    assert collector.named("COPY job")
    assert collector.orphans(known=(PRODUCER,)) == []


def test_a_webhook_carries_the_span_of_its_delivery(node: Node, traced: Collector, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    desk = Desk(node=node)
    desk.add(httpserver.url_for("/hook"))
    desk.happen()

    desk.send()
    tracing.end()

    [delivery] = traced.named("deliver account.paused")
    [post] = traced.named("POST")
    assert post.parent_id == delivery.span_id
    assert post.attributes["http.response.status_code"] == 200
    [(request, _)] = httpserver.log
    assert request.headers["traceparent"].split("-")[1:3] == post.place
    assert traced.orphans() == []


def test_a_webhook_carries_none_where_nothing_takes_spans(node: Node, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("")
    desk = Desk(node=node)
    desk.add(httpserver.url_for("/hook"))
    desk.happen()

    desk.send()

    [(request, _)] = httpserver.log
    assert "traceparent" not in request.headers


def test_a_collector_that_is_away_changes_nothing_of_a_command_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "chairs.jsonl").write_text(LINES)
    away = os.environ | {"DARKROOM_HOME": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}

    done = subprocess.run(
        [sys.executable, "-m", "worker.cli", "submit", "chairs.jsonl", "--dry-run", "--json"],
        cwd=tmp_path,
        env=away,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert json.loads(done.stdout)["jobs"] == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Failed to export" in done.stderr
