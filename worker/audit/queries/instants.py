"""Stored instants that cannot be: later than now where they tell what was, or further ahead than any wait lasts.

They come from nodes of before one clock was kept, or from a database whose own clock was set back. What stops work is
put right where nothing is lost by it; what is written once is only reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text

from worker.catalog.rules.schedule import RUN_LEASE
from worker.core.db.proofs import Proof
from worker.core.rules.retry import CLOCK_SLACK
from worker.core.rules.states import LEASES
from worker.intake.queries.messages import CLAIM_LEASE as MESSAGE_LEASE

MOST_BLOCKED = timedelta(minutes=15)
"""The longest a key is closed after a 429, as ``worker.provider.errors.LONGEST_WAIT`` has it."""

MOST_WAIT = timedelta(minutes=15)
"""A step waits for no longer than this from one try to the next, nor a paused account for its next probe."""

_EXAMPLES = 20


def _seconds(span: timedelta) -> str:
    return f"interval '{span.total_seconds():g} seconds'"


_SOON = f"{{now}} + {_seconds(CLOCK_SLACK)}"
_SLOTS = f"{{now}} + {_seconds(timedelta(seconds=10))} + make_interval(secs => 30 / {{rate}})"
_LEASE = f"{{now}} + {_seconds(max(LEASES.values()))}"
_WAIT = f"greatest({{now}}, a.blocked_until) + {_seconds(MOST_WAIT)}"


@dataclass(frozen=True, kw_only=True)
class _Column:
    """An instant, the SQL of the latest that it can be, and the SQL of what it is set to when it is later."""

    name: str
    latest: str = _SOON
    healed: str = "{now}"


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """A table of an account's rows, few enough to be looked through every few seconds."""

    table: str
    label: str
    source: str
    """With the account as ``a`` and the row as ``r``."""
    key: tuple[str, ...]
    columns: tuple[_Column, ...]


_OF_ACCOUNT = "JOIN account a ON a.id = r.account_id"

_OF_KEEPER = "JOIN account a ON a.id = coalesce({schedule}.account_id, a.id)"
"""A schedule without an account is kept by the nodes of any."""
_RUN_LEASE = f"{{now}} + {_seconds(RUN_LEASE)}"
_EARLY = """{now} - interval '1 microsecond' * (
    SELECT count(*) FROM schedule_run o WHERE o.schedule_id = r.schedule_id AND o.due_at > r.due_at)"""

_HEALED = (
    _Rows(
        table="account",
        label="r.name",
        source="account r JOIN account a ON a.id = r.id",
        key=("id",),
        columns=(
            _Column(name="next_slot_at", latest=_SLOTS.format(now="{now}", rate="r.rate")),
            _Column(name="read_next_slot_at", latest=_SLOTS.format(now="{now}", rate="coalesce(r.read_rate, r.rate)")),
            _Column(name="blocked_until", latest=f"{{now}} + {_seconds(MOST_BLOCKED + CLOCK_SLACK)}"),
            _Column(name="closed_at"),
            _Column(name="throttled_at"),
            # A stretch begins when a closed key opens.
            _Column(name="raised_at", latest=f"greatest({{now}}, r.blocked_until) + {_seconds(CLOCK_SLACK)}"),
            _Column(name="paused_at"),
            _Column(name="probe_at", latest=_WAIT),
            _Column(name="wallet_read_at"),
            _Column(name="collected_at"),
            _Column(name="resumed_at"),
        ),
    ),
    _Rows(
        table="step",
        label="r.job_id::text",
        source=f"step r {_OF_ACCOUNT}",
        key=("job_id",),
        columns=(
            _Column(name="due_at", latest=_WAIT),
            # Its holder may still work on it, but for no longer than the longest lease.
            _Column(name="lease_until", latest=f"{_LEASE} + {_seconds(CLOCK_SLACK)}", healed=_LEASE),
            _Column(name="since"),
            _Column(name="looked_at"),
        ),
    ),
    _Rows(
        table="maintenance",
        label="r.kind",
        source=f"maintenance r {_OF_ACCOUNT}",
        key=("account_id", "kind"),
        columns=(
            _Column(name="due_at", latest=f"{_SOON} + make_interval(secs => r.every_s)"),
            _Column(name="last_run_at"),
            _Column(name="done_at"),
        ),
    ),
    _Rows(
        table="upload",
        label="r.reference_hash",
        source=f"upload r {_OF_ACCOUNT}",
        key=("account_id", "reference_hash"),
        columns=(
            # Its true age is unknown: it is as old as can be, and the reference is uploaded once more.
            _Column(name="uploaded_at", healed="CAST('epoch' AS timestamptz)"),
            _Column(name="lease_until", latest=f"{_LEASE} + {_seconds(CLOCK_SLACK)}", healed=_LEASE),
        ),
    ),
    _Rows(
        table="waiting_message",
        label="r.name",
        source=f"waiting_message r {_OF_ACCOUNT}",
        key=("id",),
        columns=(
            _Column(name="received_at"),
            _Column(name="due_at", latest=f"{{now}} + {_seconds(MESSAGE_LEASE + CLOCK_SLACK)}"),
        ),
    ),
    _Rows(
        table="prompt_failure",
        label="encode(r.prompt_hash, 'hex')",
        source=f"prompt_failure r {_OF_ACCOUNT}",
        key=("account_id", "model", "prompt_hash"),
        columns=(_Column(name="first_failed_at"), _Column(name="last_failed_at")),
    ),
    _Rows(
        table="schedule",
        label="r.name",
        source=f"schedule r {_OF_KEEPER.format(schedule='r')}",
        key=("id",),
        # What fell due before it is healed is not made up for: since when it truly counts is unknown.
        columns=(_Column(name="counts_from"), _Column(name="paused_at")),
    ),
    _Rows(
        table="schedule_run",
        label="r.id::text",
        source=f"schedule_run r JOIN schedule s ON s.id = r.schedule_id {_OF_KEEPER.format(schedule='s')}",
        key=("id",),
        columns=(
            # A fire time that was claimed too early hides all before it. The run stays, dated now, and its fire time
            # comes again. Two of one schedule must stay apart and in their order.
            _Column(name="due_at", healed=_EARLY),
            _Column(name="started_at"),
            _Column(name="lease_until", latest=_RUN_LEASE + f" + {_seconds(CLOCK_SLACK)}", healed=_RUN_LEASE),
            _Column(name="checked_at"),
        ),
    ),
)


@dataclass(frozen=True, kw_only=True)
class Impossible:
    """One instant that cannot be."""

    table: str
    row: str
    column: str
    instant: datetime

    def __str__(self) -> str:
        """Name it in a few words."""
        return f"{self.table}.{self.column} of {self.row} is {self.instant:%Y-%m-%d %H:%M:%S} UTC"


def _condition(column: _Column, now: str) -> str:
    return f"r.{column.name} > {column.latest.format(now=now)}"


def _find(rows: _Rows, now: str, where: str) -> str:
    values = ", ".join(f"('{c.name}', r.{c.name}, {_condition(c, now)})" for c in rows.columns)
    return f"""
        SELECT '{rows.table}' AS "table", {rows.label} AS row, v.name AS "column", v.instant FROM {rows.source}
        CROSS JOIN LATERAL (VALUES {values}) v (name, instant, is_late) WHERE v.is_late AND {where}"""


def _heal(rows: _Rows) -> str:
    now = "CAST(:now AS timestamptz)"
    keys = ", ".join(rows.key)
    is_same = " AND ".join(f"t.{key} = late.{key}" for key in rows.key)
    chosen = ", ".join(
        f"CASE WHEN {_condition(c, now)} THEN {c.healed.format(now=now)} ELSE r.{c.name} END AS new_{c.name}"
        for c in rows.columns
    )
    is_late = " OR ".join(_condition(c, now) for c in rows.columns)
    changes = ", ".join(f"{c.name} = late.new_{c.name}" for c in rows.columns)
    return f"""
        WITH late AS MATERIALIZED (
            SELECT {", ".join(f"r.{key}" for key in rows.key)}, {chosen} FROM {rows.source}
            WHERE a.id = :account_id AND ({is_late}) ORDER BY {keys} FOR NO KEY UPDATE OF r SKIP LOCKED)
        UPDATE {rows.table} t SET {changes} FROM late WHERE {is_same}"""


_FIND = text(
    " UNION ".join(_find(rows, "CAST(:now AS timestamptz)", "a.id = :account_id") for rows in _HEALED)
    + f" LIMIT {_EXAMPLES}"
)
_HEAL = tuple(text(_heal(rows)) for rows in _HEALED)


def heal(tx: Connection, account_id: UUID, *, now: datetime) -> list[Impossible]:
    """Correct impossible instants that stop the account's work, and return the first found; locked rows are skipped."""
    values = {"account_id": account_id, "now": now}
    found = [_impossible(row) for row in tx.execute(_FIND, values).mappings()]
    for statement in _HEAL if found else ():
        tx.execute(statement, values)
    return found


# Each instant tells what was. They are kept as they are: they are bound by seals, or belong to a job's history.
_KEPT: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("credit_entry", "id::text", ("posted_at",)),
    ("seal", "id::text", ("sealed_at",)),
    ("wallet_reading", "id::text", ("read_at", "recorded_at")),
    ("generation_reading", "id::text", ("read_at",)),
    ("change", "id::text", ("changed_at",)),
    ("call", "id::text", ("started_at", "ended_at", "recorded_at")),
    ("batch", "id::text", ("created_at",)),
    ("generation", "id::text", ("admitted_at", "first_sent_at", "last_sent_at", "accepted_at", "ended_at")),
    ("job", "id::text", ("ended_at",)),
    ("result", "job_id::text", ("stored_at", "recorded_at")),
    ("schedule_run", "id::text", ("ended_at",)),
)
_BY_NUMBER = frozenset({"credit_entry", "seal", "call"})
"""Tables whose newest rows are found by their id, in the order of writing."""
_NEWEST = 1_000

_SERVER_NOW = "clock_timestamp()"


def _find_kept(table: str, label: str, columns: tuple[str, ...], source: str) -> str:
    values = ", ".join(f"('{name}', r.{name})" for name in columns)
    return f"""
        SELECT '{table}' AS "table", r.{label} AS row, v.name AS "column", v.instant FROM {source} r
        CROSS JOIN LATERAL (VALUES {values}) v (name, instant)
        WHERE v.instant > {_SOON.format(now=_SERVER_NOW)}"""


def _everything() -> Iterator[str]:
    yield from (_find(rows, _SERVER_NOW, "true") for rows in _HEALED)
    yield from (_find_kept(table, label, columns, table) for table, label, columns in _KEPT)


def _at_a_glance() -> Iterator[str]:
    yield from (_find(rows, _SERVER_NOW, "true") for rows in _HEALED)
    for table, label, columns in _KEPT:
        if table in _BY_NUMBER:
            newest = f"(SELECT * FROM {table} ORDER BY id DESC LIMIT {_NEWEST})"
            yield _find_kept(table, label, columns, newest)


_NEXT_STEP = """
    CASE WHEN "table" IN ({healed}) THEN 'nothing: a running node puts it right within seconds'
        ELSE 'nothing can change it, and work continues: keep the server''s clock in step (NTP), and upgrade nodes of'
            ' before Darkroom kept one clock' END"""
_HEALED_NAMES = ", ".join(f"'{rows.table}'" for rows in _HEALED)

PROOFS: tuple[Proof, ...] = (
    Proof(
        name="instants",
        rule="no recorded time is in the future, and nothing is due later than the longest wait",
        query=f"""
            SELECT found.*, {_NEXT_STEP.format(healed=_HEALED_NAMES)} AS next_step
            FROM ({" UNION ".join(_everything())}) found""",
    ),
)

_GLANCE = text(f"SELECT * FROM ({' UNION '.join(_at_a_glance())}) found LIMIT {_EXAMPLES}")


def at_a_glance(tx: Connection) -> list[Impossible]:
    """Return the first impossible instants among the live rows, and the newest of those that are written once."""
    return [_impossible(row) for row in tx.execute(_GLANCE).mappings()]


def is_healed(found: Impossible) -> bool:
    """Return whether a running node puts it right by itself."""
    return found.table in {rows.table for rows in _HEALED}


def _impossible(row: Mapping[str, Any] | Any) -> Impossible:
    return Impossible(**row)
