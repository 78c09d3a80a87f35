"""Database URLs: several hosts as libpq and SQLAlchemy write them."""

import pytest
from sqlalchemy import create_engine

from worker.core.db import session

LIBPQ = "postgresql://user:pass%40word@one:5433,two:5434/name?target_session_attrs=read-write"
SQLALCHEMY = "postgresql+psycopg://user:pass%40word@/name?host=one:5433&host=two:5434&target_session_attrs=read-write"
OPTIONS = {"user": "user", "password": "pass@word", "dbname": "name"}


def connecting(url: str) -> dict[str, object]:
    """Return what psycopg is called with."""
    made = session.parsed_url(url)
    arguments = dict(create_engine(made).dialect.create_connect_args(made)[1])
    del arguments["context"]
    return arguments


@pytest.mark.parametrize("url", [LIBPQ, SQLALCHEMY])
def test_several_hosts_are_tried_in_their_order_in_either_form(url: str) -> None:
    both = {"host": "one,two", "port": "5433,5434", "target_session_attrs": "read-write"}

    assert connecting(url) == OPTIONS | both


@pytest.mark.parametrize(
    ("hosts", "host", "port"),
    [("one,two", "one,two", ","), ("one,[::1]:5434", "one,::1", ",5434"), ("one:5433", "one", 5433)],
)
def test_a_host_without_a_port_has_the_usual_one(hosts: str, host: str, port: object) -> None:
    found = connecting(f"postgresql://user:pass%40word@{hosts}/name")

    assert found == OPTIONS | {"host": host, "port": port}


def test_what_was_parsed_is_parsed_again_to_the_same() -> None:
    once = session.parsed_url(LIBPQ).render_as_string(hide_password=False)

    assert session.parsed_url(once).render_as_string(hide_password=False) == once


@pytest.mark.parametrize(
    ("url", "shown"),
    [(LIBPQ, "one,two"), ("postgresql://one/name", "one"), ("postgresql:///name", ""), (SQLALCHEMY, "one,two")],
)
def test_people_are_shown_the_hosts(url: str, shown: str) -> None:
    assert session.hosts_of(session.parsed_url(url)) == shown
