"""SQL that modules keep as constants, checked against the migrated schema and the words of the rules."""

import re
from enum import StrEnum
from itertools import count
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Connection, TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

import worker
from tests.fixtures.statement_constants import constants
from worker.catalog.queries import catalogs
from worker.core.db.session import Database
from worker.core.db.statements import StatementPart, statement

DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
INSTANTS = re.compile(r"(^|_)(now|at|as_of|before|since|until)$")
"""Names of parameters that are instants: psycopg sends their type, without which Postgres would take an interval."""

COMPARED = re.compile(r"\b(?:state|kind)\s*(?:=|<>|IN|NOT IN)\s*(\(?(?:\s*'\w+'\s*,?)+)")


NUMBERS = count(1)


def prepared(tx: Connection, sql: str, types: list[str]) -> str | None:
    """Prepare the statement and plan it with the application's rights; returns what Postgres says against it."""
    given = f" ({', '.join(types)})" if types else ""
    name = f"checked_{next(NUMBERS)}"
    try:
        with tx.begin_nested():
            tx.exec_driver_sql(f"PREPARE {name}{given} AS {sql}")
            # Planning an execution looks at the rights on every table and column, and executes nothing.
            parameters = len(set(re.findall(r"\$\d+", sql)))
            values = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
            tx.exec_driver_sql(f"EXPLAIN EXECUTE {name}{values}")
    except DBAPIError as error:
        return str(error.orig).partition("\n")[0]
    return None


def test_every_constant_statement_is_one_that_the_schema_knows(database: Database) -> None:
    seen, faults = 0, {}
    with database.transaction() as tx:
        catalogs.compare(tx, uuid4(), [])  # makes the temporary table that some statements read
        for name, value in constants():
            if isinstance(value, TextClause):
                compiled = value.compile(dialect=DIALECT)
                types = ["timestamptz" if INSTANTS.search(each) else "unknown" for each in compiled.positiontup or ()]
                fault = prepared(tx, str(compiled), types)
            elif isinstance(value, StatementPart):
                sql = statement((value,), (value,) if value.is_guard else ())
                fault = prepared(tx, re.sub(r"%\(\w+\)s", "$1", sql), [])
            else:
                continue
            seen += 1
            if fault is not None:
                faults[name] = fault

    assert faults == {}
    assert seen > 140


def test_every_state_and_kind_in_sql_is_a_word_of_an_enum() -> None:
    words = {
        member.value
        for _, value in constants()
        if isinstance(value, type) and issubclass(value, StrEnum)
        for member in value
    }
    package = Path(worker.__path__[0])
    compared = {
        (path.relative_to(package).as_posix(), word)
        for path in package.rglob("*.py")
        for listed in COMPARED.findall(path.read_text(encoding="utf-8"))
        for word in re.findall(r"'(\w+)'", listed)
    }

    assert len(compared) > 40
    assert {(path, word) for path, word in compared if word not in words} == set()
