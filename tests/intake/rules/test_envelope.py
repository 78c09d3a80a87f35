"""Whatever lies in the list of a queue becomes an envelope that kombu can read, put back and acknowledge."""

import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.intake.rules import envelope
from worker.intake.rules.envelope import COMPRESSION, UNREADABLE

QUEUE, TAG = "darkroom.enqueue", "tag-1"
SHA256 = hashlib.sha256(b"").hexdigest()
MARK = {"reason": "it is not JSON", "size": 7, "sha256": SHA256}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = st.sampled_from(["body", "headers", "properties", "content-type"])


def message(**parts: object) -> bytes:
    """Return an envelope as a producer writes it."""
    return json.dumps({"body": "e30=", "properties": {"body_encoding": "base64"}, **parts}).encode()


def sound(raw: bytes) -> dict[str, Any]:
    return envelope.sound(raw, queue=QUEUE, tag=TAG)


def refusal(raw: bytes) -> str:
    """Return why the message is not readable."""
    reason: str = sound(raw)["headers"][UNREADABLE]["reason"]
    return reason


@given(st.binary() | st.dictionaries(FIELDS, JSON_VALUES).map(lambda parts: json.dumps(parts).encode()))
def test_any_message_becomes_an_envelope_that_can_be_put_back(raw: bytes) -> None:
    found = json.loads(json.dumps(sound(raw)))

    assert envelope.is_restorable(json.dumps([found, "", QUEUE]).encode())
    assert base64.b64decode(found["body"], validate=True) is not None
    assert found["properties"]["delivery_tag"] == TAG


def test_a_readable_message_keeps_its_body_its_type_and_the_headers_that_darkroom_reads() -> None:
    found = sound(message(headers={"task": QUEUE, "id": "a", "lang": "py"}, **{"content-type": "application/json"}))

    assert base64.b64decode(found["body"]) == b"{}"
    assert found["content-type"] == "application/json"
    assert found["headers"] == {"task": QUEUE, "id": "a"}


@pytest.mark.parametrize("encoding", [{}, {"body_encoding": "utf-8"}, {"body_encoding": "UTF-8"}])
def test_a_body_without_base64_is_its_own_text(encoding: dict[str, str]) -> None:
    found = sound(message(body="Kärtchen", properties=encoding))

    assert base64.b64decode(found["body"]).decode() == "Kärtchen"


@pytest.mark.parametrize(("given_", "kept"), [(0, 0), (9, 9), (10, 0), (-1, 0), ("9", 0), (None, 0)])
def test_a_priority_that_no_broker_knows_is_the_lowest(given_: object, kept: int) -> None:
    assert sound(message(properties={"priority": given_}))["properties"]["priority"] == kept


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\xff", "it is not UTF-8"),
        (b"[" * 200_000, "it is nested too deeply"),
        (b"{", "it is not JSON"),
        (b"[]", "it is not an object"),
        (message(headers=7), "'headers' in the message's envelope is not an object"),
        (message(properties=[]), "'properties' in the message's envelope is not an object"),
        (message(body=None), "'body' in the message's envelope is not text"),
        (message(properties={"body_encoding": "latin-1"}), "is neither base64 nor utf-8"),
        (message(body="e30"), "'body' in the message's envelope is not base64"),
        (message(body="é"), "'body' in the message's envelope is not base64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_message_that_is_no_envelope_says_why(raw: bytes, reason: str) -> None:
    assert reason in refusal(raw)


def test_an_unreadable_message_is_kept_in_part_with_its_size_and_its_hash() -> None:
    raw = b"x" * 100_000

    found = sound(raw)

    assert base64.b64decode(found["body"]) == raw[:65_536]
    assert found["headers"][UNREADABLE]["size"] == 100_000
    assert found["headers"][UNREADABLE]["sha256"] == hashlib.sha256(raw).hexdigest()


def test_a_compression_is_kept_under_a_name_at_which_kombu_does_not_decompress() -> None:
    assert envelope.kept_headers({"compression": "application/x-gzip"}) == {COMPRESSION: "application/x-gzip"}


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("text", "text"),
        ("x" * 2_000, "x" * 1_000),
        ("\ud800", "\\ud800"),
        (None, None),
        (True, True),
        (1.5, 1.5),
        (2**62, 2**62),
        (2**63, "<number>"),
        ([1], "<list>"),
        ({}, "<dict>"),
    ],
    ids=repr,
)
def test_a_header_is_kept_short_and_flat(value: object, kept: object) -> None:
    assert envelope.kept_headers({"eta": value}) == {"eta": kept}


@pytest.mark.parametrize("value", [7, ["a"], {}, None])
def test_an_id_that_is_no_text_is_no_id(value: object) -> None:
    """What stands for it would be one name for many messages."""
    assert envelope.kept_headers({"id": value}) == {}


def test_a_message_that_was_put_back_is_still_known_to_be_unreadable() -> None:
    assert envelope.kept_headers({UNREADABLE: {**MARK, "other": 1}}) == {UNREADABLE: MARK}


@pytest.mark.parametrize(
    "mark",
    [
        "unreadable",
        {},
        MARK | {"size": True},
        MARK | {"size": -1},
        MARK | {"size": 2**62},
        MARK | {"sha256": "a"},
        MARK | {"sha256": "-" * 64},
        MARK | {"reason": 7},
        MARK | {"reason": "x" * 1_001},
        MARK | {"reason": "a\nb"},
    ],
    ids=repr,
)
def test_a_producer_cannot_mark_its_message_as_unreadable_in_another_form(mark: object) -> None:
    assert envelope.kept_headers({UNREADABLE: mark}) == {}


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"[]",
        b"7",
        b"[" * 200_000,
        b'[{"headers": {}, "properties": {}}, "", ""]',
        b'[{"headers": [], "properties": {"delivery_info": {}}}, "", ""]',
        b'[{"headers": {}, "properties": {"delivery_info": 7}}, "", ""]',
        b'[{"headers": {}, "properties": {"delivery_info": {}}}, null, ""]',
        b'[{"headers": {}, "properties": {"delivery_info": {}}}, "", 7]',
    ],
)
def test_what_kombu_would_fail_on_when_it_puts_messages_back_is_recognised(kept: bytes) -> None:
    assert not envelope.is_restorable(kept)
