"""Endpoints of the provider's webhooks in the database, and how many came to what."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, RowMapping, text

from worker.provider.webhooks import Verifier


@dataclass(frozen=True, kw_only=True)
class EndpointRow:
    """One endpoint that takes webhooks."""

    id: UUID
    account_id: UUID
    address: str
    path_digest: bytes = field(repr=False)
    verifiers: tuple[Verifier, ...]
    provider_id: str | None
    secret: str | None = field(repr=False)
    """The newest first, then the one before it, with a space."""
    created_at: datetime
    last_received_at: datetime | None


_INSERT = text("""
    INSERT INTO webhook_endpoint (id, account_id, address, path_digest, verifiers, created_at)
    VALUES (:id, :account_id, :address, :path_digest, :verifiers, :now)""")


def insert(
    tx: Connection,
    *,
    endpoint_id: UUID,
    account_id: UUID,
    address: str,
    path_digest: bytes,
    verifiers: Sequence[Verifier],
    now: datetime,
) -> None:
    """Store an endpoint that is about to be registered."""
    tx.execute(
        _INSERT,
        {
            "id": endpoint_id,
            "account_id": account_id,
            "address": address,
            "path_digest": path_digest,
            "verifiers": [each.value for each in verifiers],
            "now": now,
        },
    )


def registered(tx: Connection, endpoint_id: UUID, *, provider_id: str, secret: str | None) -> None:
    """Store the provider's answer to the registration."""
    tx.execute(
        text("UPDATE webhook_endpoint SET provider_id = :provider_id, secret = :secret WHERE id = :id"),
        {"id": endpoint_id, "provider_id": provider_id, "secret": secret},
    )


def set_secret(tx: Connection, endpoint_id: UUID, secret: str) -> None:
    """Store a new secret beside the previous one; older ones are deleted."""
    tx.execute(
        text("""
            UPDATE webhook_endpoint SET secret = concat_ws(' ', CAST(:secret AS text), split_part(secret, ' ', 1))
            WHERE id = :id"""),
        {"id": endpoint_id, "secret": secret},
    )


def remove(tx: Connection, endpoint_id: UUID, *, now: datetime) -> bool:
    """Stop accepting webhooks at the endpoint; False when it was removed before."""
    changed = tx.execute(
        text("UPDATE webhook_endpoint SET removed_at = :now WHERE id = :id AND removed_at IS NULL"),
        {"id": endpoint_id, "now": now},
    )
    return bool(changed.rowcount)


_COLUMNS = "id, account_id, address, path_digest, verifiers, provider_id, secret, created_at, last_received_at"
_LIVE = text(f"""
    SELECT {_COLUMNS} FROM webhook_endpoint WHERE account_id = :id AND removed_at IS NULL ORDER BY id""")
_OF_PATH = text(f"""
    SELECT {_COLUMNS} FROM webhook_endpoint WHERE path_digest = :digest AND removed_at IS NULL""")


def live(tx: Connection, account_id: UUID) -> list[EndpointRow]:
    """Return an account's endpoints that take webhooks, oldest first."""
    return [_row(each) for each in tx.execute(_LIVE, {"id": account_id}).mappings()]


def of_path(tx: Connection, digest: bytes) -> EndpointRow | None:
    """Return the endpoint that takes webhooks at a path of this SHA-256."""
    found = tx.execute(_OF_PATH, {"digest": digest}).mappings().one_or_none()
    return None if found is None else _row(found)


def _row(values: RowMapping) -> EndpointRow:
    return EndpointRow(**{**values, "verifiers": tuple(Verifier(each) for each in values["verifiers"])})


@dataclass(frozen=True, kw_only=True)
class Count:
    """The number of webhooks of an endpoint with one outcome since the counts were last stored."""

    endpoint_id: UUID
    outcome: str
    count: int
    last_at: datetime


_ADD_COUNTS = text("""
    INSERT INTO webhook_count (endpoint_id, outcome, count, last_at)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:outcomes AS text[]), CAST(:counts AS bigint[]),
        CAST(:instants AS timestamptz[]))
    ON CONFLICT (endpoint_id, outcome) DO UPDATE SET count = webhook_count.count + excluded.count,
        last_at = greatest(webhook_count.last_at, excluded.last_at)""")
_RECEIVED = text("""
    UPDATE webhook_endpoint e SET last_received_at = greatest(e.last_received_at, given.at)
    FROM (SELECT id, max(at) AS at FROM unnest(CAST(:ids AS uuid[]), CAST(:instants AS timestamptz[])) t (id, at)
          GROUP BY id) given
    WHERE e.id = given.id""")


def add_counts(tx: Connection, counts: Collection[Count]) -> None:
    """Add to the counts, in a fixed order of rows so that two processes cannot deadlock."""
    rows = sorted(counts, key=lambda each: (each.endpoint_id, each.outcome))
    values = {
        "ids": [each.endpoint_id for each in rows],
        "outcomes": [each.outcome for each in rows],
        "counts": [each.count for each in rows],
        "instants": [each.last_at for each in rows],
    }
    tx.execute(_ADD_COUNTS, values)
    tx.execute(_RECEIVED, {"ids": values["ids"], "instants": values["instants"]})


_COUNTS = text("""
    SELECT c.endpoint_id, c.outcome, c.count AS times
    FROM webhook_count c JOIN webhook_endpoint e ON e.id = c.endpoint_id
    WHERE e.account_id = :id AND e.removed_at IS NULL ORDER BY c.endpoint_id, c.outcome""")


def counts(tx: Connection, account_id: UUID) -> dict[UUID, dict[str, int]]:
    """Return the number of webhooks by endpoint and outcome."""
    found: dict[UUID, dict[str, int]] = {}
    for row in tx.execute(_COUNTS, {"id": account_id}):
        found.setdefault(row.endpoint_id, {})[row.outcome] = row.times
    return found
