"""What a piece of work cost: processor time by process, bytes of the write-ahead log, statements, broker commands."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import psutil
from psycopg import connect, sql
from redis import Redis

from ops.bench.ground import Ground, Sandbox
from worker.local import home

_STATEMENT = re.compile(rb" LOG:  (?:execute|statement)")
_TRANSACTION_END = re.compile(rb" LOG:  (?:execute [^:]*|statement): COMMIT")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """All counters at one instant."""

    cpu_s: Mapping[str, float]
    wal_bytes: int
    log_bytes: int
    commands: int


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What was spent between two readings, divided by the number of images."""

    cpu_ms: Mapping[str, float]
    wal_bytes: float
    statements: float
    commits: float
    commands: float


class Meter:
    """The counters of the ground's servers, of the sandbox, and of one worker."""

    def __init__(self, place: Ground, provider: Sandbox, worker: psutil.Process, broker_url: str | None) -> None:
        """Name the processes."""
        services = place.services
        self._address = services.database_url_of("postgres").replace("+psycopg", "", 1)
        self._log = home.at(services.home).log("postgres")
        self._broker_url = broker_url
        self._processes = {
            "worker": worker,
            "postgres": psutil.Process(services.postgres.pid),
            "valkey": psutil.Process(services.valkey.pid),
            "sandbox": psutil.Process(provider.pid),
        }

    def read(self) -> Reading:
        """Read all counters."""
        with connect(self._address) as connection:
            found = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        return Reading(
            cpu_s={name: cpu_s(process) for name, process in self._processes.items()},
            wal_bytes=int(found[0]) if found else 0,
            log_bytes=self._log.stat().st_size,
            commands=_commands(self._broker_url),
        )

    def costs(self, before: Reading, after: Reading, *, images: int) -> Costs:
        """Return what an image cost between two readings."""
        with self._log.open("rb") as log:
            log.seek(before.log_bytes)
            said = log.read(after.log_bytes - before.log_bytes)
        return Costs(
            cpu_ms={name: 1000 * (s - before.cpu_s[name]) / images for name, s in after.cpu_s.items()},
            wal_bytes=(after.wal_bytes - before.wal_bytes) / images,
            statements=len(_STATEMENT.findall(said)) / images,
            commits=len(_TRANSACTION_END.findall(said)) / images,
            commands=(after.commands - before.commands) / images,
        )


def log_statements(place: Ground, database: str) -> None:
    """Let Postgres log each statement of sessions on this database that begin from now on."""
    with connect(place.services.database_url_of("postgres").replace("+psycopg", "", 1), autocommit=True) as connection:
        statement = sql.SQL("ALTER DATABASE {} SET log_statement = 'all'").format(sql.Identifier(database))
        connection.execute(statement)


def cpu_s(process: psutil.Process) -> float:
    """Sum a process and those below it; what has ended meanwhile is in its parent's sum."""
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if one == process:
            total += times.children_user + times.children_system
    return total


def _commands(broker_url: str | None) -> int:
    if broker_url is None:
        return 0
    with Redis.from_url(broker_url) as server:
        stats: Mapping[str, Mapping[str, int]] = server.info("commandstats")
    return sum(one["calls"] for one in stats.values())
