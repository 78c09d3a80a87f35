"""The heartbeat of a worker node: its row in the database, renewed every few seconds by the dispatcher's thread."""

import os
import socket
import time
from datetime import UTC, datetime
from importlib import metadata

import structlog
from sqlalchemy.exc import DBAPIError

from worker.db import nodes
from worker.db.nodes import Beat
from worker.services import Services

log = structlog.get_logger(__name__)

BEAT_EVERY_S = 5.0


class Heartbeat:
    """Renews the row of this process; for one thread."""

    def __init__(self, services: Services) -> None:
        """Begin without a row and without a completed round."""
        self._database = services.database
        self._id = services.new_id()
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._version = _version()
        self._beat_at: float | None = None
        self._round_at: float | None = None
        self._offset_s = 0.0

    def round_completed(self) -> None:
        """Note that the dispatcher has completed a round now."""
        self._round_at = time.monotonic()

    def beat(self) -> None:
        """Renew the row if it is time; raises the database's errors."""
        if self._beat_at is not None and time.monotonic() < self._beat_at + BEAT_EVERY_S:
            return
        now = time.monotonic()
        said = Beat(
            node_id=self._id,
            name=self._name,
            version=self._version,
            round_age_s=None if self._round_at is None else now - self._round_at,
            clock_offset_s=self._offset_s,
        )
        with self._database.transaction() as tx:
            theirs = nodes.beat(tx, said)
            self._offset_s = (datetime.now(UTC) - theirs).total_seconds()
        self._beat_at = now

    def end(self) -> None:
        """Remove the row; one that cannot be removed is forgotten after a while."""
        try:
            with self._database.transaction() as tx:
                nodes.remove(tx, self._id)
        except DBAPIError as error:
            log.info("node.row_left", error=str(error.orig).splitlines()[0])


def _version() -> str:
    try:
        return metadata.version("darkroom")
    except metadata.PackageNotFoundError:
        return "not installed"
