"""The console's pages over a million jobs: how long the server takes for each, and how much they weigh."""

import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from urllib.parse import quote

import psutil
from psycopg import connect
from sqlalchemy import text
from uuid_utils.compat import uuid7

from ops.bench import ground
from ops.bench.findings import Finding
from ops.bench.ground import Ground
from ops.bench.volume import big_ledger
from worker.accounts.queries import accounts
from worker.audit import sealing
from worker.core.db.changes import Author
from worker.core.db.session import Database
from worker.web import sessions, tokens
from worker.web.console import assets
from worker.web.rules.identity import Right
from worker.web.tokens import TokenRequest

_EVERY_S = 33
"""From one image to the next: a million jobs are a year, which ends in the present month."""
_SIZES = {True: (20_000, 100), False: (1_000_000, 5_000)}
_TIMES = {True: 20, False: 100}
_PORT = 8799
# The newest batches are under way; of the others one image in 50 has failed, one in 2,000 is in doubt.
_STANDINGS = (
    """
    UPDATE batch b SET created_at = s.at, done_at = CASE WHEN s.number > 20 THEN s.at + interval '2 hours' END,
        has_pending = s.number <= 20, credit_cap = 4000
    FROM (SELECT batch_id, min(admitted_at) AS at, row_number() OVER (ORDER BY min(admitted_at) DESC) AS number
          FROM generation GROUP BY batch_id) s
    WHERE s.batch_id = b.id""",
    """
    UPDATE job j SET created_at = b.created_at, key = 'item-' || j.line || '-' || left(md5(j.id::text), 6),
        ended_at = CASE WHEN b.done_at IS NOT NULL OR j.line % 2 = 0 THEN g.ended_at END,
        state = CASE WHEN b.done_at IS NULL AND j.line % 2 = 1 THEN 'pending' WHEN j.line % 50 = 0 THEN 'failed'
            WHEN j.line % 2000 = 7 THEN 'in_doubt' ELSE 'succeeded' END,
        failure_code = CASE WHEN j.line % 50 = 0 THEN 'generation_failed' END,
        failure_message = CASE WHEN j.line % 50 = 0 THEN 'The generation failed: ' || left(md5(j.id::text), 8) END
    FROM batch b, generation g WHERE b.id = j.batch_id AND g.job_id = j.id""",
    """
    UPDATE generation g SET state = 'in_doubt', final = NULL FROM job j
    WHERE j.id = g.job_id AND j.state = 'in_doubt'""",
)
_SAMPLES = {
    "batch": "SELECT id FROM batch ORDER BY md5(id::text) LIMIT :n",
    "job": "SELECT id FROM job WHERE id > '70000000-0000-0000-0000-000000000000' ORDER BY id LIMIT :n",
    "key": "SELECT key FROM job WHERE id > '90000000-0000-0000-0000-000000000000' ORDER BY id LIMIT :n",
    "task": "SELECT provider_id FROM generation WHERE id > '30000000-0000-0000-0000-000000000000' ORDER BY id LIMIT :n",
}
PAGES = {
    "home": "/",
    "batches": "/batches",
    "batches with failures": "/batches?state=failed",
    "batches with doubts": "/batches?state=in_doubt",
    "batches by name": "/batches?q=batch%20{number}",
    "submit": "/batches/new/{job}",
    "a batch": "/batches/{batch}",
    "a batch's failures": "/batches/{batch}?show=failed",
    "a job": "/jobs/{job}",
    "search by key": "/search?q={key}",
    "search by provider id": "/search?q={task}",
    "search by line": "/search?q=line%20{number}",
    "search by error": "/search?q=generation_failed",
    "search by part of an error": "/search?q=failed%3A%20{number}",
    "in doubt": "/in-doubt",
    "money by day": "/money",
    "money by catalog": "/money?by=catalog",
    "schedules": "/schedules",
    "audit log": "/audit-log",
    "settings": "/settings",
}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one page took."""

    milliseconds: list[float]
    processor_ms: float
    """What the web process and the database's worked for one of them, whatever else the machine did."""
    html_bytes: int
    linked_bytes: int
    """Scripts and styles, compressed, as a browser gets them once."""

    @property
    def p99(self) -> float:
        """The time that one request in a hundred exceeds."""
        return sorted(self.milliseconds)[max(0, round(len(self.milliseconds) * 0.99) - 1)]


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """A client with every right that requests pages over one connection, each for the next sample."""

    connection: HTTPConnection
    token: str
    samples: Mapping[str, Sequence[str]]
    process: psutil.Process
    """The web process."""

    def get(self, path: str, number: int) -> bytes:
        """Return the page for the sample of that number; raises Stuck for any other answer than 200."""
        asked = path.format(**{name: quote(values[number % len(values)]) for name, values in self.samples.items()})
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/html"}
        self.connection.request("GET", asked, headers=headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:  # noqa: PLR2004 - OK
            raise ground.Stuck(f"{asked} answered {answer.status}: {body[:300]!r}")
        return body


def run(place: Ground, is_quick: bool) -> Finding:  # noqa: FBT001 - as all benchmarks
    """Measure every page."""
    jobs, batches = _SIZES[is_quick]
    url = place.database_url("console")
    database = ground.database(url)
    fill(database, url, jobs, jobs // batches)
    database.close()
    environment = {
        "DARKROOM_DATABASE_URL": url,
        "DARKROOM_STORE": str(place.folder / "images"),
        "DARKROOM_HOME": str(place.folder / "home-of-web"),
    }
    with visited(place, environment, _PORT, count=_TIMES[is_quick]) as visitor:
        taken = {name: _taken(path, visitor, place) for name, path in PAGES.items()}
    return _finding(taken, jobs, batches, _TIMES[is_quick])


@contextmanager
def visited(place: Ground, environment: Mapping[str, str], port: int, *, count: int) -> Iterator[Visitor]:
    """Yield a visitor of a web process of its own on that port, with so many samples of each kind."""
    database = ground.database(environment["DARKROOM_DATABASE_URL"])
    token, samples = _token(database), samples_of(database, count)
    database.close()
    command = [sys.executable, "-m", "worker.cli", "web", "--listen", f"127.0.0.1:{port}", "--no-link"]
    with ground.child(command, environment, place.folder / f"web-{port}.log", ready="Uvicorn running") as web:
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        yield Visitor(connection=connection, token=token, samples=samples, process=web)
        connection.close()


def fill(database: Database, url: str, jobs: int, per_batch: int) -> None:
    """Write the jobs, and close the books over them, as nodes do each hour."""
    with database.transaction() as tx:
        account_id = accounts.ensure(tx, account_id=uuid7(), name="default", now=datetime.now(UTC))
    big_ledger.fill(
        url,
        account_id=account_id,
        entries=big_ledger.ENTRIES_PER_JOB * jobs,
        per_batch=per_batch,
        every_s=_EVERY_S * 1_000_000 // jobs,
    )
    with connect(url.replace("+psycopg", "", 1), autocommit=True) as admin:
        admin.execute("SET session_replication_role = replica")
        for step in _STANDINGS:
            admin.execute(step.encode())
        admin.execute(big_ledger.RECOUNT)
        admin.execute("VACUUM ANALYZE")
    sealing.seal(database, now=datetime.now(UTC))


def _token(database: Database) -> str:
    with database.transaction() as tx:
        by = Author(actor="bench", reason=None, now=datetime.now(UTC), new_id=uuid7)
        user = sessions.ensure_local_user(tx, by, "bench").name
        return tokens.create(tx, by, TokenRequest(name="bench", user=user, rights=frozenset(Right), owner=None))


def samples_of(database: Database, count: int) -> Mapping[str, Sequence[str]]:
    """Return so many batches, jobs, keys and tasks, spread over the database, and numbers, by what they are."""
    with database.transaction() as tx:
        found = {
            name: [str(each) for each in tx.execute(text(statement), {"n": count}).scalars()]
            for name, statement in _SAMPLES.items()
        }
    return {**found, "number": [str(each) for each in range(1, count + 1)]}


def _worked_s(roots: Sequence[psutil.Process]) -> float:
    """Return the seconds of processors that these processes and all below them have used."""
    used = 0.0
    for each in (process for root in roots for process in (root, *root.children(recursive=True))):
        with suppress(psutil.NoSuchProcess):
            times = each.cpu_times()
            used += times.user + times.system
    return used


def _taken(path: str, visitor: Visitor, place: Ground) -> Taken:
    """Request a page for each sample, after two that are not counted."""
    roots = (visitor.process, psutil.Process(place.services.postgres.pid))
    milliseconds, body, before_s = [], b"", _worked_s(roots)
    for number in range(-2, len(visitor.samples["number"])):
        began = time.perf_counter()
        body = visitor.get(path, number)
        milliseconds.append((time.perf_counter() - began) * 1000)
    linked = {name for name in assets.NAMES if f"/{name}".encode() in body}
    return Taken(
        milliseconds=milliseconds[2:],
        processor_ms=(_worked_s(roots) - before_s) / len(milliseconds) * 1000,
        html_bytes=len(body),
        linked_bytes=sum(len(assets.asset(name).compressed) for name in linked),
    )


def _finding(taken: Mapping[str, Taken], jobs: int, batches: int, times: int) -> Finding:
    rows = [
        (
            name,
            f"{statistics.median(each.milliseconds):.0f} ms",
            f"{each.p99:.0f} ms",
            f"{each.processor_ms:.0f} ms",
            f"{each.html_bytes / 1000:.0f} kB",
            f"{(each.html_bytes + each.linked_bytes) / 1000:.0f} kB",
        )
        for name, each in taken.items()
    ]
    return Finding(
        name="console",
        title="Pages of the console",
        method=f"{jobs:,} jobs in {batches:,} batches over a year, the newest 20 under way, books closed. Each page"
        f" {times} times in a row by one client over one connection, for another batch, job or word each time; the time"
        " is the client's, from the request to the last byte; the processors' time is that of the web process and of"
        " the database together. The weight is without pictures; scripts and styles come once.",
        columns=("page", "median", "99 in 100 within", "processors worked", "page alone", "with scripts and styles"),
        rows=rows,
        figures={
            name: {
                "milliseconds": each.milliseconds,
                "processor_ms": each.processor_ms,
                "html_bytes": each.html_bytes,
            }
            for name, each in taken.items()
        },
    )
