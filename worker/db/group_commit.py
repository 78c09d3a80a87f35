"""Group commit: what several threads want to write at one time is written in one transaction.

The first to come writes; those who come meanwhile wait, and the next of them writes for all. So a thread that comes
alone waits for nobody, and the more there are, the fewer statements and commits each of them costs.
"""

import threading
from collections.abc import Callable, Sequence
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


class GroupCommit:
    """The transactions that the threads of a process share; each item is in one that was committed, or in none."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Connection]]) -> None:
        """``transaction`` commits when its block ends, and rolls back when it raises."""
        self._transaction = transaction
        self._turn = threading.Lock()
        self._door = threading.Lock()
        self._waiting: list[_Entry] = []

    def write(self, write: Write[Shared, Item, Result], shared: Shared, item: Item) -> Result:
        """Give the item's result once it is committed; raise what it raises when it is written alone.

        Items of one ``write`` in one transaction are handed to it together, and all of them with the ``shared`` of
        the first. A transaction that fails is rolled back, and each of its items is tried alone; unless the connection
        broke, after which nobody knows whether it was committed.
        """
        mine = _Entry(write, shared, item)
        with self._door:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_done:
                self._write_for_all()
        if mine.error is not None:
            raise mine.error
        result: Result = mine.result
        return result

    def _write_for_all(self) -> None:
        with self._door:
            group, self._waiting = self._waiting, []
        try:
            self._write_group(group)
        finally:
            # A thread that is told to end leaves what is not its own to the next.
            with self._door:
                self._waiting[:0] = [entry for entry in group if not entry.is_done]

    def _write_group(self, group: Sequence["_Entry"]) -> None:
        try:
            self._commit(group)
        except Exception as error:  # noqa: BLE001 - each thread raises its own
            if len(group) == 1 or _is_unknown(error):
                for entry in group:
                    entry.fail(error)
            else:
                for entry in group:
                    self._write_group([entry])

    def _commit(self, group: Sequence["_Entry"]) -> None:
        results: list[tuple[_Entry, Any]] = []
        with self._transaction() as tx:
            for write, alike in groupby(sorted(group, key=attrgetter("name")), key=attrgetter("write")):
                entries = list(alike)
                found = write(tx, entries[0].shared, [entry.item for entry in entries])
                results += zip(entries, found, strict=True)
        for entry, result in results:
            entry.end(result)


class _Entry:
    """One item on its way."""

    __slots__ = ("error", "is_done", "item", "name", "result", "shared", "write")

    def __init__(self, write: Write[Any, Any, Any], shared: Any, item: Any) -> None:
        self.write, self.shared, self.item = write, shared, item
        self.name = f"{write.__module__}.{write.__qualname__}"
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None

    def end(self, result: Any) -> None:
        self.result, self.is_done = result, True

    def fail(self, error: Exception) -> None:
        self.error, self.is_done = error, True


def _is_unknown(error: Exception) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated
