"""What the threads of a process hand in at one time is written in one transaction, and none of it is mixed up."""

import os
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import psycopg
import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

from worker.core.db import group_commit
from worker.core.db.group_commit import GroupCommit, Unwritten
from worker.core.db.session import Database

TIMEOUT_S = 20


@dataclass
class Notes:
    """What is written, to a table with one row a number; the first write waits until it is let through."""

    groups: list[list[int]] = field(default_factory=list)
    is_begun: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def commits(database: Database) -> GroupCommit:
    with database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("CREATE TABLE note (number int PRIMARY KEY, xid text DEFAULT pg_current_xact_id()::text)"))
        tx.execute(text("GRANT ALL ON note TO PUBLIC"))
    return GroupCommit("test", database.transaction)


def note(tx: Connection, notes: Notes, numbers: Sequence[int]) -> list[int]:
    """Write each number; gives each times ten."""
    notes.groups.append(list(numbers))
    notes.is_begun.set()
    assert notes.may_go_on.wait(timeout=TIMEOUT_S)
    tx.execute(text("INSERT INTO note (number) SELECT unnest(CAST(:n AS int[]))"), {"n": list(numbers)})
    return [10 * number for number in numbers]


def note_too(tx: Connection, notes: Notes, numbers: Sequence[int]) -> list[str]:
    """Do the same; gives other results."""
    note(tx, notes, numbers)
    return [f"number {number}" for number in numbers]


def break_off(tx: Connection, notes: Notes, numbers: Sequence[int]) -> list[int]:
    """Write the numbers on a connection that breaks before the answer to the commit."""
    found = note(tx, notes, numbers)
    connection: psycopg.Connection[object] = tx.connection.driver_connection  # type: ignore[assignment]
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
    return found


def after_a_first(commits: GroupCommit, notes: Notes, hand_in: Callable[[], list["Future[object]"]]) -> list[object]:
    """Hand items in while another transaction is under way; gives what each comes to, or its error."""
    first = commits.write(note, notes, 0)
    assert notes.is_begun.wait(timeout=TIMEOUT_S)
    futures = hand_in()
    notes.may_go_on.set()
    assert first.result(timeout=TIMEOUT_S) == 0
    return [future.exception(timeout=TIMEOUT_S) or future.result() for future in futures]


def written(database: Database) -> dict[int, str]:
    with database.transaction() as tx:
        return {row.number: row.xid for row in tx.execute(text("SELECT number, xid FROM note"))}


def test_what_is_handed_in_during_a_transaction_is_written_together_in_the_next(
    database: Database, commits: GroupCommit, notes: Notes
) -> None:
    found = after_a_first(commits, notes, lambda: [commits.write(note, notes, n) for n in (3, 1, 2)])

    assert found == [30, 10, 20]
    assert notes.groups == [[0], [3, 1, 2]]
    rows = written(database)
    assert rows[1] == rows[2] == rows[3] != rows[0]


def test_different_things_share_a_transaction_too_and_each_has_its_own_result(
    database: Database, commits: GroupCommit, notes: Notes
) -> None:
    found = after_a_first(
        commits,
        notes,
        lambda: [commits.write(note, notes, 1), commits.write(note_too, notes, 2), commits.write(note, notes, 3)],
    )

    assert found == [10, "number 2", 30]
    assert len(set(list(written(database).values())[1:])) == 1


def test_an_item_that_cannot_be_written_keeps_no_other_from_being_written(
    database: Database, commits: GroupCommit, notes: Notes
) -> None:
    one, twin, two = after_a_first(commits, notes, lambda: [commits.write(note, notes, n) for n in (1, 0, 2)])

    assert (one, two) == (10, 20)
    assert isinstance(twin, IntegrityError)
    assert set(written(database)) == {0, 1, 2}


def test_after_a_broken_connection_nothing_is_tried_again_since_it_may_be_committed(
    database: Database, commits: GroupCommit, notes: Notes
) -> None:
    found = after_a_first(commits, notes, lambda: [commits.write(break_off, notes, n) for n in (1, 2)])

    assert all(isinstance(error, Unwritten) for error in found)
    assert notes.groups == [[0], [1, 2]]
    assert commits.write(note, notes, 3).result(timeout=TIMEOUT_S) == 30
    assert set(written(database)) == {0, 3}


def test_who_comes_with_one_item_too_many_waits_for_room(
    commits: GroupCommit, notes: Notes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "MOST_WAITING", 2)
    small = GroupCommit("small", commits._transaction)
    last: list[Future[int]] = []
    late = threading.Thread(target=lambda: last.append(small.write(note, notes, 3)))

    def hand_in() -> list["Future[object]"]:
        futures: list[Future[object]] = [small.write(note, notes, n) for n in (1, 2)]
        late.start()
        late.join(timeout=0.2)
        assert late.is_alive()
        return futures

    found = after_a_first(small, notes, hand_in)
    late.join(timeout=TIMEOUT_S)

    assert found == [10, 20]
    assert last[0].result(timeout=TIMEOUT_S) == 30
    assert notes.groups == [[0], [1, 2], [3]]


def test_when_the_process_is_ending_no_thread_waits_for_what_is_never_written(
    commits: GroupCommit, notes: Notes
) -> None:
    commits._writer.shutdown()

    errors = [commits.write(note, notes, n).exception(timeout=TIMEOUT_S) for n in (1, 2)]

    assert all(isinstance(error, Unwritten) for error in errors)


def test_what_is_written_to_the_last_is_written_by_its_own_thread_at_the_end(
    database: Database, commits: GroupCommit, notes: Notes
) -> None:
    """An answer that was paid for is not thrown away."""
    last = GroupCommit("last", commits._transaction, is_to_the_last=True)
    last._writer.shutdown()
    notes.may_go_on.set()

    results = [last.write(note, notes, n).result(timeout=TIMEOUT_S) for n in (1, 2)]

    assert results == [10, 20]
    assert set(written(database)) == {1, 2}


@dataclass
class OfAccount(Notes):
    """What is written for one account."""

    account_id: str = ""


def test_what_is_written_for_two_accounts_is_not_mixed_up(commits: GroupCommit, notes: Notes) -> None:
    shop, studio = OfAccount(account_id="shop"), OfAccount(account_id="studio")
    for each in (shop, studio):
        each.may_go_on.set()

    def hand_in() -> list["Future[object]"]:
        return [commits.write(note, shared, number) for number, shared in enumerate((studio, shop, studio, shop), 1)]

    assert after_a_first(commits, notes, hand_in) == [10, 20, 30, 40]
    assert (shop.groups, studio.groups) == ([[2, 4]], [[1, 3]])
