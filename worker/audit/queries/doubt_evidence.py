"""What beside its own row speaks about a generation in doubt: the wallet around its sends, and what was said since."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, text

from worker.audit.queries.in_doubt import InDoubt


@dataclass(frozen=True, kw_only=True)
class WalletReading:
    """What the wallet held."""

    read_at: datetime
    credits: int


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the provider said when it was asked again; the code is of an error in place of an answer, too."""

    read_at: datetime
    status: str | None
    reserved: int | None
    final: int | None
    code: str | None
    message: str | None


_AROUND = text("""
    (SELECT read_at, credits FROM wallet_reading WHERE account_id = :account_id AND read_at <= :first
     ORDER BY read_at DESC LIMIT 1)
    UNION ALL
    (SELECT read_at, credits FROM wallet_reading WHERE account_id = :account_id AND read_at > :last
     ORDER BY read_at LIMIT 1)""")


def wallet_around(tx: Connection, doubt: InDoubt) -> Sequence[WalletReading]:
    """Return the last reading before the first send and the first after the last one, as far as they are there."""
    if doubt.first_sent_at is None:
        return []
    values = {"account_id": doubt.account_id, "first": doubt.first_sent_at, "last": doubt.last_sent_at}
    return [WalletReading(**row) for row in tx.execute(_AROUND, values).mappings()]


_LAST_SAID = text("""
    SELECT read_at, status, reserved, final, code, message FROM generation_reading
    WHERE generation_id = :id ORDER BY read_at DESC, id DESC LIMIT 1""")


def last_said(tx: Connection, generation_id: UUID) -> Said | None:
    """Return what the provider said last; None when it was never asked again."""
    row = tx.execute(_LAST_SAID, {"id": generation_id}).mappings().one_or_none()
    return None if row is None else Said(**row)
