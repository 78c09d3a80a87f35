"""The outbox of events: rows that are written in the transaction of the change that they tell of."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.core.rules.events import EventType

# A UUIDv7 of the server's clock, so that an event needs neither a clock nor an id from where it happens.
_ID = """encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) PLACING
    substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1),
    53, 1), 'hex')::uuid"""

IS_WANTED = """EXISTS (
    SELECT FROM hook h WHERE h.removed_at IS NULL AND CAST(:type AS text) = ANY(h.events)
        AND (h.catalog_id IS NULL OR h.catalog_id = CAST(:catalog_id AS uuid)))"""
"""Whether a hook is subscribed to the events of ``:type``; one of the events of a catalog has ``:catalog_id``."""

_EMIT = text(f"""
    INSERT INTO event (id, type, version, subject, catalog_id, once_key, data, created_at)
    SELECT {_ID}, :type, :version, :subject, :catalog_id, :once_key, :data, clock_timestamp()
    WHERE {IS_WANTED} ON CONFLICT (once_key) DO NOTHING""").bindparams(bindparam("data", type_=JSONB))


def emit(
    tx: Connection,
    type_: EventType,
    data: Mapping[str, Any],
    *,
    subject: str,
    catalog_id: UUID | None = None,
    once_key: str | None = None,
) -> None:
    """Write an event, to be delivered when this transaction is committed; nothing if no hook is subscribed to it.

    ``subject`` is what it is about, such as ``batch:<id>``. With a ``once_key`` a second event of that type and key is
    not written.
    """
    tx.execute(
        _EMIT,
        {
            "type": type_,
            "version": type_.version,
            "subject": subject,
            "catalog_id": catalog_id,
            "once_key": once_key and f"{type_}:{once_key}",
            "data": dict(data),
        },
    )


_IS_WANTED = text(f"SELECT {IS_WANTED}")


def is_wanted(tx: Connection, type_: EventType, *, catalog_id: UUID | None = None) -> bool:
    """Return whether a hook is subscribed, for events whose data takes work to gather."""
    found: bool = tx.execute(_IS_WANTED, {"type": type_, "catalog_id": catalog_id}).scalar_one()
    return found
