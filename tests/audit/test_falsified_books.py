"""What a superuser changes, deletes or slips in behind the seals is named."""

from typing import Any

import pytest

from tests.audit.conftest import POST, Tamper, broken, post, seal
from tests.pipeline.node import Node
from worker.audit.rules import seal as chain


def first(node: Node, check: str) -> dict[str, Any]:
    return dict(broken(node)[check][0])


@pytest.mark.parametrize(
    ("change", "what_is_told"),
    [
        ("credits = 5", "hold cap to held of batch"),
        ("target = 'spent'", "hold cap to spent of batch"),
        ("kind = 'void'", "void cap to held of batch"),
        ("posted_at = posted_at - interval '1 day'", "on 2020-11-21: sealed 0 credits in 0 entries, now 4 in 1"),
        ("posted_at = posted_at + interval '1 microsecond'", "time of the day"),
        ("generation_id = gen_random_uuid()", "hold cap to held of batch"),
        ("actor = 'Eve'", "actor"),
        ("reason = ''", "reason"),
    ],
)
def test_an_entry_that_a_superuser_changed_is_named(change: str, what_is_told: str, node: Node, tamper: Tamper) -> None:
    seal(node)

    tamper(f"UPDATE credit_entry SET {change} WHERE id = 2")

    found = first(node, "sealed_entries")
    assert (found["entry"], found["seal"], found["what"]) == (2, 1, "changed")
    assert what_is_told in found["evidence"].replace("the time of day", "the time of the day")


def test_an_entry_that_a_superuser_deleted_is_named(node: Node, tamper: Tamper) -> None:
    seal(node)

    tamper("DELETE FROM credit_entry WHERE id = 2")

    found = first(node, "sealed_entries")
    assert (found["entry"], found["what"]) == (2, "deleted")
    assert "sealed 12 credits in 3 entries, now 8 in 2" in found["evidence"]


@pytest.mark.parametrize("number", [-7, 0, 4])
def test_an_entry_that_a_superuser_slipped_in_behind_the_seals_is_named(
    number: int, node: Node, tamper: Tamper
) -> None:
    node.query("SELECT nextval(pg_get_serial_sequence('credit_entry', 'id'))")
    tamper("UPDATE credit_entry SET id = DEFAULT WHERE id = 4")
    seal(node)

    tamper(
        """
        INSERT INTO credit_entry (id, batch_id, generation_id, kind, source, target, credits, posted_at)
        OVERRIDING SYSTEM VALUE
        SELECT :id, batch_id, generation_id, 'release', 'spent', 'cap', 4, posted_at FROM credit_entry WHERE id = 1""",
        id=number,
    )

    found = first(node, "sealed_entries")
    assert (found["entry"], found["what"], found["now_source"]) == (number, "inserted", "spent")


def test_an_entry_that_was_dated_back_past_the_trigger_is_named(node: Node, tamper: Tamper) -> None:
    sealed_at = seal(node).sealed_at

    tamper(POST, posted_at=sealed_at)

    assert first(node, "books_closed") == {"entry": 5, "posted_at": sealed_at, "sealed_at": sealed_at}


def test_the_first_of_many_changes_is_named_first(node: Node, tamper: Tamper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "ENTRIES_PER_SEAL", 2)
    seal(node)

    tamper("UPDATE credit_entry SET credits = 9 WHERE id IN (2, 3)")

    assert [(e["entry"], e["seal"]) for e in broken(node)["sealed_entries"]] == [(2, 1), (3, 2)]


@pytest.mark.parametrize(
    ("change", "seal_", "fault"),
    [
        ("UPDATE seal SET sealed_at = sealed_at - interval '1 s' WHERE id = 2", 2, "changed"),
        ("UPDATE seal SET credits = 0 WHERE id = 2", 2, "changed"),
        ("UPDATE seal SET digests = overlay(digests PLACING '\\x00' FROM 20) WHERE id = 2", 2, "changed"),
        ("UPDATE seal SET hash = previous_hash WHERE id = 2", 2, "changed"),
        ("UPDATE seal SET previous_hash = hash WHERE id = 2", 2, "changed"),
        ("DELETE FROM seal WHERE id = 1", 2, "a seal is missing"),
        ("DELETE FROM seal WHERE id = 2", 3, "a seal is missing"),
    ],
)
def test_a_seal_that_was_changed_or_taken_away_is_named(
    change: str, seal_: int, fault: str, node: Node, tamper: Tamper
) -> None:
    seal(node)
    post(node, node.clock())
    seal(node)
    post(node, node.clock())
    seal(node)

    tamper(change)

    found = first(node, "seals")
    assert found["seal"] == seal_
    assert fault in found["fault"]


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE ledger_rollup SET credits = 11 WHERE kind = 'hold'", "rollup"),
        ("DELETE FROM ledger_rollup", "rollup"),
        ("DELETE FROM ledger_rollup", "seal_totals"),
    ],
)
def test_a_roll_up_that_is_not_the_sum_of_its_entries_is_named(
    change: str, check: str, node: Node, tamper: Tamper
) -> None:
    seal(node)

    tamper(change)

    assert first(node, check)["seal"] == 1
