"""Messages from producers elsewhere: whatever comes is a batch or a refused batch, once, and never an exception."""

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.pipeline.node import Node
from worker.node import celery_intake

KNOWN = st.sampled_from(
    ["key", "prompt", "model", "image_size", "output_format", "reference", "name", "owner", "token", "purpose"]
)
NAMES = st.one_of(KNOWN, KNOWN.map(lambda name: f"{name}\0"), st.text(max_size=8), st.just("\ud800"))
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["\0", "\ud800", "qwen-image", "square", "sha256:" + "0" * 64, "/etc/passwd", "x" * 5_001]),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
BATCHES = JSON | st.dictionaries(NAMES, SCALARS, max_size=4)
REQUESTS = JSON | st.lists(st.dictionaries(NAMES, JSON, max_size=4) | JSON, max_size=3)
EXTRA = st.dictionaries(NAMES, SCALARS, max_size=2)

BATCH = "SELECT id, token, state, size FROM batch ORDER BY created_at, id"
FAULTS = "SELECT line, field, reason FROM refused_line ORDER BY line, field"
_messages = count(1)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=BATCHES, requests=REQUESTS, extra=EXTRA)
def test_any_message_is_recorded_and_its_redelivery_changes_nothing(
    batch: object, requests: object, extra: dict[str, Any], node: Node
) -> None:
    message = f"message-{next(_messages)}"

    first = celery_intake.take(node.services, message, batch, requests, extra)
    again = celery_intake.take(node.services, message, batch, requests, extra)

    assert again.batch_id == first.batch_id
    assert [row["state"] for row in node.query(BATCH) if row["id"] == first.batch_id] == [first.state.value]


@pytest.mark.parametrize("name", ["\0", "prompt\0", "\ud800", "x" * 5_000])
@pytest.mark.parametrize("place", ["batch", "request", "argument"])
def test_a_name_that_cannot_be_stored_is_a_fault_like_any_other(place: str, name: str, node: Node) -> None:
    batch = {"token": "t"} | ({name: 1} if place == "batch" else {})
    requests = [{"prompt": "A chair"} | ({name: 1} if place == "request" else {})]
    extra = {name: 1} if place == "argument" else {}

    receipt = celery_intake.take(node.services, "m", batch, requests, extra)

    assert receipt.state.value == "refused"
    assert len(node.query(FAULTS)) == 1


def test_a_good_message_is_a_batch_that_is_known_by_its_token(node: Node) -> None:
    celery_intake.take(node.services, "m", {"token": "t", "name": "chairs"}, [{"prompt": "1"}, {"prompt": "2"}], {})

    assert [(r["token"], r["state"], r["size"]) for r in node.query(BATCH)] == [("t", "open", 2)]


def test_a_message_without_a_token_is_known_by_its_own_id(node: Node) -> None:
    first = celery_intake.take(node.services, "m", {}, [{"prompt": "1"}], {})
    again = celery_intake.take(node.services, "m", {}, [{"prompt": "1"}], {})

    assert first.batch_id == again.batch_id
    assert node.jobs() == ["pending"]


def test_a_bad_message_is_a_refused_batch_with_every_fault(node: Node) -> None:
    requests = [{"prompt": "1"}, {"prompt": ""}, {"prompt": "3", "image_size": "huge"}, 7]

    receipt = celery_intake.take(node.services, "m", {"token": "t"}, requests, {"surplus": 1})

    assert receipt.state.value == "refused"
    assert [(row["line"], row["field"]) for row in node.query(FAULTS)] == [
        (0, "surplus"),
        (2, "prompt"),
        (3, "image_size"),
        (4, "request"),
    ]
    assert node.jobs() == []


def test_a_token_with_other_requests_is_recorded_beside_the_batch_that_has_it(node: Node) -> None:
    kept = celery_intake.take(node.services, "m1", {"token": "t"}, [{"prompt": "1"}], {})

    refused = celery_intake.take(node.services, "m2", {"token": "t"}, [{"prompt": "2"}], {})

    assert refused.state.value == "refused"
    assert refused.batch_id != kept.batch_id
    assert refused.token.startswith("t#")


def test_a_bad_message_under_a_token_that_is_taken_is_recorded_too(node: Node) -> None:
    celery_intake.take(node.services, "m1", {"token": "t"}, [{"prompt": "1"}], {})

    refused = celery_intake.take(node.services, "m2", {"token": "t"}, [{"prompt": ""}], {})

    assert refused.state.value == "refused"
    assert [row["reason"] for row in node.query(FAULTS)] != []


def test_corrected_requests_are_never_dropped(node: Node) -> None:
    """The producer reads why its batch was refused, corrects it, and sends it again under its own token."""
    celery_intake.take(node.services, "m1", {"token": "t"}, [{"prompt": ""}], {})
    before = node.query(BATCH)

    celery_intake.take(node.services, "m2", {"token": "t"}, [{"prompt": "corrected"}], {})

    assert node.query(BATCH) != before
