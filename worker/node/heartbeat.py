"""The heartbeat of a worker node: its row in the database and its reading of the database's clock, renewed together."""

import os
import socket
import time
from importlib import metadata

import structlog
from sqlalchemy.exc import DBAPIError

from worker.audit.queries import instants
from worker.core.db.clock import DatabaseClock
from worker.core.rules.error_words import first_line, with_type
from worker.engine.services import Services
from worker.node.queries import nodes
from worker.node.queries.nodes import OFF_S, Beat

log = structlog.get_logger(__name__)

BEAT_EVERY_S = 5.0


class Heartbeat:
    """Renews the row of this process; for one thread."""

    def __init__(self, services: Services, clock: DatabaseClock) -> None:
        """Begin without a row and without a completed round; ``clock`` is renewed by the answers."""
        self._account_id = services.account_id
        self._database = services.database
        self._clock = clock
        self._id = services.new_id()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._version = _version()
        self._beat_at: float | None = None
        self._round_at: float | None = None
        self._told_offset_s = 0.0
        self._error: str | None = None

    def round_completed(self) -> None:
        """Note that the dispatcher has completed a round now."""
        self._round_at = time.monotonic()
        self._error = None

    def round_failed(self, error: BaseException) -> None:
        """Note why the dispatcher has not completed a round; the row says so from the next beat on."""
        self._error = with_type(error)

    def beat(self) -> None:
        """Renew the row if it is time; raises the database's errors."""
        if self._beat_at is not None and time.monotonic() < self._beat_at + BEAT_EVERY_S:
            return
        now, offset_s = time.monotonic(), self._clock.wall_offset_s()
        said = Beat(
            node_id=self._id,
            name=self._name,
            version=self._version,
            round_age_s=None if self._round_at is None else now - self._round_at,
            clock_offset_s=offset_s,
            error=self._error,
        )
        with self._database.transaction() as tx:
            self._clock.take(lambda: nodes.beat(tx, said))
        self._heal()
        self._beat_at = now
        self._tell(offset_s)

    def end(self) -> None:
        """Remove the row; one that cannot be removed is forgotten after a while."""
        try:
            with self._database.transaction() as tx:
                nodes.remove(tx, self._id)
        except DBAPIError as error:
            log.info("node.row_left", error=first_line(error.orig))

    def _heal(self) -> None:
        """Put right stored instants that cannot be and would stop work."""
        with self._database.transaction() as tx:
            found = instants.heal(tx, self._account_id, now=self._clock())
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


def _version() -> str:
    try:
        return metadata.version("darkroom")
    except metadata.PackageNotFoundError:
        return "not installed"
