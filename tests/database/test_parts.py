"""Several changes with one statement are made all or not at all."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from worker.core.db import statements
from worker.core.db.session import Database
from worker.core.db.statements import StaleFence, StatementPart

MARK = StatementPart(
    name="marked",
    columns="id int, word text",
    sql="UPDATE thing SET word = given.word FROM {rows} WHERE thing.id = given.id",
    is_guard=True,
)
ADD = StatementPart(name="added", columns="at timestamptz, words text", sql="INSERT INTO line SELECT * FROM {rows}")
AT = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(autouse=True)
def tables(database: Database) -> None:
    with database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("CREATE TABLE thing (id int PRIMARY KEY, word text)"))
        tx.execute(text("CREATE TABLE line (at timestamptz, words text UNIQUE)"))
        tx.execute(text("INSERT INTO thing VALUES (1, 'old'), (2, 'old')"))
        tx.execute(text("GRANT ALL ON thing, line TO PUBLIC"))


def lines(database: Database) -> list[tuple[datetime, str]]:
    with database.transaction() as tx:
        return [(row.at, row.words) for row in tx.execute(text("SELECT * FROM line"))]


def test_rows_arrive_as_they_are_in_their_order(database: Database) -> None:
    words = ['with "quotes" and %s and %(added)s', "línea\n2\t{rows}", "写真 \U0001f4f7"]

    with database.transaction() as tx:
        statements.run(tx, {MARK: [{"id": 2, "word": "new"}], ADD: [{"at": AT, "words": word} for word in words]})

    assert lines(database) == [(AT, word) for word in words]


def test_without_rows_a_part_is_left_out_and_without_any_nothing_is_sent(database: Database) -> None:
    with database.transaction() as tx:
        statements.run(tx, {MARK: [], ADD: [{"at": AT, "words": "a"}]})
        statements.run(tx, {MARK: [], ADD: []})

    assert lines(database) == [(AT, "a")]


@pytest.mark.parametrize("ids", [(3,), (1, 3), (1, 1)])
def test_when_a_row_of_the_guard_is_not_met_nothing_else_is_done_either(
    ids: tuple[int, ...], database: Database
) -> None:
    """Not even what would break a rule of its table, so that the error says what is the matter."""
    with database.transaction() as tx:
        statements.run(tx, {ADD: [{"at": AT, "words": "there already"}]})

    marks = [{"id": each, "word": "new"} for each in ids]

    with pytest.raises(StaleFence), database.transaction() as tx:
        statements.run(tx, {MARK: marks, ADD: [{"at": AT, "words": "there already"}]})

    assert len(lines(database)) == 1
    with database.transaction() as tx:
        assert tx.execute(text("SELECT count(*) FROM thing WHERE word = 'new'")).scalar_one() == 0
