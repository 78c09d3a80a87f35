"""Closed books: what was sealed is bound for ever, and nothing is posted before it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from tests.audit.conftest import CLOSED, POST, broken, post, seal
from tests.pipeline import node as nodes
from tests.pipeline.node import Clock, Node
from worker.audit import sealing
from worker.audit.queries import seals
from worker.audit.rules import seal as chain
from worker.audit.verify import verify

LOOKS = 20_000

DIGESTS = "00000000000000076ae1df8f32f2be821dcfa68c914f6538ffffffffffffffff72688fc6c81e13c2e4bd529bae8ac098"
HASH = "58941bc705a3667d1af56e63b0ce39daa9d2fbe099f72a1e82e4b9e90a05b6df"


def wait_for_a_lock(engine: Engine) -> None:
    """Return as soon as a transaction waits for the ledger."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE relation = 'credit_entry'::regclass AND NOT granted")
    for _ in range(LOOKS):
        with engine.connect() as tx:
            if tx.execute(waiting).scalar():
                return
    raise AssertionError("no transaction waits")


def test_a_seal_binds_every_entry_so_far(node: Node) -> None:
    made = seal(node)

    assert (made.id, made.entries, made.credits, made.last_entry_id) == (1, 4, 13, 4)
    assert broken(node) == {}


def test_without_new_entries_there_is_no_new_seal(node: Node) -> None:
    before = seal(node)
    node.clock.advance(timedelta(hours=1))

    assert seal(node) == before


def test_seals_are_chained(node: Node) -> None:
    before = seal(node)
    post(node, node.clock())

    after = seal(node)

    assert (after.id, after.entries, after.previous_hash) == (2, 1, before.hash)
    assert broken(node) == {}


def test_a_ledger_with_no_entry_can_be_closed_too(database_url: str, tmp_path: Path) -> None:
    empty = nodes.make(database_url, tmp_path, Clock(), base_url="http://127.0.0.1:9", key="rvya_sk_none")

    assert sealing.seal(empty.services.database, now=empty.clock()) is None
    assert sealing.close_books(empty.services.database, empty.clock()) == empty.clock()
    assert broken(empty) == {}


def test_closing_the_books_closes_them_until_now_though_nothing_is_new(node: Node) -> None:
    seal(node)
    node.clock.advance(timedelta(hours=1))

    closed_at = sealing.close_books(node.services.database, node.clock())

    assert closed_at == node.clock()
    assert post(node, closed_at)[1] == closed_at + timedelta(microseconds=1)
    assert broken(node) == {}


def test_the_books_are_never_closed_before_an_entry_of_a_node_whose_clock_is_ahead(node: Node) -> None:
    ahead = node.clock() + timedelta(seconds=3)
    post(node, ahead)

    assert sealing.close_books(node.services.database, node.clock()) == ahead


def test_a_clock_that_was_set_back_opens_no_books(node: Node) -> None:
    closed_at = sealing.close_books(node.services.database, node.clock())
    node.clock.advance(timedelta(days=-1))

    assert sealing.close_books(node.services.database, node.clock()) == closed_at


def test_many_entries_are_bound_by_several_seals_of_one_instant(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "ENTRIES_PER_SEAL", 2)
    post(node, node.clock() + timedelta(seconds=1))

    made = seal(node)

    assert node.query("SELECT entries, last_entry_id, sealed_at FROM seal ORDER BY id") == [
        {"entries": 2, "last_entry_id": 2, "sealed_at": made.sealed_at},
        {"entries": 2, "last_entry_id": 4, "sealed_at": made.sealed_at},
        {"entries": 1, "last_entry_id": 5, "sealed_at": made.sealed_at},
    ]
    assert broken(node) == {}


@pytest.mark.parametrize("back", [timedelta(0), timedelta(days=40)])
def test_an_entry_that_comes_with_an_older_time_is_dated_right_after_the_seal(back: timedelta, node: Node) -> None:
    sealed_at = seal(node).sealed_at

    _, posted_at = post(node, sealed_at - back)

    assert posted_at == sealed_at + timedelta(microseconds=1)


def test_an_entry_keeps_its_own_time_while_the_books_are_open(node: Node) -> None:
    later = seal(node).sealed_at + timedelta(seconds=5)

    assert post(node, later)[1] == later


def test_an_entry_that_waits_for_a_seal_is_dated_after_it(node: Node, superuser: Engine) -> None:
    """Else a report of the sealed instant would grow when it is printed again."""
    with ThreadPoolExecutor(1) as pool:
        with superuser.begin() as tx:
            seals.lock_ledger(tx, timeout_s=2)
            posting = pool.submit(post, node, node.clock())
            wait_for_a_lock(superuser)
            made = sealing._seal_all(tx, node.clock(), is_closing=False)
        _, posted_at = posting.result(timeout=20)

    assert made is not None
    assert posted_at > made.sealed_at
    assert broken(node) == {}


def test_a_seal_waits_for_who_is_posting_and_says_so_when_it_takes_too_long(
    node: Node, superuser: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lower id that is committed after the seal would lie behind it."""
    monkeypatch.setattr(sealing, "LOCK_TIMEOUT_S", 0.05)

    with superuser.connect() as posting:
        posting.execute(text(POST), {"posted_at": node.clock()})
        with pytest.raises(sealing.LedgerBusy, match="try again"):
            seal(node)
        posting.commit()

    assert seal(node).entries == 5


def test_a_transaction_that_posts_must_see_the_last_seal(superuser: Engine, node: Node) -> None:
    """A snapshot from before the seal would not."""
    serial = superuser.execution_options(isolation_level="REPEATABLE READ")

    with pytest.raises(DBAPIError, match="READ COMMITTED"), serial.begin() as tx:
        tx.execute(text(POST), {"posted_at": node.clock()})


@pytest.mark.parametrize("table", ["seal", "ledger_rollup"])
@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {} CASCADE", "UPDATE {} SET credits = 0"])
def test_seals_are_written_once_even_for_their_owner(change: str, table: str, node: Node, superuser: Engine) -> None:
    seal(node)

    with pytest.raises(DBAPIError, match="append-only"), superuser.begin() as tx:
        tx.execute(text(change.format(table)))


def test_the_proof_does_not_depend_on_how_a_session_writes_times_and_text(node: Node, superuser: Engine) -> None:
    seal(node)

    with superuser.connect() as tx:
        tx.execute(text("SET TIME ZONE 'Asia/Kolkata'"))
        tx.execute(text("SET datestyle = 'ISO, MDY'"))
        tx.execute(text("SET bytea_output = 'escape'"))
        tx.execute(text("SET extra_float_digits = 0"))
        tx.execute(text("SET client_encoding = 'LATIN1'"))
        tx.commit()

        assert [check.name for check in verify(tx).checks if not check.ok and check.name in CLOSED] == []


def test_what_is_hashed_of_an_entry_is_its_line_as_copy_writes_it(node: Node) -> None:
    """An auditor can make it again with psql and sha256sum."""
    ids = node.query("SELECT batch_id, generation_id FROM credit_entry WHERE id = 4")[0]

    line = entry_line(node, 4)

    assert (
        line
        == (
            f"4\t{ids['batch_id']}\t{ids['generation_id']}\tcorrect\tcap\theld\t1\tAda\t"
            "tab:\\t end:\\n back:\\\\ ünï\t1606046400000000"
        ).encode()
    )


def entry_line(node: Node, number: int) -> bytes:
    with node.services.database.transaction() as tx:
        return next(iter(list(seals.lines(tx, first=number, last=number))))


def test_the_format_of_digests_and_hashes_is_for_ever() -> None:
    """Seals that were made by one release are proved by every later one."""
    digests = chain.digest(b"7\tx") + chain.digest(b"-1\ty")

    made = chain.link(
        id_=1,
        sealed_at=datetime(2026, 11, 22, 12, 0, 0, 5, tzinfo=UTC),
        last_entry_id=7,
        entries=2,
        credits_=8,
        previous=chain.NO_SEAL,
        digests=digests,
    )

    assert digests.hex() == DIGESTS
    assert made.hash.hex() == HASH
