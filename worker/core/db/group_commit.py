"""Group commit: what several threads want to write at one time is written in one transaction.

One thread writes for all who hand something in. What comes while it is at a transaction goes into the next, so that the
more there is to write, the fewer statements and commits each piece costs, and a single one does not wait.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import groupby
from operator import attrgetter
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree

from worker.core import tracing

log = structlog.get_logger(__name__)

Shared = TypeVar("Shared")
Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Connection, Shared, Sequence[Item]], Sequence[Result]]
"""Writes any number of items with as many statements as one; gives a result for each, in their order."""

MOST_WAITING = 256
"""Items that may wait to be written; a further one waits for room."""

_GONE = ("08", "57P")
"""Classes of SQLSTATE: connection exceptions, and a server that is shut down (Postgres, appendix A)."""


class Unwritten(Exception):
    """The group's commit failed or its outcome is unknown; the item itself is not the cause."""


class GroupCommit:
    """The transactions that the threads of a process share; each item is in one that was committed, or in none.

    Only after a broken connection the outcome is unknown.
    """

    def __init__(
        self, name: str, transaction: Callable[[], AbstractContextManager[Connection]], *, is_to_the_last: bool = False
    ) -> None:
        """``transaction`` commits when its block ends, and rolls back when it raises; the thread has the name.

        What is handed in while the process ends is refused; or, ``is_to_the_last``, written by its own thread.
        """
        self._transaction = transaction
        self._is_to_the_last = is_to_the_last
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"darkroom-{name}")
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []

    def write(self, write: Write[Shared, Item, Result], shared: Shared, item: Item) -> "Future[Result]":
        """Queue the item; the future completes with its commit, or with the error that it raises when written alone.

        Items of one ``write`` and ``shared`` in one transaction are handed to it together. A transaction that fails is
        rolled back, and each of its items is tried alone. After a broken connection it is unknown whether it was
        committed, so that nothing is tried again: the items are Unwritten.
        """
        entry = _Entry(write, shared, item)
        self._room.acquire()
        with self._lock:
            is_first = not self._waiting
            self._waiting.append(entry)
        if is_first:
            self._have_written()
        return entry.future

    def _have_written(self) -> None:
        try:
            self._writer.submit(lambda: self._write_group(self._taken()))
        except RuntimeError as error:
            # The process is ending, or cannot have one more thread: no caller may wait for what is never written.
            group = self._taken()
            if self._is_to_the_last:
                self._write_group(group)
            else:
                _fail(group, error)

    def _taken(self) -> list["_Entry"]:
        with self._lock:
            group, self._waiting = self._waiting, []
        if group:
            self._room.release(len(group))
        return group

    def _write_group(self, group: Sequence["_Entry"]) -> None:
        if not group:
            return
        try:
            results = self._committed(group)
        except BaseException as error:  # noqa: BLE001 - the waiting callers are told
            self._fall_back(group, error)
        else:
            for entry, result in results:
                entry.future.set_result(result)

    def _fall_back(self, group: Sequence["_Entry"], error: BaseException) -> None:
        if len(group) == 1:
            group[0].future.set_exception(error)
        elif _is_unknown(error):
            _fail(group, error)
        else:
            log.warning("group.split", items=len(group), error=repr(error))
            self._write_each(group)

    def _write_each(self, group: Sequence["_Entry"]) -> None:
        for place, entry in enumerate(group):
            self._write_group([entry])
            if (error := entry.future.exception()) is not None and _is_unknown(error):
                _fail(group[place + 1 :], error)
                return

    def _committed(self, group: Sequence["_Entry"]) -> list[tuple["_Entry", Any]]:
        results: list[tuple[_Entry, Any]] = []
        with tracing.shared("group commit", [entry.origin for entry in group]), self._transaction() as tx:
            for _, alike in groupby(sorted(group, key=attrgetter("place")), key=attrgetter("place")):
                entries = list(alike)
                found = entries[0].write(tx, entries[0].shared, [entry.item for entry in entries])
                results += zip(entries, found, strict=True)
        return results


class _Entry:
    """One item on its way."""

    __slots__ = ("future", "item", "origin", "place", "shared", "write")

    def __init__(self, write: Write[Any, Any, Any], shared: Any, item: Any) -> None:
        self.write, self.shared, self.item = write, shared, item
        # In the same order in every process, so that two of them do not wait for each other.
        name, account = f"{write.__module__}.{write.__qualname__}", str(getattr(shared, "account_id", ""))
        self.place = (name, account, id(write), id(shared))
        self.future: Future[Any] = Future()
        self.origin = tracing.place()


def _fail(group: Sequence[_Entry], error: BaseException) -> None:
    """Give each an exception of its own: one that is raised in many threads grows a traceback without an end."""
    for entry in group:
        unwritten = Unwritten(repr(error))
        unwritten.__cause__ = error
        entry.future.set_exception(unwritten)


def _is_unknown(error: BaseException) -> bool:
    """Return whether it would be the same for each item, or the outcome of the commit is unknown.

    The error of a broken connection has no SQLSTATE, or one of those of a server that goes away.
    """
    if not isinstance(error, DBAPIError):
        return isinstance(error, NoConnectionFree)
    state = getattr(error.orig, "sqlstate", None)
    return state is None or state.startswith(_GONE)
