"""Opening the database, and with it the clock, the ids and the account of a process.

Apart from ``wiring``, which also puts together provider, store and node: for a command that only reads the database,
importing those takes as long as everything else that it does.
"""

from uuid import UUID

from worker.accounts.queries import accounts, pools
from worker.core.db.clock import DatabaseClock, TimeOrderedIds
from worker.core.db.session import Database
from worker.core.rules.errors import DarkroomError
from worker.settings import Settings


class NotConfigured(DarkroomError):
    """A setting is missing without which this process cannot work."""

    error_code = "not_configured"
    exit_code = 2


clock = DatabaseClock()
"""The time of the database that this process opened last: the only clock for what is stored or compared."""

new_id = TimeOrderedIds(clock.now_s)
"""Makes UUIDv7 ids by that clock, so that they sort alike on every machine."""


def database(settings: Settings, *, connections: int = 5, answer_s: float = 75.0) -> Database:
    """Open the database that the settings name."""
    if settings.database_url is None:
        raise NotConfigured(
            "DARKROOM_DATABASE_URL is not set: start the embedded one with `darkroom services start`"
            " and set what it prints"
        )
    opened = Database(settings.database_url.get_secret_value(), connections=connections, answer_s=answer_s)
    clock.follow(opened)
    return opened


def account(settings: Settings, db: Database) -> UUID:
    """Return the id of the account that the settings name; creates it, and others that they name, if new."""
    with db.transaction() as tx:
        for each in settings.accounts:
            pools.set_pools(tx, accounts.ensure(tx, account_id=new_id(), name=each.account, now=clock()), each.pools)
        return accounts.ensure(tx, account_id=new_id(), name=settings.account, now=clock())
