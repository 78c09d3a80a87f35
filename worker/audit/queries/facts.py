"""Facts beside the ledger that reports show, by the period in which they were closed: digests, and seals."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, TextClause, text

from worker.audit.queries import seals
from worker.audit.rules.fact_seal import ErasableKind, FactDigest, FactSeal
from worker.audit.rules.seal import LOWEST_ID, Seal

_LOCK = 7_041_776_402_155_231_114
"""Advisory lock: one process at a time seals facts."""


@dataclass(frozen=True, kw_only=True)
class Period:
    """What the seals after one, up to another, have closed."""

    seal_id: int
    """The seal that closed it."""
    after: datetime
    until: datetime
    first: int
    """The first id of an entry that may be in it."""
    last: int


def period(before: Seal | None, seal: Seal) -> Period:
    """Return the period that was closed after the seal ``before`` (None: the beginning) and up to ``seal``."""
    return Period(
        seal_id=seal.id,
        after=datetime(1, 1, 1, tzinfo=UTC) if before is None else before.sealed_at,
        until=seal.sealed_at,
        first=LOWEST_ID if before is None else before.last_entry_id + 1,
        last=seal.last_entry_id,
    )


# A row that was erased counts as it was sealed, and as altered if it is not as the erasure left it (ADR 0064).
def _digest(kind: str, key: str, columns: str, rows: str) -> TextClause:
    """Return the query of the digest of one kind of fact; a row is written as Postgres writes a composite value."""
    return text(f"""
        SELECT count(*) AS rows, encode(sha256(coalesce(string_agg(coalesce(x.before, f.line), ''
            ORDER BY f.key), '')), 'hex') AS sha256, count(x.before) AS erased,
            count(*) FILTER (WHERE x.after <> f.line) AS altered
        FROM (SELECT {key} AS key, sha256(convert_to(ROW({columns})::text, 'UTF8')) AS line FROM {rows}) f
        LEFT JOIN erased_row x ON x.seal_id = :seal_id AND x.kind = '{kind}' AND x.key = f.key::text""")


def _dated(kind: str, instant: str, columns: str, *, key: str = "id") -> TextClause:
    return _digest(kind, key, columns, f"{kind} WHERE {instant} > :after AND {instant} <= :until")


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

_BATCHES = "batch b WHERE b.id IN (SELECT e.batch_id FROM credit_entry e WHERE e.id BETWEEN :first AND :last)"
_JOB = """
    j.id, j.batch_id, j.line, j.key, j.model, j.prompt, j.params, j.reference_hash, j.extra, j.fingerprint,
    j.price, j.created_at, j.further_references"""
_RESERVED = """
    credit_entry e JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    WHERE e.id BETWEEN :first AND :last AND e.kind = 'reserve'"""

DIGESTS: dict[str, TextClause] = {
    "batch": _digest("batch", "b.id", _BATCH, _BATCHES),
    "job": _digest("job", "e.id", _JOB, _HELD),
    "request": _digest("request", "e.id", "g.id, encode(sha256(g.body), 'hex')", _RESERVED),
    "salted_batch": _digest("salted_batch", "b.id", f"{_BATCH}, b.salt", _BATCHES),
    "batch_account": _digest(
        "batch_account",
        """concat_ws(' ', m.batch_id, m.account_id) COLLATE "C" """,
        "m.batch_id, m.account_id, b.pool",
        """batch_account m JOIN batch b ON b.id = m.batch_id
            WHERE b.id IN (SELECT e.batch_id FROM credit_entry e WHERE e.id BETWEEN :first AND :last)""",
    ),
    "salted_job": _digest("salted_job", "e.id", f"{_JOB}, j.salt, j.erased_at", _HELD),
    "salted_request": _digest(
        "salted_request", "e.id", "g.id, encode(sha256(coalesce(uuid_send(j.salt), '') || g.body), 'hex')", _RESERVED
    ),
    "generation": _digest(
        "generation",
        "e.id",
        "g.id, g.job_id, g.batch_id, g.account_id, g.number, g.idempotency_key, g.held, g.admitted_at",
        _HELD,
    ),
    "outcome": _digest(
        "outcome",
        "e.id",
        "g.id, g.provider_id, g.first_sent_at, g.accepted_at, g.ended_at, g.error_code, g.error_message, g.request_id",
        """credit_entry e JOIN generation g ON g.id = e.generation_id
            WHERE e.id BETWEEN :first AND :last AND e.kind IN ('settle', 'release', 'void')""",
    ),
    "call": _dated(
        "call",
        "recorded_at",
        """id, started_at, ended_at, account_id, generation_id, http_status, send, is_late, kind, outcome, code,
            message, request_id, provider_id, size_bytes, recorded_at""",
    ),
    "result": _dated(
        "result",
        "recorded_at",
        """job_id, generation_id, source_url, path, sha256, size_bytes, mime_type, width, height, stored_at,
            recorded_at, frames, not_as_ordered, store_id""",
        key="job_id",
    ),
    "wallet_reading": _dated("wallet_reading", "recorded_at", "id, account_id, credits, read_at, recorded_at"),
    "generation_reading": _dated(
        "generation_reading", "read_at", "id, generation_id, read_at, status, reserved, final, code, message"
    ),
    "change": _dated("change", "changed_at", "id, subject, field, before, after, actor, reason, changed_at, login"),
    "erasure": _dated("erasure", "erased_at", "id, subject, actor, reason, jobs, reference_images, erased_at, login"),
    "erased_row": _digest(
        "erased_row",
        """concat_ws(' ', r.seal_id, r.kind, r.key) COLLATE "C" """,
        "r.seal_id, r.kind, r.key, r.erasure_id, r.before, r.after",
        "erased_row r JOIN erasure a ON a.id = r.erasure_id WHERE a.erased_at > :after AND a.erased_at <= :until",
    ),
}
"""By kind of fact: what is digested, with the period as parameters. A changed query needs a kind of its own."""

_UNSALTED = frozenset([ErasableKind.BATCH, ErasableKind.JOB, ErasableKind.REQUEST])
"""Kinds of seals from before a salt kept what they were made from from being guessed."""

SEALED = tuple(kind for kind in DIGESTS if kind not in _UNSALTED)
"""The kinds that are sealed now."""

_BESIDE = frozenset(["generation", "outcome", "call", "result", "wallet_reading", "generation_reading", "change"])


def is_complete(kinds: Collection[str]) -> bool:
    """Return whether a seal of facts with these kinds has all that it must have: older ones lack the newer kinds."""
    return set(kinds) >= _BESIDE and (set(kinds) >= _UNSALTED or {f"salted_{kind}" for kind in _UNSALTED} <= set(kinds))


@dataclass(frozen=True, kw_only=True)
class Found:
    """One kind of fact of a closed period as it is now."""

    digest: FactDigest
    """With the rows that were erased since as they were when they were sealed."""
    erased: int
    """Rows that were erased since."""
    altered: int
    """Those of them that are not as the erasure left them."""


def find(tx: Connection, kind: str, period: Period) -> Found:
    """Return the present digest of one kind of fact, and how many of its rows were erased since they were sealed."""
    row = tx.execute(DIGESTS[kind], vars(period)).one()
    found = FactDigest(kind=kind, rows=row.rows, sha256=row.sha256)
    return Found(digest=found, erased=row.erased, altered=row.altered)


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


_SEALED = text(f"""
    SELECT {_FACTS}, (SELECT max(b.seal_id) FROM seal_fact b WHERE b.seal_id < f.seal_id) AS before_id
    FROM seal_fact f WHERE seal_id = :id""")


def sealed(tx: Connection, seal_id: int) -> tuple[FactSeal, Period]:
    """Return the seal of facts of this number, and the period that it closed."""
    row = dict(tx.execute(_SEALED, {"id": seal_id}).mappings().one())
    before_id, found = row.pop("before_id"), seals.numbered(tx, seal_id)
    assert found is not None, "a seal of facts has a foreign key to its seal"
    return FactSeal(**row), period(None if before_id is None else seals.numbered(tx, before_id), found)


_ADD = text("""
    INSERT INTO seal_fact (seal_id, digests, previous_hash, hash) VALUES (:seal_id, :digests, :previous_hash, :hash)""")


def add(tx: Connection, facts: FactSeal) -> None:
    """Write a seal of facts."""
    tx.execute(_ADD, vars(facts))
