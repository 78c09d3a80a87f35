"""Group commit: what several threads want to write at one time is written in one transaction.

One thread of the process writes for all. What is handed in while it is at a transaction goes into the next, so that the
more there is to write, the fewer statements and commits each piece costs, and a single one waits for nobody.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Connection, Shared, Sequence[Item]], Sequence[Result]]
"""Writes any number of items with as many statements as one; gives a result for each, in their order."""

MOST_WAITING = 256
"""Items that may wait to be written; whoever comes with one more waits for room."""

_GONE = ("08", "57P")
"""Classes of SQLSTATE: connection exceptions, and a server that is shut down (Postgres, appendix A)."""


class GroupCommit:
    """The transactions that the threads of a process share; each item is in one that was committed, or in none."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        """``transaction`` commits when its block ends, and rolls back when it raises."""
        self._transaction = transaction
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="darkroom-writer")
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._door = threading.Lock()
        self._waiting: list[_Entry] = []

    def write(self, write: Write[Shared, Item, Result], shared: Shared, item: Item) -> "Future[Result]":
        """Have the item written; the future ends when it is committed, or with what it raises when written alone.

        Items of one ``write`` in one transaction are handed to it together, and all of them with the ``shared`` of
        the first. A transaction that fails is rolled back, and each of its items is tried alone; unless the connection
        broke, after which nobody knows whether it was committed.
        """
        entry = _Entry(write, shared, item)
        self._room.acquire()
        with self._door:
            is_first = not self._waiting
            self._waiting.append(entry)
        if is_first:
            self._writer.submit(self._write_waiting)
        return entry.future

    def _write_waiting(self) -> None:
        with self._door:
            group, self._waiting = self._waiting, []
        self._room.release(len(group))
        self._write_group(group)

    def _write_group(self, group: Sequence["_Entry"]) -> None:
        try:
            results = self._committed(group)
        except BaseException as error:  # noqa: BLE001 - whoever waits for an item is told
            if len(group) == 1 or _is_unknown(error):
                for entry in group:
                    entry.future.set_exception(error)
            else:
                for entry in group:
                    self._write_group([entry])
        else:
            for entry, result in results:
                entry.future.set_result(result)

    def _committed(self, group: Sequence["_Entry"]) -> list[tuple["_Entry", Any]]:
        results: list[tuple[_Entry, Any]] = []
        with self._transaction() as tx:
            for write, alike in groupby(sorted(group, key=attrgetter("name")), key=attrgetter("write")):
                entries = list(alike)
                found = write(tx, entries[0].shared, [entry.item for entry in entries])
                results += zip(entries, found, strict=True)
        return results


class _Entry:
    """One item on its way."""

    __slots__ = ("future", "item", "name", "shared", "write")

    def __init__(self, write: Write[Any, Any, Any], shared: Any, item: Any) -> None:
        self.write, self.shared, self.item = write, shared, item
        self.name = f"{write.__module__}.{write.__qualname__}"
        self.future: Future[Any] = Future()


def _is_unknown(error: BaseException) -> bool:
    """Say whether the connection broke: the error has no SQLSTATE then, or one of those of a server that goes away."""
    state = getattr(error.orig, "sqlstate", None) if isinstance(error, DBAPIError) else "none of the database's"
    return state is None or state.startswith(_GONE)
