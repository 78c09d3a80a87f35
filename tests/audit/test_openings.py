"""What a month opened with is kept once the month before is over, for reports that begin there, and is proved."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from tests.audit.conftest import Tamper, post, seal
from tests.fixtures.databases import alembic_config
from tests.pipeline.node import Node
from worker.audit import sealing
from worker.audit.queries import flows
from worker.audit.queries.flows import Scope
from worker.audit.queries.query import Query
from worker.audit.reports import ReportQuery
from worker.audit.reports.statement import statement
from worker.audit.rules import seal as chain
from worker.audit.rules.reporting import By, ReportName
from worker.audit.verify import verify
from worker.engine import dispatch

OPENINGS = (
    "SELECT month, sum(entries)::int AS entries, sum(credits)::int AS credits FROM ledger_opening GROUP BY 1 ORDER BY 1"
)
YEARS = """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, actor, reason, posted_at)
    SELECT c.batch_id, c.generation_id, 'correct', n.source, n.target, 1, 'Ada', 'daily', at
    FROM (SELECT * FROM credit_entry LIMIT 1) c
    CROSS JOIN generate_series('2020-12-01 09:00+00'::timestamptz, '2025-11-30', '1 day') at
    CROSS JOIN (VALUES ('cap', 'held'), ('held', 'spent'), ('spent', 'cap')) n (source, target) ORDER BY at
    RETURNING id"""
"""Three corrections on each day of five years."""
READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::int FROM pg_stat_xact_user_tables
    WHERE relname IN ('ledger_rollup', 'ledger_opening', 'seal', 'batch', 'credit_entry')"""


def pass_months(node: Node, count: int) -> None:
    """Let so many months pass, with a hold and a correction in each, and a seal at its end."""
    services = replace(node.services, policies=replace(node.services.policies, unproved_window=None))
    for number in range(count):
        node.clock.advance(timedelta(days=31))
        node.submit({"prompt": f"month {number}"}, owner=f"owner {number % 2}", name=f"month {number}")
        dispatch.run(services)  # sends those of before anew, for which nobody works here
        node.clock.pause(1)
        dispatch.run(services)
        post(node, node.clock())
        seal(node)


def broken(node: Node) -> set[str]:
    """Return which of the proofs of the roll-up and the openings do not hold."""
    with node.services.database.engine.connect() as tx:
        return {check.name for check in verify(tx).checks if not check.ok} & {"rollup", "openings", "books_closed"}


def asked(by: By, as_of: datetime, **limits: Any) -> ReportQuery:
    return ReportQuery(report=ReportName.STATEMENT, as_of=as_of, by=by, **limits)


@pytest.fixture
def months(node: Node) -> Node:
    """Return a ledger of 22 November 2020 and the five months after it, sealed in each."""
    pass_months(node, 5)
    return node


@pytest.fixture
def years(node: Node, superuser: Engine, monkeypatch: pytest.MonkeyPatch) -> Node:
    """Return a ledger with corrections on each day of five years, under 110 seals."""
    monkeypatch.setattr(chain, "ENTRIES_PER_SEAL", 50)
    node.query(YEARS)
    node.clock.now = datetime(2025, 12, 1, tzinfo=UTC)
    seal(node)
    with superuser.begin() as tx:
        tx.execute(text("ANALYZE"))
    return node


def test_a_month_opens_with_all_that_was_posted_before_it(months: Node) -> None:
    raw = months.query("""
        SELECT m.month, count(*)::int AS entries, sum(e.credits)::int AS credits
        FROM (SELECT DISTINCT month FROM ledger_opening) m
        JOIN credit_entry e ON (e.posted_at AT TIME ZONE 'UTC')::date < m.month GROUP BY 1 ORDER BY 1""")

    assert [row["month"] for row in raw] == [date(2020, 12, 1), *(date(2021, month, 1) for month in (1, 2, 3, 4))]
    assert months.query(OPENINGS) == raw
    assert broken(months) == set()


def test_a_month_is_not_opened_before_a_seal_reaches_into_it(node: Node) -> None:
    node.clock.now = datetime(2020, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)
    post(node, node.clock())
    seal(node)
    before = node.query(OPENINGS)

    node.clock.advance(timedelta(microseconds=1))
    post(node, node.clock())
    seal(node)

    assert before == []
    assert node.query(OPENINGS) == [{"month": date(2020, 12, 1), "entries": 5, "credits": 14}]
    assert broken(node) == set()


def test_months_without_a_seal_are_opened_by_the_next(node: Node) -> None:
    seal(node)
    node.clock.now = datetime(2021, 3, 5, tzinfo=UTC)
    post(node, node.clock())

    seal(node)

    assert [row["month"].month for row in node.query(OPENINGS)] == [12, 1, 2, 3]
    assert {row["entries"] for row in node.query(OPENINGS)} == {4}
    assert broken(node) == set()


def test_months_are_opened_when_several_seals_close_the_books_at_once(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "ENTRIES_PER_SEAL", 3)

    sealing.close_books(node.services.database, datetime(2020, 12, 2, tzinfo=UTC))

    assert node.query("SELECT count(*) AS seals FROM seal") == [{"seals": 2}]
    assert node.query(OPENINGS) == [{"month": date(2020, 12, 1), "entries": 4, "credits": 13}]


def test_an_auditors_closing_of_the_books_opens_months_too(node: Node, superuser: Engine) -> None:
    with superuser.begin() as tx:
        tx.execute(text("SELECT close_books()"))

    found = node.query(OPENINGS)

    assert (found[0]["month"], {row["entries"] for row in found}) == (date(2020, 12, 1), {4})
    assert broken(node) == set()


@pytest.mark.parametrize(
    ("limits", "ago"),
    [
        ({"from_day": date(2021, 2, 1), "to_day": date(2021, 2, 28)}, timedelta(0)),
        ({"from_day": date(2021, 2, 1), "to_day": date(2021, 2, 28)}, timedelta(days=62, hours=1)),
        ({"from_day": date(2021, 2, 23)}, timedelta(0)),
        ({"from_day": date(2021, 2, 22), "owner": "owner 1"}, timedelta(days=31)),
        ({"from_day": date(2021, 9, 1)}, timedelta(days=45)),
        ({"from_day": date(2021, 3, 1), "to_day": date(2021, 1, 15)}, timedelta(0)),
        ({"from_day": date(2020, 1, 1)}, timedelta(0)),
    ],
    ids=str,
)
def test_a_statement_from_a_day_on_is_that_of_the_entries(limits: dict[str, Any], ago: timedelta, months: Node) -> None:
    as_of = months.clock() - ago

    with months.services.database.transaction() as tx:
        fast = {by: statement(tx, asked(by, as_of, **limits)).sections for by in By}
        slow = {by: statement(tx, asked(by, as_of, **limits), is_raw=True).sections for by in By}

    assert fast == slow


def test_statements_and_costs_of_a_month_read_no_more_after_five_years(years: Node) -> None:
    """Of a day there are three sums; the openings of 60 months are so few that Postgres may read all of them."""
    month = Scope(as_of=years.clock(), from_day=date(2025, 10, 1), to_day=date(2025, 10, 31))
    statements = (By.DAY, By.MONTH, By.OWNER, By.MODEL)
    costs = (By.DAY, By.OWNER, By.CATALOG, By.MODEL)

    queries = {f"statement by {by}": flows.movements(by, month) for by in statements}
    queries |= {f"cost by {by}": flows.spent(by, month) for by in costs}
    with years.services.database.transaction() as tx:
        read = {name: rows_read(tx, query) for name, query in queries.items()}

    assert years.query("SELECT count(*) AS sums FROM ledger_rollup")[0]["sums"] > 5_000
    assert {name: rows for name, rows in read.items() if rows > 31 * 3 + 60 * 5} == {}


def rows_read(tx: Connection, query: Query) -> int:
    """Return how many rows of the ledger's tables the query reads."""
    before = tx.execute(text(READ)).scalar_one()
    query.rows(tx)
    return int(tx.execute(text(READ)).scalar_one() - before)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_opening SET credits = credits + 1 WHERE month = '2021-02-01' AND kind = 'hold'",
        "UPDATE ledger_opening SET credits = credits + 1 WHERE kind = 'hold'",
        "UPDATE ledger_opening SET entries = entries - 1 WHERE month = '2021-04-01'",
        "UPDATE ledger_opening SET owner = 'Eve' WHERE owner = 'owner 1'",
        "UPDATE ledger_opening SET model = 'other' WHERE month = '2021-03-01'",
        "UPDATE ledger_opening SET month = '2021-05-01' WHERE month = '2021-04-01'",
        "DELETE FROM ledger_opening WHERE month = '2021-01-01'",
        "DELETE FROM ledger_opening WHERE month = '2021-04-01'",
        "DELETE FROM ledger_opening WHERE month = '2021-04-01' AND kind = 'correct'",
        "DELETE FROM ledger_opening",
        "INSERT INTO ledger_opening VALUES ('2021-06-01', 'Eve', 'qwen-image', 'hold', 'cap', 'held', 1, 4)",
        "UPDATE ledger_rollup SET credits = credits + 1 WHERE day < '2021-01-01' AND kind = 'hold'",
        "UPDATE batch SET owner = 'Eve' WHERE owner = 'owner 1'",
    ],
)
def test_an_opening_that_is_not_the_sum_of_what_was_before_is_named(change: str, months: Node, tamper: Tamper) -> None:
    tamper(change)

    assert "openings" in broken(months)


@pytest.mark.parametrize("change", ["DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET credits = 0"])
def test_openings_are_written_once_even_for_their_owner(change: str, months: Node, superuser: Engine) -> None:
    with pytest.raises(DBAPIError, match="append-only"), superuser.begin() as tx:
        tx.execute(text(change.format("ledger_opening")))


def test_the_migration_opens_the_months_of_the_books_that_it_finds(months: Node, database_url: str) -> None:
    every = "SELECT * FROM ledger_opening ORDER BY month, owner, model, kind, source, target"
    before = months.query(every)
    months.services.database.close()

    command.downgrade(alembic_config(database_url), "0079")
    command.upgrade(alembic_config(database_url), "head")

    assert {row["owner"] for row in before} == {"nobody", "owner 0", "owner 1"}
    assert months.query(every) == before
