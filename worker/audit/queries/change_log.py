"""What persons changed and decided: caps, limits, pauses, generations in doubt, corrections."""

from datetime import datetime

from worker.audit.queries.query import Query


def changes(*, as_of: datetime, subject: str | None) -> Query:
    """Ask for every change up to the instant, oldest first; ``subject`` may be the beginning of one."""
    limit = " AND starts_with(h.subject, :subject)" if subject is not None else ""
    return Query(
        name="changes",
        sql=f"""
    SELECT h.changed_at, h.subject, h.field, h.before, h.after, h.actor, h.reason, h.id
    FROM change h WHERE h.changed_at <= :as_of{limit} ORDER BY h.changed_at, h.id
    """,
        values={"as_of": as_of} if subject is None else {"as_of": as_of, "subject": subject},
    )
