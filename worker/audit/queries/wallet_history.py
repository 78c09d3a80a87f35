"""What the wallets held at each reading, and what our entries moved between the readings."""

from datetime import datetime

from worker.audit.queries.query import Query


def readings(*, as_of: datetime) -> Query:
    """Ask for every reading of every account, oldest first."""
    return Query(
        name="wallet readings",
        sql="""
    SELECT w.account_id, a.name AS account, w.read_at, w.credits
    FROM wallet_reading w JOIN account a ON a.id = w.account_id
    WHERE w.recorded_at <= :as_of ORDER BY a.name COLLATE "C", w.read_at, w.id
    """,
        values={"as_of": as_of},
    )


# An entry at the very instant of a reading counts to the interval that ends there.
def moved(*, as_of: datetime, near_s: int) -> Query:
    """Ask what left and came back between each two readings of an account, in all and near either reading.

    Row ``number`` n is about the time after the n-th reading, 0 about the time before the first. Only entries that
    the wallet sees are counted: what the provider reserved, took beyond that, and gave back.
    """
    return Query(
        name="entries between readings",
        sql="""
    WITH happened AS (
        SELECT g.account_id, e.posted_at AS at, false AS is_reading,
            CASE WHEN e.kind = 'release' THEN 0 ELSE e.credits END AS spent,
            CASE WHEN e.kind = 'release' THEN e.credits ELSE 0 END AS released
        FROM credit_entry e JOIN generation g ON g.id = e.generation_id
        WHERE e.posted_at <= :as_of AND e.kind IN ('reserve', 'top_up', 'overrun', 'release')
        UNION ALL
        SELECT account_id, read_at, true, 0, 0 FROM wallet_reading WHERE recorded_at <= :as_of),
    placed AS (
        SELECT *, count(*) FILTER (WHERE is_reading) OVER (PARTITION BY account_id ORDER BY at, is_reading
            ROWS UNBOUNDED PRECEDING) AS number
        FROM happened),
    reading AS (
        SELECT account_id, read_at, row_number() OVER (PARTITION BY account_id ORDER BY read_at) AS number
        FROM wallet_reading WHERE recorded_at <= :as_of)
    SELECT p.account_id, p.number, sum(p.spent)::bigint AS spent, sum(p.released)::bigint AS released,
        coalesce(sum(p.spent) FILTER (WHERE p.at <= b.read_at + make_interval(secs => :near_s)), 0)::bigint
            AS spent_after,
        coalesce(sum(p.released) FILTER (WHERE p.at <= b.read_at + make_interval(secs => :near_s)), 0)::bigint
            AS released_after,
        coalesce(sum(p.spent) FILTER (WHERE p.at >= n.read_at - make_interval(secs => :near_s)), 0)::bigint
            AS spent_before,
        coalesce(sum(p.released) FILTER (WHERE p.at >= n.read_at - make_interval(secs => :near_s)), 0)::bigint
            AS released_before
    FROM placed p
    LEFT JOIN reading b ON b.account_id = p.account_id AND b.number = p.number
    LEFT JOIN reading n ON n.account_id = p.account_id AND n.number = p.number + 1
    WHERE NOT p.is_reading
    GROUP BY p.account_id, p.number ORDER BY p.account_id, p.number
    """,
        values={"as_of": as_of, "near_s": near_s},
    )
