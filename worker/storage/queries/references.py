"""References and their uploads in the database."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.core.rules.fault import UnfitError, quoted
from worker.core.rules.models_catalogue import ModelSpec


@dataclass(frozen=True, kw_only=True)
class ReferenceFacts:
    """What is known of a reference whose bytes are in the store."""

    sha256: str
    name: str
    size_bytes: int
    mime_type: str
    width: int
    height: int

    def check_fits(self, spec: ModelSpec) -> None:
        """Raise UnfitError for a reference that the model does not take."""
        if self.size_bytes > spec.reference_max_bytes:
            limit = f"{spec.id} takes at most {spec.reference_max_bytes:,}"
            raise UnfitError(f"{quoted(self.name)} has {self.size_bytes:,} bytes; {limit}")
        if self.mime_type not in spec.reference_types:
            raise UnfitError(f"{quoted(self.name)} is {self.mime_type}", spec.reference_types)


_ADD = text("""
    INSERT INTO reference (sha256, name, size_bytes, mime_type, width, height, created_at)
    VALUES (:sha256, :name, :size_bytes, :mime_type, :width, :height, :now)
    ON CONFLICT (sha256) DO UPDATE SET erased_at = NULL, name = excluded.name WHERE reference.erased_at IS NOT NULL""")


def add(tx: Connection, facts: Iterable[ReferenceFacts], *, now: datetime) -> None:
    """Make the references known, also those that were erased; others that are known already stay as they are."""
    rows = [
        {
            "sha256": f.sha256,
            "name": f.name,
            "size_bytes": f.size_bytes,
            "mime_type": f.mime_type,
            "width": f.width,
            "height": f.height,
            "now": now,
        }
        for f in sorted(facts, key=lambda f: f.sha256)
    ]
    if rows:
        tx.execute(_ADD, rows)


def find(tx: Connection, hashes: Iterable[str]) -> dict[str, ReferenceFacts]:
    """Return those of the references that are known, by hash."""
    rows = tx.execute(
        text("""
            SELECT sha256, name, size_bytes, mime_type, width, height FROM reference
            WHERE sha256 = ANY(:hashes) AND erased_at IS NULL"""),
        {"hashes": sorted(hashes)},
    )
    return {
        r.sha256: ReferenceFacts(
            sha256=r.sha256,
            name=r.name,
            size_bytes=r.size_bytes,
            mime_type=r.mime_type,
            width=r.width,
            height=r.height,
        )
        for r in rows
    }


def is_known(tx: Connection, sha256: str) -> bool:
    """Return whether there is such a reference, or was one that was erased."""
    query = text("SELECT EXISTS (SELECT FROM reference WHERE sha256 = :sha256)")
    return bool(tx.execute(query, {"sha256": sha256}).scalar_one())


_LEASE_UPLOAD = text("""
    INSERT INTO upload AS u (account_id, reference_hash, lease_until) VALUES (:account_id, :hash, :until)
    ON CONFLICT (account_id, reference_hash) DO UPDATE
        SET lease_until = excluded.lease_until, url = NULL, uploaded_at = NULL, provider_id = NULL
        WHERE u.lease_until <= :now AND (u.uploaded_at IS NULL OR u.uploaded_at <= :fresh_after)
    RETURNING 1""")


def lease_upload(
    tx: Connection,
    account_id: UUID,
    reference_hash: str,
    *,
    until: datetime,
    fresh_after: datetime,
    now: datetime,
) -> bool:
    """Make this worker the reference's only uploader; False when a fresh upload or another uploader exists."""
    row = tx.execute(
        _LEASE_UPLOAD,
        {
            "account_id": account_id,
            "hash": reference_hash,
            "until": until,
            "fresh_after": fresh_after,
            "now": now,
        },
    ).scalar()
    return row is not None


def fresh_upload(tx: Connection, account_id: UUID, reference_hash: str, *, fresh_after: datetime) -> str | None:
    """Return the URL of an upload that is trusted to be still there."""
    url: str | None = tx.execute(
        text("""
            SELECT url FROM upload
            WHERE account_id = :account_id AND reference_hash = :hash AND uploaded_at > :fresh_after"""),
        {"account_id": account_id, "hash": reference_hash, "fresh_after": fresh_after},
    ).scalar()
    return url


def end_upload(
    tx: Connection,
    account_id: UUID,
    reference_hash: str,
    *,
    provider_id: str | None,
    url: str | None,
    now: datetime,
) -> None:
    """Record the upload's URL, or with None that this try gave none; either way the lease ends."""
    tx.execute(
        text("""
            UPDATE upload SET provider_id = :provider_id, url = :url, lease_until = :now,
                uploaded_at = CASE WHEN CAST(:url AS text) IS NOT NULL THEN CAST(:now AS timestamptz) END
            WHERE account_id = :account_id AND reference_hash = :hash"""),
        {
            "account_id": account_id,
            "hash": reference_hash,
            "provider_id": provider_id,
            "url": url,
            "now": now,
        },
    )


def forget_upload(tx: Connection, account_id: UUID, reference_hash: str, *, before: datetime, now: datetime) -> bool:
    """Trust an upload no longer that was made before the instant; False when there is none so old."""
    changed = tx.execute(
        text("""
            UPDATE upload SET provider_id = NULL, url = NULL, uploaded_at = NULL, lease_until = :now
            WHERE account_id = :account_id AND reference_hash = :hash AND uploaded_at < :before"""),
        {"account_id": account_id, "hash": reference_hash, "before": before, "now": now},
    )
    return changed.rowcount == 1


def forget_uploads(tx: Connection, account_id: UUID) -> None:
    """Trust no upload of the account any longer: it is used with another provider now."""
    tx.execute(text("DELETE FROM upload WHERE account_id = :id"), {"id": account_id})
