"""Seals: the ledger's entries as lines, the chain, the roll-up, and up to when the books are closed."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from worker.audit.rules.seal import LOWEST_ID, Seal
from worker.core.db.proofs import Proof

_LINE = """
    id, batch_id, generation_id, kind, source, target, credits, actor, reason,
    trunc(extract(epoch FROM posted_at) * 1000000)"""
"""Every column of an entry, in the order of the table; times as microseconds since 1970, in no time zone."""
_SEAL = "id, sealed_at, last_entry_id, entries, credits, previous_hash, hash, facts_hash"


def lock_ledger(tx: Connection, *, timeout_s: float) -> None:
    """Block posting until this transaction ends; afterwards no lower id can appear any more.

    Raises OperationalError (lock_not_available) when another transaction posts for longer than ``timeout_s``.
    """
    tx.execute(text("SELECT set_config('lock_timeout', :ms, true)"), {"ms": str(int(timeout_s * 1000))})
    tx.execute(text("SELECT lock_ledger()"))


def may_write(tx: Connection) -> bool:
    """Return whether this connection's role may add seals itself; an auditor's may not."""
    found: bool = tx.execute(text("SELECT has_table_privilege('seal', 'INSERT')")).scalar_one()
    return found


def close_books(tx: Connection) -> datetime:
    """Seal all entries on the server's clock and return the instant (migration 0047).

    Raises OperationalError (lock_not_available) when another transaction posts for longer than two seconds.
    """
    closed: datetime = tx.execute(text("SELECT close_books()")).scalar_one()
    return closed


def last(tx: Connection) -> Seal | None:
    """Return the newest seal; None when nothing was ever sealed."""
    row = tx.execute(text(f"SELECT {_SEAL} FROM seal ORDER BY id DESC LIMIT 1")).mappings().one_or_none()
    return None if row is None else Seal(**row)


def numbered(tx: Connection, number: int) -> Seal | None:
    """Return the seal of this number; None when it is not there."""
    row = tx.execute(text(f"SELECT {_SEAL} FROM seal WHERE id = :id"), {"id": number}).mappings().one_or_none()
    return None if row is None else Seal(**row)


def read_all(tx: Connection) -> list[Seal]:
    """Return every seal without its digests, in the order of the chain."""
    return [Seal(**row) for row in tx.execute(text(f"SELECT {_SEAL} FROM seal ORDER BY id")).mappings()]


def newest_facts(tx: Connection) -> bytes | None:
    """Return the hash of the newest facts that were sealed."""
    found: bytes | None = tx.execute(text("SELECT hash FROM seal_fact ORDER BY seal_id DESC LIMIT 1")).scalar()
    return found


def hashes(tx: Connection, numbers: Collection[int]) -> dict[int, str]:
    """Return the hash of each of these seals that is there, in hexadecimal."""
    rows = tx.execute(
        text("SELECT id, encode(hash, 'hex') AS hash FROM seal WHERE id = ANY(:ids)"), {"ids": list(numbers)}
    )
    return {row.id: row.hash for row in rows}


def latest_posting(tx: Connection, *, after: int) -> datetime | None:
    """Return the latest posting time of the entries after this id; None when there is none."""
    query = text("SELECT max(posted_at) FROM credit_entry WHERE id > :after")
    found: datetime | None = tx.execute(query, {"after": after}).scalar()
    return found


def lines(tx: Connection, *, first: int, last: int | None = None, limit: int | None = None) -> Iterator[bytes]:
    """Stream entries by id, each as the line that COPY writes of it, without the line's end.

    COPY tells NULL from text and escapes tabs and line ends, so that no two entries give the same line.
    """
    until = "" if last is None else f"AND id <= {last:d}"
    most = "" if limit is None else f"LIMIT {limit:d}"
    query = f"COPY (SELECT {_LINE} FROM credit_entry WHERE id >= {first:d} {until} ORDER BY id {most}) TO STDOUT"
    driver: Any = tx.connection.driver_connection
    rest = b""
    with driver.cursor() as cursor, cursor.copy(f"{query} (ENCODING 'UTF8')") as copy:
        for block in copy:
            *whole, rest = (rest + bytes(block)).split(b"\n")
            yield from whole


_ADD = text("""
    INSERT INTO seal (id, sealed_at, last_entry_id, entries, credits, digests, previous_hash, hash, facts_hash)
    VALUES (:id, :sealed_at, :last_entry_id, :entries, :credits, :digests, :previous_hash, :hash, :facts_hash)""")
_ROLL_UP = text("""
    INSERT INTO ledger_rollup (seal_id, day, batch_id, model, kind, source, target, entries, credits)
    SELECT :seal_id, (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, j.model, e.kind, e.source, e.target, count(*),
        sum(e.credits)
    FROM credit_entry e JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    WHERE e.id BETWEEN :first AND :last GROUP BY 2, 3, 4, 5, 6, 7""")
_ROLL_UP_POOLS = text("""
    INSERT INTO pool_rollup (seal_id, day, batch_id, account_id, kind, source, target, entries, credits)
    SELECT :seal_id, (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, g.account_id, e.kind, e.source, e.target,
        count(*), sum(e.credits)
    FROM credit_entry e JOIN generation g ON g.id = e.generation_id
    JOIN batch b ON b.id = e.batch_id AND b.pool IS NOT NULL
    WHERE e.id BETWEEN :first AND :last GROUP BY 2, 3, 4, 5, 6, 7""")


def add(tx: Connection, seal: Seal, *, digests: bytes, first: int) -> None:
    """Write a seal and the roll-up of its entries from ``first`` on, by account for batches over a pool."""
    tx.execute(_ADD, {**vars(seal), "digests": digests})
    bound = {"seal_id": seal.id, "first": first, "last": seal.last_entry_id}
    tx.execute(_ROLL_UP, bound)
    tx.execute(_ROLL_UP_POOLS, bound)


def walk(tx: Connection) -> Iterator[tuple[Seal, bytes]]:
    """Yield every seal with its digests, in the order of the chain, one at a time."""
    query = text(f"SELECT {_SEAL}, digests FROM seal WHERE id > :after ORDER BY id LIMIT 1")
    after = LOWEST_ID
    while (row := tx.execute(query, {"after": after}).mappings().one_or_none()) is not None:
        values = dict(row)
        digests = bytes(values.pop("digests"))
        yield Seal(**values), digests
        after = row["id"]


_ROLLED_UP = f"""
    SELECT coalesce(r.seal_id, e.seal_id) AS seal, coalesce(r.day, e.day) AS day,
        coalesce(r.batch_id, e.batch_id) AS batch, coalesce(r.model, e.model) AS model,
        coalesce(r.kind, e.kind) AS kind,
        coalesce(r.source, e.source) AS source, coalesce(r.target, e.target) AS target,
        coalesce(r.entries, 0) AS sealed_entries, coalesce(e.entries, 0) AS found_entries,
        coalesce(r.credits, 0) AS sealed_credits, coalesce(e.credits, 0) AS found_credits
    FROM ledger_rollup r FULL JOIN (
        SELECT s.id AS seal_id, (c.posted_at AT TIME ZONE 'UTC')::date AS day, c.batch_id, coalesce(j.model, '')
            AS model, c.kind, c.source, c.target, count(*) AS entries, sum(c.credits) AS credits
        FROM (SELECT id, last_entry_id, lag(last_entry_id, 1, {LOWEST_ID}) OVER (ORDER BY id) AS before FROM seal) s
        JOIN credit_entry c ON c.id > s.before AND c.id <= s.last_entry_id
        LEFT JOIN generation g ON g.id = c.generation_id LEFT JOIN job j ON j.id = g.job_id
        GROUP BY 1, 2, 3, 4, 5, 6, 7) e
    USING (seal_id, day, batch_id, model, kind, source, target)
    WHERE (r.entries, r.credits) IS DISTINCT FROM (e.entries, e.credits)"""
_ROLLED_UP_POOLS = f"""
    SELECT coalesce(r.seal_id, e.seal_id) AS seal, coalesce(r.day, e.day) AS day,
        coalesce(r.batch_id, e.batch_id) AS batch, coalesce(r.account_id, e.account_id) AS account,
        coalesce(r.kind, e.kind) AS kind, coalesce(r.entries, 0) AS sealed_entries,
        coalesce(e.entries, 0) AS found_entries, coalesce(r.credits, 0) AS sealed_credits,
        coalesce(e.credits, 0) AS found_credits
    FROM pool_rollup r FULL JOIN (
        SELECT s.id AS seal_id, (c.posted_at AT TIME ZONE 'UTC')::date AS day, c.batch_id, g.account_id, c.kind,
            c.source, c.target, count(*) AS entries, sum(c.credits) AS credits
        FROM (SELECT id, last_entry_id, lag(last_entry_id, 1, {LOWEST_ID}) OVER (ORDER BY id) AS before FROM seal) s
        JOIN credit_entry c ON c.id > s.before AND c.id <= s.last_entry_id
        JOIN batch b ON b.id = c.batch_id AND b.pool IS NOT NULL JOIN generation g ON g.id = c.generation_id
        GROUP BY 1, 2, 3, 4, 5, 6, 7) e
    USING (seal_id, day, batch_id, account_id, kind, source, target)
    WHERE (r.entries, r.credits) IS DISTINCT FROM (e.entries, e.credits)"""
# Every month into which a seal reaches is carried forward; each is the month before and what was rolled up in between.
_OPENED = """
    WITH due AS (
        SELECT generate_series(
            (SELECT date_trunc('month', min(day)::timestamp) + interval '1 month' FROM ledger_rollup),
            (SELECT max(sealed_at) AT TIME ZONE 'UTC' FROM seal), interval '1 month')::date AS month
        UNION SELECT month FROM ledger_opening),
    following AS (SELECT month, lag(month) OVER (ORDER BY month) AS before FROM due),
    summed AS (
        SELECT month, owner, model, kind, source, target, sum(entries)::bigint AS entries,
            sum(credits)::bigint AS credits
        FROM (
            SELECT f.month, o.owner, o.model, o.kind, o.source, o.target, o.entries, o.credits
            FROM following f JOIN ledger_opening o ON o.month = f.before
            UNION ALL
            SELECT f.month, b.owner, r.model, r.kind, r.source, r.target, r.entries, r.credits
            FROM ledger_rollup r JOIN batch b ON b.id = r.batch_id
            JOIN following f ON f.month = (date_trunc('month', r.day::timestamp) + interval '1 month')::date) s
        GROUP BY month, owner, model, kind, source, target)
    SELECT month, owner, model, kind, source, target,
        coalesce(o.entries, 0) AS opening_entries, coalesce(s.entries, 0) AS found_entries,
        coalesce(o.credits, 0) AS opening_credits, coalesce(s.credits, 0) AS found_credits
    FROM ledger_opening o FULL JOIN summed s USING (month, owner, model, kind, source, target)
    WHERE (o.entries, o.credits) IS DISTINCT FROM (s.entries, s.credits)"""
# An entry may wait for its seal while one sealing is lost with its node, and the next is not due yet.
_UNSEALED = """
    SELECT e.id AS entry, e.posted_at, s.last_entry_id AS sealed_up_to, m.last_run_at AS sealing_ran_at,
        'the end of the chain was cut off, or sealing fails: look for ledger.not_sealed in the log, and prove the'
            ' chain against what was written down elsewhere with --anchor' AS next_step
    FROM (SELECT max(last_run_at) AS last_run_at, max(every_s) AS every_s FROM maintenance WHERE kind = 'seal') m
    CROSS JOIN (SELECT max(last_entry_id) AS last_entry_id FROM seal) s
    JOIN credit_entry e ON e.id > coalesce(s.last_entry_id, 0)
        AND e.posted_at < m.last_run_at - make_interval(
            secs => CASE WHEN s.last_entry_id IS NULL THEN 1 ELSE 2 END * m.every_s)"""
# Facts are sealed with the next sealing of a node at the latest, also behind a seal that an auditor made.
_FACTS_UNSEALED = """
    SELECT s.id AS seal, s.sealed_at, m.last_run_at AS sealing_ran_at,
        'the end of the chain of facts was cut off, or sealing them fails: look for facts.not_sealed in the log'
            AS next_step
    FROM (SELECT max(last_run_at) AS last_run_at, max(every_s) AS every_s FROM maintenance WHERE kind = 'seal') m
    JOIN seal s ON s.sealed_at < m.last_run_at - make_interval(secs => 2 * m.every_s)
    WHERE s.id > (SELECT max(seal_id) FROM seal_fact)"""
PROOFS: tuple[Proof, ...] = (
    Proof(
        name="facts_in_time",
        rule="the facts of every seal that is older than two sealings which ran since are bound",
        query=_FACTS_UNSEALED,
    ),
    Proof(
        name="sealed_in_time",
        rule="every entry that is older than two sealings which ran since is bound by a seal",
        query=_UNSEALED,
    ),
    Proof(
        name="rollup",
        rule="the sums that each seal was given are the sums of the entries that it binds",
        query=_ROLLED_UP,
    ),
    Proof(
        name="pool_rollup",
        rule="of batches over a pool each seal has the sums of the entries that it binds for each account, too",
        query=_ROLLED_UP_POOLS,
    ),
    Proof(
        name="openings",
        rule="what each month opened with is the sum of all that was sealed before it, and no month was left out",
        query=_OPENED,
    ),
    Proof(
        name="seal_totals",
        rule="count and credits of each seal are those of its roll-up",
        query="""
            SELECT s.id AS seal, s.entries, s.credits, coalesce(sum(r.entries), 0) AS rolled_up_entries,
                coalesce(sum(r.credits), 0) AS rolled_up_credits
            FROM seal s LEFT JOIN ledger_rollup r ON r.seal_id = s.id GROUP BY s.id
            HAVING (s.entries, s.credits) IS DISTINCT FROM
                (coalesce(sum(r.entries), 0)::bigint, coalesce(sum(r.credits), 0)::bigint)""",
    ),
    Proof(
        name="books_closed",
        rule="nothing was posted at or before the instant up to which the books are closed",
        query="""
            SELECT e.id AS entry, e.posted_at, s.sealed_at FROM credit_entry e
            JOIN (SELECT last_entry_id, sealed_at FROM seal ORDER BY id DESC LIMIT 1) s
                ON e.id > s.last_entry_id AND e.posted_at <= s.sealed_at""",
    ),
)


def changed_sums(tx: Connection, seal_id: int, *, limit: int) -> list[dict[str, Any]]:
    """Return the sums of one seal's roll-up that its entries do not add up to any more."""
    query = text(f"SELECT * FROM ({_ROLLED_UP}) d WHERE seal = :seal ORDER BY day, batch, kind LIMIT :limit")
    return [dict(row) for row in tx.execute(query, {"seal": seal_id, "limit": limit}).mappings()]


FACTS_LOCK = 7_041_776_402_155_231_113
"""Advisory lock: shared by every transaction that writes a call, a result or a reading (migration 0013)."""


@dataclass(frozen=True, kw_only=True)
class SealMark:
    """The last seal at or before an instant."""

    id: int
    sealed_at: datetime
    hash: str


def closed_until(tx: Connection) -> datetime | None:
    """Return the instant at or before which nothing can be posted any more; None when nothing was ever sealed."""
    found: datetime | None = tx.execute(text("SELECT sealed_at FROM seal ORDER BY id DESC LIMIT 1")).scalar()
    return found


def await_writers(tx: Connection) -> None:
    """Wait for transactions that write a call, a result or a reading dated before the last seal.

    Those who begin now see the seal, and date their row after it. The transaction must end before anything is read.
    """
    tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": FACTS_LOCK})


def seal_at(tx: Connection, instant: datetime) -> SealMark | None:
    """Return the last seal whose instant is not later."""
    row = tx.execute(
        text("""
            SELECT id, sealed_at, encode(hash, 'hex') AS hash FROM seal WHERE sealed_at <= :instant
            ORDER BY id DESC LIMIT 1"""),
        {"instant": instant},
    ).one_or_none()
    return None if row is None else SealMark(id=row.id, sealed_at=row.sealed_at, hash=row.hash)


def schema_revision(tx: Connection) -> str:
    """Return the number of the last migration."""
    found: str = tx.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    return found
