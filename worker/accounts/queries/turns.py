"""Turns in the database: how much each class, and each owner inside it, has had of an account's requests."""

from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from worker.accounts.rules.turns import Turns
from worker.core.rules.batch_request import Priority


def read(classes: dict[str, float], owners: dict[str, Any] | None = None) -> Turns:
    """Return the turns that the columns of an account hold."""
    return Turns(
        classes={Priority(name): time for name, time in classes.items()},
        owners={Priority(name): dict(times) for name, times in (owners or {}).items()},
    )


def save(tx: Connection, account_id: UUID, turns: Turns) -> None:
    """Store how much each class and each owner has had; the account is locked."""
    statement = text("UPDATE account SET class_times = :classes, owner_times = :owners WHERE id = :id").bindparams(
        bindparam("classes", type_=JSONB), bindparam("owners", type_=JSONB)
    )
    owners = {p.value: dict(times) for p, times in turns.owners.items()}
    tx.execute(statement, {"id": account_id, "classes": _by_name(turns), "owners": owners})


def save_of_reads(tx: Connection, account_id: UUID, turns: Turns) -> None:
    """Store how much each class has had of the pace of reads; the account is locked."""
    statement = text("UPDATE account SET read_class_times = :classes WHERE id = :id").bindparams(
        bindparam("classes", type_=JSONB)
    )
    tx.execute(statement, {"id": account_id, "classes": _by_name(turns)})


def _by_name(turns: Turns) -> dict[str, float]:
    return {p.value: time for p, time in turns.classes.items()}
