"""One attempt after the other on the same sealed books, each undone: what it was, and what stopped or named it."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from worker.audit.verify import run_checks

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "audit.md"

OTHER_VALUE = {
    "text": "coalesce({}, '') || 'x'",
    "varchar": "coalesce({}, '') || 'x'",
    "int8": "coalesce({}, 0) + 1",
    "int4": "coalesce({}, 0) + 1",
    "int2": "coalesce({}, 0) + 1",
    "float8": "coalesce({}, 0) + 1",
    "bool": "NOT coalesce({}, false)",
    "timestamptz": "coalesce({}, now()) - interval '1 hour'",
    "date": "coalesce({}, current_date) - 1",
    "uuid": "gen_random_uuid()",
    "jsonb": """'{{"other": 1}}'""",
    "bytea": "CASE WHEN length({0}) > 0 THEN set_byte({0}, 0, 255 - get_byte({0}, 0)) ELSE '\\x00' END",
    "_text": "array_append({}, 'x')",
    "_int8": "array_append({}, 1)",
    "_float8": "array_append({}, 1)",
}
"""By type of a column, the SQL of a value that is not the one that is there."""

OTHER_WORD = {
    "account.pause_reason": "'operator', paused_at = now()",
    "batch.priority": "'interactive'",
    "batch.purpose": "'single'",
    "batch.size_policy": "'accept'",
    "batch.state": "'paused'",
    "call.kind": "'download'",
    "call.outcome": "'refused'",
    "credit_entry.kind": "'trim'",
    "credit_entry.source": "'spent'",
    "credit_entry.target": "'spent'",
    "generation.state": "'failed'",
    "hook.kind": "'command', secret = NULL",
    "job.state": "'failed'",
}
"""Another of the few words that a column may have."""

BEST = {
    "job": "state = 'succeeded'",
    "generation": "state = 'succeeded'",
    "batch": "name = 'well'",
    "credit_entry": "kind = 'hold'",
    "call": "kind = 'get'",
}
"""The row of a table that is attacked, where not any will do."""


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a role did, and what came of it."""

    role: str
    what: str
    outcome: str
    """``denied``, ``constraint``, ``no row``, ``recorded``, ``unnoticed``, or the checks that name it."""

    @property
    def is_unnoticed(self) -> bool:
        """Whether nothing stopped it and nothing names it."""
        return self.outcome == "unnoticed"


@dataclass(frozen=True, kw_only=True)
class Books:
    """A database with sealed books."""

    engine: Engine

    @contextmanager
    def undone(self) -> Iterator[Connection]:
        """Yield a superuser's transaction that is rolled back."""
        with self.engine.connect() as tx:
            yield tx
            tx.rollback()

    def columns(self) -> list[tuple[str, str, str]]:
        """Return table, column and type of every column of the schema."""
        with self.undone() as tx:
            rows = tx.execute(
                text("""
                    SELECT c.relname, a.attname, t.typname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
                    JOIN pg_type t ON t.oid = a.atttypid
                    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
                    AND NOT a.attisdropped ORDER BY 1, a.attnum""")
            )
            return [(row[0], row[1], row[2]) for row in rows]

    def tables(self) -> list[str]:
        """Return the name of every table."""
        return list(dict.fromkeys(table for table, _, _ in self.columns()))

    def as_role(self, role: str, what: str, statement: str) -> Attempt:
        """Let a role do it with its rights alone."""
        return self._try(role, what, statement, f"SET LOCAL ROLE {role}")

    def as_superuser(self, what: str, statement: str, *, is_past_triggers: bool = True) -> Attempt:
        """Let a superuser do it, past every trigger and foreign key if asked."""
        mode = "SET LOCAL session_replication_role = replica" if is_past_triggers else "SELECT 1"
        return self._try("superuser", what, statement, mode)

    def _try(self, role: str, what: str, statement: str, before: str) -> Attempt:
        with self.undone() as tx:
            known = tx.execute(text("SELECT count(*) FROM change")).scalar_one()
            tx.execute(text(before))
            try:
                done = tx.exec_driver_sql(statement)
            except DBAPIError as error:
                return Attempt(role=role, what=what, outcome=_refusal(error))
            if done.rowcount == 0 and re.match(r"\s*(UPDATE|DELETE|INSERT)", statement):
                return Attempt(role=role, what=what, outcome="no row")
            tx.execute(text("SET LOCAL session_replication_role = origin" if role == "superuser" else "RESET ROLE"))
            named = _named(tx)
            recorded = tx.execute(text("SELECT count(*) FROM change")).scalar_one() > known
        outcome = ", ".join(named) or ("recorded" if recorded else "unnoticed")
        return Attempt(role=role, what=what, outcome=outcome)


def _named(tx: Connection) -> list[str]:
    tx.execute(text("SET LOCAL ROLE darkroom_app"))
    return [check.name for check in run_checks(tx) if not check.ok]


def _refusal(error: DBAPIError) -> str:
    state = str(getattr(error.orig, "sqlstate", ""))
    if state == "42501":
        return "denied"
    return "constraint" if state.startswith("23") else f"refused: {str(error.orig).splitlines()[0]}"


def change(table: str, column: str, type_: str) -> str:
    """Return the statement that sets a column of one row to another value."""
    value = OTHER_WORD.get(f"{table}.{column}") or OTHER_VALUE[type_].format(column)
    chosen = BEST.get(table, "true")
    return (
        f"UPDATE {table} SET {column} = {value} WHERE ctid = (SELECT min(ctid::text)::tid FROM {table} WHERE {chosen})"
    )


def listed() -> set[str]:
    """Return what the auditor's guide says is not sealed, as ``table.column``, or ``table.*`` for all of them."""
    blocks = re.findall(r"```unsealed\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    found = set()
    for line in "".join(blocks).splitlines():
        table, _, columns = line.partition(":")
        found |= {f"{table.strip()}.{column.strip()}" for column in columns.split(",") if column.strip()}
    return found


def is_listed(what: str, known: Iterable[str]) -> bool:
    """Return whether the guide lists a column of a table, or all of the table."""
    return what in known or f"{what.partition('.')[0]}.*" in known


def report(title: str, attempts: Iterable[Attempt]) -> None:
    """Print what was tried and what stopped or named it (shown with ``-s``)."""
    rows = list(attempts)
    lines = (f"  {each.role:<17} {each.what:<58} {each.outcome}\n" for each in rows)
    sys.stdout.write(f"\n{title}: {len(rows)} attempts\n{''.join(lines)}")
