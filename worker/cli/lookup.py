"""Which batch a person means."""

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from worker.accounts import opening
from worker.batches.queries import overview
from worker.batches.queries.overview import Overview
from worker.cli.errors import CliError
from worker.core.db.session import Database
from worker.core.rules.fault import plain
from worker.engine.queries import batches
from worker.engine.queries.batches import BatchRow
from worker.settings import load

_NAMESAKES = 10
"""So many batches of one name are listed at the most."""


def batch(tx: Connection, name: str) -> BatchRow:
    """Return the one matching batch; raise CliError when there is none or more than one."""
    found = overview.find(tx, name)
    if not found:
        raise CliError(f"there is no batch {plain(name)!r}{_elsewhere(name)}: `darkroom status` lists the newest ones")
    if len(found) > 1:
        shown = ", ".join(str(row.id) for row in found)
        raise CliError(f"{plain(name)!r} may be {shown}: give more characters of the id")
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


def overview_of(database: Database, row: BatchRow) -> Overview:
    """Return the batch's overview as it is now."""
    with database.transaction() as tx:
        return overview.read(tx, row, now=opening.clock(), wallet_floor=load().wallet_floor)
