"""Which batch a person means, and how it is shown as JSON."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.accounts import opening
from worker.batches.queries import overview
from worker.batches.queries.overview import Overview
from worker.cli.errors import CliError
from worker.core.db.session import Database
from worker.core.rules.fault import Fault, plain
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow
from worker.settings import load

_NAMESAKES = 10
"""So many batches of one name are listed at the most."""


def batch(tx: Connection, name: str) -> BatchRow:
    """Return the one batch that is meant; raise CliError when there is none or more than one."""
    found = overview.find(tx, name)
    if not found:
        raise CliError(f"there is no batch {plain(name)!r}{_elsewhere(name)}: `darkroom status` lists the newest ones")
    if len(found) > 1:
        shown = ", ".join(str(row.id) for row in found)
        raise CliError(f"{plain(name)!r} may be {shown}: give more of the id")
    return found[0]


def _elsewhere(name: str) -> str:
    """Return that the other mode of this home has such a batch, if so."""
    from worker.cli.context import other_mode

    found = other_mode()
    if found is None:
        return ""
    url, mode, how = found
    database = Database(url, connections=1)
    try:
        with database.transaction() as tx:
            is_there = bool(overview.find(tx, name))
    except DBAPIError:
        return ""
    finally:
        database.close()
    return f" here; there is one in {mode} mode ({how})" if is_there else ""


def one_batch(tx: Connection, name: str) -> BatchRow:
    """Return the one batch of this name for a command that spends; raise CliError with the ids if several have it."""
    found = batch(tx, name)
    if found.name != name or name in {str(found.id), found.token}:
        return found
    namesakes = batches.by_name(tx, name, limit=_NAMESAKES)
    if len(namesakes) > 1:
        shown = ", ".join(f"{row.id} ({row.created_at:%Y-%m-%d %H:%M})" for row in namesakes)
        raise CliError(f"several batches are called {plain(name)!r}: give the id of one of them: {shown}")
    return found


def look(database: Database, row: BatchRow) -> Overview:
    """Return the batch's overview as it is now."""
    with database.transaction() as tx:
        return overview.read(tx, row, now=opening.clock(), wallet_floor=load().wallet_floor)


def as_json(found: Overview) -> dict[str, Any]:
    """The batch as scripts read it."""
    row = found.batch
    return {
        "batch": str(row.id),
        "name": row.name,
        "state": found.state,
        "done": found.is_done,
        "jobs": {state.value: count for state, count in found.jobs.items()},
        "credits": {
            "cap": row.credit_cap,
            "held": found.held,
            "reserved": found.reserved,
            "spent": found.spent,
        },
        "not_downloaded": _not_downloaded(found),
        "not_as_ordered": [asdict(each) for each in found.not_as_ordered],
        "waiting_for": _waiting_for(found),
        "owner": row.owner,
        "purpose": row.purpose,
        "priority": row.priority,
        "deadline": instant(row.deadline_at),
        "token": row.token,
        "size": row.size,
        "created_at": row.created_at.isoformat(),
    }


def instant(at: datetime | None) -> str | None:
    """An instant as scripts read it."""
    return None if at is None else at.isoformat()


def _not_downloaded(found: Overview) -> dict[str, Any]:
    since = found.not_downloaded.since
    return {"count": found.not_downloaded.count, "since": None if since is None else since.isoformat()}


def _waiting_for(found: Overview) -> dict[str, str] | None:
    if found.obstacle is None:
        return None
    return {"reason": found.obstacle.reason, "next_step": found.obstacle.next_step}


def fault_as_json(fault: Fault) -> dict[str, Any]:
    """One fault as scripts read it."""
    return {
        "line": fault.line,
        "key": fault.key,
        "field": fault.field,
        "reason": fault.reason,
        "permitted": list(fault.permitted),
    }
