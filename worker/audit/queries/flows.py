"""Movements of the ledger, added up by period, batch, owner, catalog and model; readings of wallets beside them."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from worker.audit.queries.query import Query, Value
from worker.audit.rules.reporting import By


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Which entries a report looks at; None: no limit of that kind. Days are whole days, UTC, both included."""

    as_of: datetime
    owner: str | None = None
    batch_id: UUID | None = None
    from_day: date | None = None
    to_day: date | None = None

    def values(self) -> dict[str, Value]:
        """Return the values of the limits that are set, by the names that the queries use."""
        limits: dict[str, Value] = {
            "owner": self.owner,
            "batch_id": self.batch_id,
            "from_day": self.from_day,
            "to_day": self.to_day,
        }
        return {"as_of": self.as_of} | {name: value for name, value in limits.items() if value is not None}

    def conditions(self) -> str:
        """Return the limits as SQL over ``b`` (the batch), to go behind a WHERE that has a condition already."""
        owner = " AND b.owner = :owner" if self.owner is not None else ""
        batch = " AND b.id = :batch_id" if self.batch_id is not None else ""
        return owner + batch


# Sealed entries come from the roll-up, which `darkroom audit verify` proves against them; the rest are few. Of a seal
# that is younger than the instant the whole days before it count, and of its last day the entries themselves.
_SEALED = """
    SELECT r.day, r.batch_id, r.model, r.kind, r.source, r.target, r.entries, r.credits
    FROM ledger_rollup r
    WHERE (r.seal_id <= (SELECT id FROM seal WHERE sealed_at <= :as_of ORDER BY id DESC LIMIT 1)
           OR r.day < (CAST(:as_of AS timestamptz) AT TIME ZONE 'UTC')::date)"""
# The bound above is that of all entries: PostgreSQL takes an unknown range for a small part of a table, as it is here,
# and an unknown bound for a third, for which it would read all of it. Later seals reach further, so that the last one
# at an instant says it for all before. OFFSET makes the bounds a row that no parallel worker may read: a small part of
# a large table is thought large enough for workers, whose start takes longer than all the rest.
_UNSEALED = """(
    SELECT n.* FROM (
        SELECT
            coalesce((SELECT last_entry_id FROM seal WHERE sealed_at <= :as_of ORDER BY id DESC LIMIT 1), 0) AS after,
            (SELECT max(id) FROM credit_entry) AS until,
            coalesce((SELECT last_entry_id FROM seal ORDER BY id DESC LIMIT 1), 0) AS sealed
        OFFSET 0) u
    JOIN credit_entry n ON n.id > u.after AND n.id <= u.until AND n.posted_at <= :as_of
        AND (n.posted_at >= date_trunc('day', CAST(:as_of AS timestamptz), 'UTC') OR n.id > u.sealed)) e"""


def _flow(*, since: str = "") -> str:
    """Return what moved by day, batch and movement, without the model of what no seal binds yet."""
    return f"""{_SEALED}{since}
    UNION ALL
    SELECT (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, NULL, e.kind, e.source, e.target, count(*),
        sum(e.credits)
    FROM {_UNSEALED}
    GROUP BY 1, 2, 4, 5, 6"""


def _model_flow(*, since: str = "") -> str:
    """Return the same with each model."""
    return f"""{_SEALED}{since}
    UNION ALL
    SELECT (e.posted_at AT TIME ZONE 'UTC')::date, e.batch_id, j.model, e.kind, e.source, e.target, count(*),
        sum(e.credits)
    FROM {_UNSEALED} JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    GROUP BY 1, 2, 3, 4, 5, 6"""


FLOW = _flow()
RAW_FLOW = """
    SELECT (e.posted_at AT TIME ZONE 'UTC')::date AS day, e.batch_id, j.model, e.kind, e.source, e.target, 1 AS entries,
        e.credits
    FROM credit_entry e JOIN generation g ON g.id = e.generation_id JOIN job j ON j.id = g.job_id
    WHERE e.posted_at <= :as_of"""
"""The same from the entries alone."""
# The account of a batch is that of all its generations, unless its jobs are spread over a pool: then the sums of its
# sealed entries by account lie beside the roll-up, and of those that no seal binds yet the generation says it.
_ACCOUNT_FLOW = f"""
    SELECT b.account_id, f.kind, f.source, f.target, f.credits FROM ({FLOW}) f
    JOIN batch b ON b.id = f.batch_id AND b.pool IS NULL
    UNION ALL
    SELECT r.account_id, r.kind, r.source, r.target, r.credits FROM pool_rollup r JOIN seal s ON s.id = r.seal_id
    WHERE s.sealed_at <= :as_of OR r.day < (CAST(:as_of AS timestamptz) AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT g.account_id, e.kind, e.source, e.target, e.credits
    FROM {_UNSEALED} JOIN generation g ON g.id = e.generation_id
    JOIN batch b ON b.id = e.batch_id AND b.pool IS NOT NULL"""
# A plan names its batches in the transaction that makes them, and never others. They are joined once, for a subquery
# would be made for each line of the roll-up; grouped, so that nothing is counted twice whatever plans say.
_CATALOG_OF = "coalesce(k.name, 'no catalog')"
_CATALOGS = """
        LEFT JOIN (
            SELECT n.id, min(c.name) AS name FROM catalog_plan p JOIN catalog c ON c.id = p.catalog_id
            CROSS JOIN LATERAL (VALUES (p.batch_id), (p.sample_batch_id)) n (id) WHERE n.id IS NOT NULL
            GROUP BY n.id) k ON k.id = b.id"""
_KEYS = {
    By.DAY: "to_char(f.day, 'YYYY-MM-DD')",
    By.MONTH: "to_char(f.day, 'YYYY-MM')",
    By.BATCH: "b.id::text",
    By.OWNER: "b.owner",
    By.CATALOG: _CATALOG_OF,
    By.MODEL: "f.model",
}
PERIODS = frozenset({By.DAY, By.MONTH})
"""Lines of a statement that follow each other in time: each begins with what the one before ended with."""
_OF_ENTRIES = PERIODS | {By.MODEL}
"""Lines that the roll-up names itself."""
_OPENED = _OF_ENTRIES | {By.OWNER}
"""Lines whose sums before a month are kept (``ledger_opening``); of batches and catalogs all days are read."""
_LABELS = {By.BATCH: ("b.name", "b.owner")}


def movements(by: By, scope: Scope, *, is_raw: bool = False) -> Query:
    """Ask for the sums of each line of a statement; ``is_opening`` marks what was before the first day.

    Periods follow each other, so what was before the first day is one sum under an empty key.
    ``is_raw`` asks the entries alone, and neither the roll-up nor the openings of months; the rows are the same.
    """
    is_opened = scope.from_day is not None and scope.batch_id is None and by in _OPENED and not is_raw
    since = f" AND r.day >= coalesce({_newest_opening(scope)}, '-infinity')" if is_opened else ""
    source = RAW_FLOW if is_raw else _model_flow(since=since) if by is By.MODEL else _flow(since=since)
    name, owner = _LABELS.get(by, ("NULL::text", "NULL::text"))
    opening = "f.day < :from_day" if scope.from_day else "false"
    key = f"CASE WHEN {opening} THEN '' ELSE {_KEYS[by]} END" if by in PERIODS else _KEYS[by]
    last = " AND f.day <= :to_day" if scope.to_day else ""
    return Query(
        name=f"movements by {by}",
        sql=f"""
    SELECT * FROM (
        SELECT m.key, m.name, m.owner, m.is_opening, m.kind, m.source, m.target, sum(m.entries)::bigint AS entries,
            sum(m.credits)::bigint AS credits
        FROM (
            SELECT {key} AS key, {name} AS name, {owner} AS owner, {opening} AS is_opening, f.kind, f.source, f.target,
                f.entries, f.credits
            FROM ({source}) f
            {_batches(by, scope)}
            WHERE true{last}{scope.conditions()}{_opened(by, scope) if is_opened else ""}) m
        GROUP BY 1, 2, 3, 4, m.kind, m.source, m.target) m
    ORDER BY key COLLATE "C", is_opening DESC, kind COLLATE "C", source COLLATE "C", target COLLATE "C"
    """,
        values=scope.values(),
    )


def _opened(by: By, scope: Scope) -> str:
    """Return these sums as rows to come after those of the flow."""
    key = {By.OWNER: "o.owner", By.MODEL: "o.model"}.get(by, "''")
    owner = " AND o.owner = :owner" if scope.owner is not None else ""
    return f"""
            UNION ALL
            SELECT {key}, NULL, NULL, true, o.kind, o.source, o.target, o.entries, o.credits
            FROM ledger_opening o WHERE o.month = {_newest_opening(scope)}{owner}"""


def _newest_opening(scope: Scope) -> str:
    """Return the last month as whose first day all entries before it belong to the opening of the report."""
    last = ", CAST(:to_day AS date) + 1" if scope.to_day else ""
    as_of = "(CAST(:as_of AS timestamptz) AT TIME ZONE 'UTC')::date"
    return f"(SELECT max(n.month) FROM ledger_opening n WHERE n.month <= least(CAST(:from_day AS date), {as_of}{last}))"


def spent(by: By, scope: Scope) -> Query:
    """Ask what was spent by each day, owner, catalog or model between ``from_day`` and ``to_day``, less corrections.

    Only the roll-up of these days is read, where a statement adds up all that was before them.
    """
    source = _model_flow() if by is By.MODEL else FLOW
    last = " AND f.day <= :to_day" if scope.to_day else ""
    return Query(
        name=f"spent by {by}",
        sql=f"""
    SELECT {_KEYS[by]} AS key,
        sum(f.credits * ((f.target = 'spent')::int - (f.source = 'spent')::int))::bigint AS spent
    FROM ({source}) f {_batches(by, scope)}
    WHERE f.day >= :from_day{last} AND 'spent' IN (f.source, f.target){scope.conditions()}
    GROUP BY 1 ORDER BY 1
    """,
        values=scope.values(),
    )


def _batches(by: By, scope: Scope) -> str:
    """Return the join with the batches, where the line or a limit is about them."""
    if by in _OF_ENTRIES and not scope.conditions():
        return ""
    return f"JOIN batch b ON b.id = f.batch_id{_CATALOGS if by is By.CATALOG else ''}"


def per_batch(scope: Scope) -> Query:
    """Ask for the sums of each batch between each two accounts."""
    return Query(
        name="accounts per batch",
        sql=f"""
    SELECT b.id AS batch_id, b.name, b.owner, f.source, f.target, sum(f.entries)::bigint AS entries,
        sum(f.credits)::bigint AS credits
    FROM ({FLOW}) f JOIN batch b ON b.id = f.batch_id
    WHERE true{scope.conditions()}
    GROUP BY b.id, b.name, b.owner, f.source, f.target
    ORDER BY b.id, f.source COLLATE "C", f.target COLLATE "C"
    """,
        values=scope.values(),
    )


def per_account(scope: Scope) -> Query:
    """Ask what of each account is reserved and spent, and how much of both together is due to corrections."""
    moved = """
        CASE WHEN f.target IN ('reserved', 'spent') THEN f.credits ELSE 0 END
        - CASE WHEN f.source IN ('reserved', 'spent') THEN f.credits ELSE 0 END"""
    return Query(
        name="reserved and spent per account",
        sql=f"""
    SELECT a.id AS account_id, a.name AS account,
        sum(f.credits * ((f.target = 'reserved')::int - (f.source = 'reserved')::int))::bigint AS reserved,
        sum(f.credits * ((f.target = 'spent')::int - (f.source = 'spent')::int))::bigint AS spent,
        coalesce(sum({moved}) FILTER (WHERE f.kind = 'correct'), 0)::bigint AS corrected
    FROM ({_ACCOUNT_FLOW}) f JOIN account a ON a.id = f.account_id
    GROUP BY a.id, a.name ORDER BY a.name COLLATE "C"
    """,
        values={"as_of": scope.as_of},
    )


def rolled_up(scope: Scope) -> Query:
    """Ask per kind for what statements are made of and for the entries, so that one can be held against the other."""
    return Query(
        name="roll-up against entries",
        sql=f"""
    SELECT coalesce(r.kind, e.kind) AS kind, coalesce(r.entries, 0) AS rollup_entries,
        coalesce(r.credits, 0) AS rollup_credits, coalesce(e.entries, 0) AS raw_entries,
        coalesce(e.credits, 0) AS raw_credits
    FROM (SELECT kind, sum(entries)::bigint AS entries, sum(credits)::bigint AS credits FROM ({FLOW}) f GROUP BY kind) r
    FULL JOIN (SELECT kind, count(*) AS entries, sum(credits)::bigint AS credits FROM credit_entry
               WHERE posted_at <= :as_of GROUP BY kind) e ON e.kind = r.kind
    ORDER BY 1
    """,
        values={"as_of": scope.as_of},
    )


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
    """Ask for the credits that left and returned between each two wallet readings, in all and close to either reading.

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
