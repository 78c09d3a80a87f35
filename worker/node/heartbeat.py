"""The heartbeat of a worker node, its reading of the database's clock, and the end of a node without progress."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError

from worker.audit.queries import instants
from worker.core.db import schema
from worker.core.db.clock import DatabaseClock
from worker.core.rules.errors import first_line, with_type
from worker.core.version import version
from worker.engine.services import Services
from worker.node.queries import nodes
from worker.node.queries.nodes import OFF_S, Beat

log = structlog.get_logger(__name__)
BEAT_EVERY_S = 5.0


@dataclass(kw_only=True)
class _Rounds:
    """The last rounds of the dispatcher of one account."""

    services: Services
    completed_at: float | None = None
    error: str | None = None
    is_ended: bool = False


class Heartbeat:
    """Renews the row of this process, whose dispatchers call it in turn; safe to share between them."""

    def __init__(self, services: Services, clock: DatabaseClock, *, others: Sequence[Services] = ()) -> None:
        """Begin without a row and without a completed round; ``clock`` is renewed by the answers.

        ``others`` are those of the further accounts that this node serves.
        """
        self._rounds = {each.account_id: _Rounds(services=each) for each in (services, *others)}
        self._first = services.account_id
        self._beating = threading.Lock()
        self._database = services.database
        self._clock = clock
        self._id = services.new_id()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._version = version()
        self._knows = schema.head()
        self._beat_at: float | None = None
        self._told_offset_s = 0.0

    @property
    def round_age_s(self) -> float | None:
        """The seconds since each dispatcher last completed a round; None: one of them has not. For any thread."""
        now = time.monotonic()
        ages = [None if each.completed_at is None else now - each.completed_at for each in self._rounds.values()]
        return None if None in ages else max(age for age in ages if age is not None)

    @property
    def error(self) -> str | None:
        """Why one of them did not complete the last one; for any thread."""
        for each in self._rounds.values():
            if each.error is not None:
                return each.error if len(self._rounds) == 1 else f"account {each.services.account}: {each.error}"
        return None

    def round_completed(self, account_id: UUID | None = None) -> None:
        """Note that the dispatcher of the account has completed a round now."""
        found = self._rounds[account_id or self._first]
        found.completed_at = time.monotonic()
        found.error = None

    def round_failed(self, error: BaseException, account_id: UUID | None = None) -> None:
        """Note why the dispatcher has not completed a round; the row says so from the next beat on."""
        self._rounds[account_id or self._first].error = with_type(error)

    def beat(self) -> None:
        """Renew the row if it is time and no other thread does; raises the database's errors."""
        if not self._beating.acquire(blocking=False):
            return
        try:
            self._beat()
        finally:
            self._beating.release()

    def _beat(self) -> None:
        if self._beat_at is not None and time.monotonic() < self._beat_at + BEAT_EVERY_S:
            return
        offset_s = self._clock.wall_offset_s()
        said = Beat(
            node_id=self._id,
            name=self._name,
            version=self._version,
            round_age_s=self.round_age_s,
            clock_offset_s=offset_s,
            error=self.error,
            knows=self._knows,
        )
        with self._database.transaction() as tx:
            self._clock.take(lambda: nodes.beat(tx, said))
        self._heal()
        self._beat_at = time.monotonic()
        self._tell(offset_s)

    def end(self, account_id: UUID | None = None) -> None:
        """Remove the row with the last dispatcher; one that cannot be removed is forgotten after a while."""
        self._rounds[account_id or self._first].is_ended = True
        if not all(each.is_ended for each in self._rounds.values()):
            return
        try:
            with self._database.transaction() as tx:
                nodes.remove(tx, self._id)
        except DBAPIError as error:
            log.info("node.row_left", error=first_line(error.orig))

    def _heal(self) -> None:
        """Put right stored instants that cannot be and would stop work."""
        with self._database.transaction() as tx:
            found = [row for account_id in self._rounds for row in instants.heal(tx, account_id, now=self._clock())]
        for each in found:
            log.warning("instant.healed", table=each.table, row=each.row, column=each.column, was=str(each.instant))

    def _tell(self, offset_s: float) -> None:
        """Log a wall clock that is off, once, and again when it has changed."""
        if abs(offset_s - self._told_offset_s) <= OFF_S:
            return
        self._told_offset_s = offset_s
        if abs(offset_s) > OFF_S:
            step = "the node works on the database's time; set this machine's clock (NTP)"
            log.warning("node.clock_off", seconds=round(offset_s, 3), next_step=step)
        else:
            log.info("node.clock_right", seconds=round(offset_s, 3))


FAILURE = 1
_LOOK_S = 1.0


def end_process() -> None:
    """End at once, without waiting for any thread."""
    os._exit(FAILURE)


class StallWatch:
    """Ends the process when a thread that should go round and round has not been heard of for too long."""

    def __init__(
        self, name: str, *, after_s: float, end: Callable[[], None] = end_process, look_s: float = _LOOK_S
    ) -> None:
        """Watch the thread ``name`` from ``start`` on; more than ``after_s`` seconds without a sign is a stall."""
        self._name = name
        self._after_s = after_s
        self._end = end
        self._look_s = look_s
        self._heard_at = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="darkroom-stall-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self.progress()
        self._thread.start()

    def progress(self) -> None:
        """Note that the thread has gone round once more."""
        self._heard_at = time.monotonic()

    def stop(self) -> None:
        """Watch no longer."""
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._look_s):
            still_s = time.monotonic() - self._heard_at
            if still_s > self._after_s:
                log.critical(
                    "node.stalled",
                    part=self._name,
                    seconds=round(still_s),
                    next_step="the node ends with a failure, to be started again; leases give its work to others",
                )
                self._end()
                return


def end_after(grace_s: float, *, end: Callable[[], None] = end_process) -> threading.Timer:
    """End the process in ``grace_s`` seconds, whatever it waits for by then."""

    def give_up() -> None:
        log.error("node.stop_forced", grace_s=grace_s, reason="it waits for something that does not answer")
        end()

    timer = threading.Timer(grace_s, give_up)
    timer.daemon = True
    timer.start()
    return timer
