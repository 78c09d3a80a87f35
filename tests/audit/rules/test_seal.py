"""A seal binds its entries to all that were sealed before: whatever is changed afterwards shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.audit.rules import fact_seal, seal
from worker.audit.rules.fact_seal import FactDigest, FactSeal
from worker.audit.rules.seal import NO_SEAL, Seal

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LINES = [b"-7\t4\thold\n", b"8\t4\tvoid\n"]
DIGESTS = b"".join(seal.digest(line) for line in LINES)


def sealed(id_: int = 1, previous: bytes = NO_SEAL, *, facts: bytes | None = None) -> Seal:
    return seal.link(
        id_=id_,
        sealed_at=NOON + timedelta(hours=id_),
        last_entry_id=8 * id_,
        entries=2,
        credits_=8,
        previous=previous,
        digests=DIGESTS,
        facts=facts,
    )


FIRST = sealed()
SECOND = sealed(2, FIRST.hash, facts=b"f" * 32)


def test_digests_keep_the_ids_of_their_entries_in_order() -> None:
    assert [number for number, _ in seal.entry_ids(DIGESTS)] == [-7, 8]
    assert b"".join(piece for _, piece in seal.entry_ids(DIGESTS)) == DIGESTS


@pytest.mark.parametrize("found", [FIRST, SECOND], ids=["without facts", "with facts"])
def test_an_untouched_seal_is_intact(found: Seal) -> None:
    assert seal.is_intact(found, digests=DIGESTS)


@pytest.mark.parametrize(
    "change",
    [
        {"id": 3},
        {"sealed_at": NOON},
        {"last_entry_id": 9},
        {"entries": 3},
        {"credits": 9},
        {"previous_hash": b"x" * 32},
        {"facts_hash": None},
        {"facts_hash": b"g" * 32},
    ],
)
def test_every_field_of_a_seal_is_bound_by_its_hash(change: dict[str, Any]) -> None:
    assert not seal.is_intact(replace(SECOND, **change), digests=DIGESTS)


@pytest.mark.parametrize("digests", [b"", DIGESTS[:-1], DIGESTS[24:] + DIGESTS[:24], DIGESTS + DIGESTS])
def test_entries_that_were_added_lost_or_put_in_another_order_break_the_seal(digests: bytes) -> None:
    assert not seal.is_intact(FIRST, digests=digests)


def test_a_seal_over_fewer_entries_than_it_says_is_not_intact_though_its_hash_is() -> None:
    made = seal.link(id_=1, sealed_at=NOON, last_entry_id=8, entries=3, credits_=8, previous=NO_SEAL, digests=DIGESTS)

    assert not seal.is_intact(made, digests=DIGESTS)


def test_a_chain_begins_with_the_first_seal_and_each_follows_the_one_before() -> None:
    assert seal.follows(FIRST, None)
    assert seal.follows(SECOND, FIRST)


@pytest.mark.parametrize(
    ("found", "before"),
    [
        (SECOND, None),
        (sealed(1, b"x" * 32), None),
        (sealed(3, FIRST.hash), FIRST),
        (sealed(2), FIRST),
        (replace(SECOND, sealed_at=NOON), FIRST),
        (replace(SECOND, last_entry_id=0), FIRST),
    ],
    ids=["second first", "first of another chain", "one left out", "another before it", "earlier", "fewer entries"],
)
def test_a_link_that_was_left_out_or_exchanged_shows(found: Seal, before: Seal | None) -> None:
    assert not seal.follows(found, before)


FACTS = [FactDigest(kind="call", rows=2, sha256="ab"), FactDigest(kind="decision", rows=0, sha256="")]
FIRST_FACTS = fact_seal.link(FIRST, FACTS, None)
SECOND_FACTS = fact_seal.link(SECOND, FACTS, FIRST_FACTS)


def test_facts_are_bound_to_their_seal_and_to_the_facts_before() -> None:
    assert fact_seal.is_intact(FIRST_FACTS, FIRST)
    assert fact_seal.is_intact(SECOND_FACTS, SECOND)
    assert fact_seal.follows(FIRST_FACTS, None)
    assert fact_seal.follows(SECOND_FACTS, FIRST_FACTS)


@pytest.mark.parametrize("facts", [replace(FIRST_FACTS, digests="call 1 ab"), replace(FIRST_FACTS, seal_id=2)])
def test_facts_that_were_changed_are_not_intact(facts: FactSeal) -> None:
    assert not fact_seal.is_intact(facts, FIRST)


def test_facts_of_another_seal_or_chain_do_not_fit() -> None:
    assert not fact_seal.is_intact(FIRST_FACTS, SECOND)
    assert not fact_seal.follows(SECOND_FACTS, None)


def test_digests_of_facts_are_read_back_as_they_were_written() -> None:
    assert fact_seal.parse(FIRST_FACTS.digests) == FACTS


def test_a_line_that_is_no_digest_is_a_kind_that_no_period_has() -> None:
    assert fact_seal.parse("call\ncall x ab") == [
        FactDigest(kind="call", rows=-1, sha256=""),
        FactDigest(kind="call", rows=-1, sha256="ab"),
    ]
