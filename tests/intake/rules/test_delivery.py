"""A delivered message is checked whole before its task is called: its task, its body, its arguments."""

import bz2
import json
import lzma
import zlib
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.intake.rules import delivery
from worker.intake.rules.delivery import BODY_MAX, ENQUEUE, MAINTENANCE, PROBE, STEPS, Call, Delivery, Unreadable

JOB = str(UUID(int=1))
TICKET = [JOB, 3, 1_764_000_000.5]
BODY = b'[["a"], {"b": 1}, {}]'
ENQUEUED = Delivery(
    queue=ENQUEUE,
    task=ENQUEUE,
    message_id="m1",
    content_type="application/json; charset=utf-8",
    body=BODY,
    size_bytes=len(BODY),
    sha256="00ff",
)


def call(body: bytes, **changes: Any) -> Call:
    return delivery.call(replace(ENQUEUED, body=body, **{"size_bytes": len(body), **changes}), json.loads)


def refusal(body: bytes, **changes: Any) -> str:
    with pytest.raises(Unreadable) as refused:
        call(body, **changes)
    return str(refused.value)


@pytest.mark.parametrize(
    ("value", "kept"), [("a", "a"), ("x" * 200, "x" * 200), ("x" * 201, None), ("", None), ("a\nb", None), (7, None)]
)
def test_the_id_of_a_message_is_short_visible_text(value: object, kept: str | None) -> None:
    assert delivery.message_id(value) == kept


def test_a_message_without_an_id_is_known_by_its_hash() -> None:
    assert (ENQUEUED.name, replace(ENQUEUED, message_id=None).name) == ("m1", "sha256:00ff")


@pytest.mark.parametrize(
    ("queue", "task", "is_batch"),
    [(ENQUEUE, None, True), ("orders", ENQUEUE, True), (PROBE, PROBE, False), ("orders", 7, False)],
)
def test_a_producer_waits_for_what_names_the_task_or_the_queue_of_batches(
    queue: str,
    task: object,
    is_batch: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert replace(ENQUEUED, queue=queue, task=task).is_batch is is_batch


@pytest.mark.parametrize(
    ("queue", "task"), [(ENQUEUE, ENQUEUE), ("orders", ENQUEUE), (PROBE, PROBE), (f"{PROBE}.shop", PROBE)]
)
def test_a_task_belongs_in_its_own_queue_and_a_batch_in_every_one(queue: str, task: str) -> None:
    assert delivery.check_task(replace(ENQUEUED, queue=queue, task=task)) == task


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fault": "it is not JSON"}, "it is not JSON"),
        ({"task": None}, "the header 'task' is missing"),
        ({"task": 7}, "the header 'task' must be text, not 'int'"),
        ({"task": PROBE}, f"the task {PROBE} does not belong in the queue {ENQUEUE}"),
        ({"task": "darkroom.enqeue"}, "'darkroom.enqeue' is not known (did you mean 'darkroom.enqueue'?)"),
    ],
)
def test_a_message_for_no_task_of_its_queue_says_why(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        delivery.check_task(replace(ENQUEUED, **change))

    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("compression", "body"),
    [
        (None, BODY),
        ("application/x-gzip", zlib.compress(BODY)),
        ("application/x-bz2", bz2.compress(BODY)),
        ("application/x-lzma", lzma.compress(BODY)),
    ],
)
def test_a_body_gives_the_arguments_of_its_task(compression: str | None, body: bytes) -> None:
    assert call(body, compression=compression) == Call(args=("a",), kwargs={"b": 1})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", "the body is not UTF-8: the byte at 0 begins no character"),
        (b"[" * 200_000, "the body is nested too deeply"),
        (b"{", "the body is not JSON: "),
        (b"{}", "the body must be a list of three"),
        (b"[[], {}]", "the body must be a list of three"),
        (b"[7, {}, {}]", "the positional arguments, first in the body, must be a list"),
        (b"[[], 7, {}]", "the keyword arguments, second in the body, must be an object"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_of_another_form_says_why(body: bytes, reason: str) -> None:
    assert reason in refusal(body)


@pytest.mark.parametrize(("given_", "shown"), [(None, "missing"), (7, "'int'"), ("application/x-yaml", "yaml'")])
def test_a_body_is_read_as_nothing_but_json(given_: object, shown: str) -> None:
    said = refusal(BODY, content_type=given_)

    assert said.startswith("the content type must be application/json, but is ")
    assert said.endswith(shown)


@pytest.mark.parametrize("compression", ["application/x-brotli", 7])
def test_an_unknown_compression_names_the_known_ones(compression: object) -> None:
    assert "is not known; permitted: application/x-gzip, " in refusal(BODY, compression=compression)


@pytest.mark.parametrize("compression", ["application/x-gzip", "application/x-bz2", "application/x-lzma"])
def test_a_body_that_is_not_compressed_as_it_says_is_refused(compression: str) -> None:
    assert f"the body cannot be decompressed as {compression}: " in refusal(BODY, compression=compression)


def test_a_compressed_body_that_ends_too_early_is_refused() -> None:
    assert "it ends too early" in refusal(zlib.compress(BODY)[:-2], compression="application/x-gzip")


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    assert "has 16,777,217 bytes, permitted are 16,777,216: " in refusal(BODY, size_bytes=BODY_MAX + 1)


def test_a_body_that_becomes_too_large_when_it_is_decompressed_is_refused() -> None:
    assert "the body has more, permitted are" in refusal(
        zlib.compress(bytes(BODY_MAX + 1)), compression="application/x-gzip"
    )


@pytest.mark.parametrize(
    ("task", "args"),
    [
        *((step, ([TICKET, [JOB, 0, 0]],)) for step in STEPS),
        (MAINTENANCE, ("seal",)),
        (PROBE, ()),
        (ENQUEUE, ("anything",)),
    ],
)
def test_a_task_is_called_with_what_it_takes(task: str, args: tuple[object, ...]) -> None:
    delivery.check(task, Call(args=args, kwargs={}))


@pytest.mark.parametrize(
    ("task", "args", "reason"),
    [
        (PROBE, (1,), "a probe has no arguments"),
        (MAINTENANCE, (), "must be the name of a maintenance job"),
        (MAINTENANCE, (7,), "must be the name of a maintenance job"),
        (MAINTENANCE, ("x" * 201,), "must be the name of a maintenance job"),
        (STEPS[0], (), "must be a list of tickets"),
        (STEPS[0], ("a",), "must be a list of tickets"),
        (STEPS[0], ([TICKET] * 9,), "there are 9 tickets, permitted are 8"),
        (STEPS[0], ([TICKET[:2]],), "a ticket must be a list of three"),
        (STEPS[0], (["a"],), "a ticket must be a list of three"),
        (STEPS[0], ([["a", *TICKET[1:]]],), "'a' is not the id of a job"),
        (STEPS[0], ([[7, *TICKET[1:]]],), "'int' is not the id of a job"),
        (STEPS[0], ([[JOB, -1, 0]],), "a fence must be a whole number"),
        (STEPS[0], ([[JOB, True, 0]],), "a fence must be a whole number"),
        (STEPS[0], ([[JOB, 1.5, 0]],), "a fence must be a whole number"),
        (STEPS[0], ([[JOB, 1, -1]],), "must be in seconds since 1970"),
        (STEPS[0], ([[JOB, 1, True]],), "must be in seconds since 1970"),
        (STEPS[0], ([[JOB, 1, 1e12]],), "must be in seconds since 1970"),
    ],
)
def test_a_task_is_not_called_with_anything_else(task: str, args: tuple[object, ...], reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        delivery.check(task, Call(args=args, kwargs={}))


def test_tasks_between_nodes_have_no_keyword_arguments() -> None:
    with pytest.raises(Unreadable, match="has no keyword arguments"):
        delivery.check(PROBE, Call(args=(), kwargs={"a": 1}))


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(JOB), max_size=4))
def test_no_ticket_crashes_the_check(ticket: list[object]) -> None:
    try:
        delivery.check(STEPS[0], Call(args=([ticket],), kwargs={}))
    except Unreadable as refused:
        assert refused.reason  # noqa: PT017 - anything else would be a crash
