"""Facts beside the ledger that reports show, by the period in which they were closed: digests, and seals."""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, TextClause, text

from worker.audit.rules.fact_seal import FactDigest, FactSeal
from worker.audit.rules.seal import LOWEST_ID, Seal

_LOCK = 7_041_776_402_155_231_114
"""Advisory lock: one process at a time seals facts."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """What the seals after one, up to another, have closed."""

    after: datetime
    until: datetime
    first: int
    """The first id of an entry that may be in it."""
    last: int


def period(before: Seal | None, seal: Seal) -> Period:
    """Return what was closed after the seal ``before`` (None: ever) and up to ``seal``."""
    return Period(
        after=datetime(1, 1, 1, tzinfo=UTC) if before is None else before.sealed_at,
        until=seal.sealed_at,
        first=LOWEST_ID if before is None else before.last_entry_id + 1,
        last=seal.last_entry_id,
    )


def _digest(key: str, columns: str, rows: str) -> TextClause:
    """Return the query of the digest of one kind of fact; a row is written as Postgres writes a composite value."""
    return text(f"""
        SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(sha256(convert_to(f.line, 'UTF8')), ''
            ORDER BY f.key), '')), 'hex') AS sha256
        FROM (SELECT {key} AS key, ROW({columns})::text AS line FROM {rows}) f""")


def _dated(table: str, instant: str, key: str, columns: str) -> TextClause:
    return _digest(key, columns, f"{table} WHERE {instant} > :after AND {instant} <= :until")


_HELD = """
    credit_entry e JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    WHERE e.id BETWEEN :first AND :last AND e.kind = 'hold'"""


def _cap_then(subject: str, field: str, now: str) -> str:
    """Return the SQL of what a cap was when the period ended: what it is now, unless it was changed since."""
    return f"""
        CASE WHEN EXISTS (SELECT FROM change h WHERE h.subject = {subject} AND h.field = '{field}'
                AND h.changed_at > :until)
            THEN (SELECT h.before FROM change h WHERE h.subject = {subject} AND h.field = '{field}'
                AND h.changed_at > :until ORDER BY h.changed_at, h.id LIMIT 1)
            ELSE {now}::text END"""


_BATCH = f"""
    b.id, b.account_id, b.token, b.content_hash, b.name, b.owner, b.purpose, b.size, b.created_at, b.size_policy,
    b.models, {_cap_then("'batch:' || b.id", "credit_cap", "b.credit_cap")},
    {
    _cap_then(
        "'owner:' || b.owner",
        "monthly_cap",
        "(SELECT c.monthly_cap FROM owner_cap c WHERE c.owner = b.owner)",
    )
}"""

DIGESTS: dict[str, TextClause] = {
    "batch": _digest(
        "b.id",
        _BATCH,
        "batch b WHERE b.id IN (SELECT e.batch_id FROM credit_entry e WHERE e.id BETWEEN :first AND :last)",
    ),
    "job": _digest(
        "e.id",
        """j.id, j.batch_id, j.line, j.key, j.model, j.prompt, j.params, j.reference_hash, j.extra, j.fingerprint,
            j.price, j.created_at, j.further_references""",
        _HELD,
    ),
    "generation": _digest(
        "e.id",
        "g.id, g.job_id, g.batch_id, g.account_id, g.number, g.idempotency_key, g.held, g.admitted_at",
        _HELD,
    ),
    "request": _digest(
        "e.id",
        "g.id, encode(sha256(g.body), 'hex')",
        """credit_entry e JOIN generation g ON g.id = e.generation_id
            WHERE e.id BETWEEN :first AND :last AND e.kind = 'reserve'""",
    ),
    "outcome": _digest(
        "e.id",
        "g.id, g.provider_id, g.first_sent_at, g.accepted_at, g.ended_at, g.error_code, g.error_message, g.request_id",
        """credit_entry e JOIN generation g ON g.id = e.generation_id
            WHERE e.id BETWEEN :first AND :last AND e.kind IN ('settle', 'release', 'void')""",
    ),
    "call": _dated(
        "call",
        "recorded_at",
        "id",
        """id, started_at, ended_at, account_id, generation_id, http_status, send, is_late, kind, outcome, code,
            message, request_id, provider_id, size_bytes, recorded_at""",
    ),
    "result": _dated(
        "result",
        "recorded_at",
        "job_id",
        """job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height, stored_at,
            recorded_at, frames, not_as_ordered, store_id""",
    ),
    "wallet_reading": _dated("wallet_reading", "recorded_at", "id", "id, account_id, credits, read_at, recorded_at"),
    "generation_reading": _dated(
        "generation_reading", "read_at", "id", "id, generation_id, read_at, status, reserved, final, code, message"
    ),
    "change": _dated(
        "change", "changed_at", "id", "id, subject, field, before, after, actor, reason, changed_at, login"
    ),
}
"""By kind of fact: what is digested, with the period as parameters. A changed query needs a kind of its own."""


REQUIRED = frozenset(
    [
        "batch",
        "job",
        "generation",
        "request",
        "outcome",
        "call",
        "result",
        "wallet_reading",
        "generation_reading",
        "change",
    ]
)
"""The kinds that every seal of facts has; one that is added later is not among them, since older seals lack it."""


def digest(tx: Connection, kind: str, period: Period) -> FactDigest:
    """Return the digest of one kind of fact as the rows are now."""
    row = tx.execute(DIGESTS[kind], vars(period)).one()
    return FactDigest(kind=kind, rows=row.rows, sha256=row.sha256)


def lock(tx: Connection) -> None:
    """Wait until no other process seals facts, until this transaction ends."""
    tx.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})


_FACTS = "seal_id, digests, previous_hash, hash"


def last(tx: Connection) -> FactSeal | None:
    """Return the newest seal of facts."""
    row = tx.execute(text(f"SELECT {_FACTS} FROM seal_fact ORDER BY seal_id DESC LIMIT 1")).mappings().one_or_none()
    return None if row is None else FactSeal(**row)


def read_all(tx: Connection) -> list[FactSeal]:
    """Return every seal of facts, in the order of the chain."""
    rows = tx.execute(text(f"SELECT {_FACTS} FROM seal_fact ORDER BY seal_id")).mappings()
    return [FactSeal(**row) for row in rows]


_ADD = text("""
    INSERT INTO seal_fact (seal_id, digests, previous_hash, hash) VALUES (:seal_id, :digests, :previous_hash, :hash)""")


def add(tx: Connection, facts: FactSeal) -> None:
    """Write a seal of facts."""
    tx.execute(_ADD, vars(facts))
