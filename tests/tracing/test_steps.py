"""The spans of steps: each has its parent and its ids, and is linked to the producer's."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import event
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from tests.acceptance.waiting import until
from tests.fixtures.pictures import reference
from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from tests.tracing.collector import Collector
from worker import logs
from worker.core import tracing
from worker.core.rules.states import StepKind
from worker.engine import dispatch
from worker.engine.services import Collectors, Writers
from worker.engine.steps import perform

PRODUCER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LINK = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")


@pytest.fixture
def threaded(traced: Collector, node_for: Callable[..., Node], monkeypatch: pytest.MonkeyPatch) -> Node:
    """Return a node with the threads that write for others and that download, whose steps are done as tasks do them."""
    node = node_for()
    monkeypatch.setattr("tests.pipeline.node.perform", perform.attempt)
    writers = Writers.of(node.services.database.transaction)
    node.services = replace(node.services, writers=writers, collectors=Collectors(2))
    return node


def test_every_span_has_its_parent_and_every_step_its_ids(threaded: Node, traced: Collector) -> None:
    batch = rendered(threaded)

    tracing.end()

    assert traced.orphans() == []
    # The poll that finds the end goes on to download the image.
    assert traced.roots() == {"step upload", "step submit", "step poll"}
    steps = traced.steps()
    assert {each.attributes["darkroom.step"] for each in steps} == set(StepKind)
    row = threaded.query("SELECT id, batch_id FROM job")[0]
    for each in steps:
        assert each.attributes["darkroom.job.id"] == str(row["id"])
        assert each.attributes["darkroom.account.id"] == str(threaded.services.account_id)
        assert each.attributes["darkroom.batch.id"] == str(row["batch_id"]) == str(batch)
        assert each.links == (LINK,)
        assert each.trace_id != LINK[0]


def test_calls_statements_and_the_store_are_parts_of_steps(threaded: Node, traced: Collector) -> None:
    rendered(threaded)

    tracing.end()

    by_id = {each.span_id: each for each in traced.spans}
    [create] = traced.named("POST /generations")
    assert by_id[create.parent_id].name == "step submit"
    assert create.attributes["http.response.status_code"] in {200, 201, 202}
    assert create.attributes["url.template"] == "/generations"
    assert traced.named("GET /generations/{id}")
    assert traced.named("POST /files")
    assert [each.attributes["http.response.status_code"] for each in traced.named("GET")] == [200]
    assert traced.named("store read")
    assert traced.named("store write")
    statements = [each for each in traced.spans if "db.query.text" in each.attributes]
    assert {by_id[each.parent_id].name for each in statements} <= {"transaction", "group commit"}


def test_spans_hold_neither_key_nor_prompt_nor_signed_address(
    threaded: Node, traced: Collector, sandbox: Provider
) -> None:
    rendered(threaded)

    tracing.end()

    [row] = threaded.query("SELECT source_url FROM result")
    said = traced.words()
    assert said
    assert sandbox.key.encode() not in said
    assert b"velvet" not in said
    assert str(row["source_url"]).encode() not in said


def test_a_step_that_fails_is_marked_without_the_words_of_the_error(
    threaded: Node, traced: Collector, sandbox: Provider
) -> None:
    sandbox.script(("create", 1, "http_500_html"))

    rendered(threaded)
    tracing.end()

    failed = [each for each in traced.named("POST /generations") if "error.type" in each.attributes]
    assert [each.attributes["error.type"] for each in failed] == ["500"]


def test_lines_of_the_log_within_a_step_have_its_ids_and_its_span(threaded: Node, traced: Collector) -> None:
    with capture_logs(processors=[merge_contextvars, logs.add_trace]) as lines:
        rendered(threaded)
    tracing.end()

    [line] = [each for each in lines if each["event"] == "job.succeeded"]
    [row] = threaded.query("SELECT id, batch_id FROM job")
    assert (line["job"], line["batch"], line["step"]) == (str(row["id"]), str(row["batch_id"]), "collect")
    assert line["account"] == str(threaded.services.account_id)
    assert (line["trace_id"], line["span_id"]) in {(each.trace_id, each.span_id) for each in traced.spans}


def test_garbage_in_place_of_a_traceparent_is_no_fault_of_a_batch(node: Node) -> None:
    node.submit({"prompt": "A chair"}, traceparent="00-garbage")

    assert node.query("SELECT traceparent FROM batch") == [{"traceparent": None}]


def test_without_settings_nothing_takes_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)

    assert tracing.configure("node") is None
    assert not tracing.is_on()


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "set it to otlp, console or none"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http/protobuf"),
    ],
)
def test_an_exporter_that_there_is_not_is_named_with_the_next_step(
    names: dict[str, str], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in names.items():
        monkeypatch.setenv(name, value)

    assert why in str(tracing.configure("node"))
    assert not tracing.is_on()


@pytest.mark.parametrize("names", [{"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}])
def test_traces_can_be_switched_off_beside_an_endpoint(names: dict[str, str]) -> None:
    assert not tracing.is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", **names})


def rendered(node: Node) -> str:
    """Render one image with a reference for a producer that is traced; returns its batch."""
    reference(node.folder)
    request = {"key": "chair", "prompt": "A velvet chair", "reference": "reference.png"}
    receipt = node.submit(request, traceparent=PRODUCER)

    def has_ended() -> bool:
        node.round()
        node.clock.advance(timedelta(seconds=0.5))
        return node.jobs() == ["succeeded"]

    until(has_ended, "the image is stored")
    node.services.collectors.drain()
    return str(receipt.batch_id)


def test_steps_execute_no_statement_more_unless_spans_are_taken(
    node_for: Callable[..., Node], monkeypatch: pytest.MonkeyPatch, collector: Collector
) -> None:
    monkeypatch.setattr("tests.pipeline.node.perform", perform.attempt)
    statements_of_one_image(node_for())  # the first image of an account has some of its own
    off = statements_of_one_image(node_for())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    assert tracing.configure("node") is None

    on = statements_of_one_image(node_for())

    tracing.end()
    own = "SELECT traceparent FROM batch WHERE id = %(i)s"
    assert set(on) - set(off) == {own}
    assert on.count(own) == 1


def statements_of_one_image(node: Node) -> list[str]:
    """Return the statements of the steps of one image, without those of the rounds between them."""
    found: list[str] = []
    node.submit({"prompt": "A chair"})

    def has_ended() -> bool:
        decided = dispatch.run(node.services)
        event.listen(engine, "before_cursor_execute", keep)
        node.deliver(decided.tickets)
        event.remove(engine, "before_cursor_execute", keep)
        node.clock.now = max(node.clock.now, decided.look_again_at or node.clock.now)
        return set(node.jobs()) == {"succeeded"}

    def keep(*given: Any) -> None:
        found.append(given[2])

    engine = node.services.database.engine
    until(has_ended, "the image is stored")
    return found
