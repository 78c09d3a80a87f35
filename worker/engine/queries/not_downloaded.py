"""Images that are paid for and not downloaded yet: few rows, since only live jobs have a step."""

from uuid import UUID

from sqlalchemy import Connection, text

from worker.engine.rules.not_downloaded import NotDownloaded

_COUNT = """
    SELECT count(*) AS images, min(s.since) AS since
    FROM step s JOIN generation g ON g.id = s.generation_id AND g.state = 'succeeded'
    WHERE s.kind = 'collect'"""


def of_batch(tx: Connection, batch_id: UUID) -> NotDownloaded:
    """Return those of one batch."""
    row = tx.execute(text(f"{_COUNT} AND g.batch_id = :id"), {"id": batch_id}).one()
    return NotDownloaded(count=row.images, since=row.since)


def of_account(tx: Connection, name: str) -> NotDownloaded:
    """Return those of the account with that name."""
    row = tx.execute(
        text(f"{_COUNT} AND s.account_id = (SELECT id FROM account WHERE name = :name)"), {"name": name}
    ).one()
    return NotDownloaded(count=row.images, since=row.since)
