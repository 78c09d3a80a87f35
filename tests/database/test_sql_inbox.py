"""Producers enqueue with one statement of SQL, in a transaction of their own, with the right to nothing else."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from tests.acceptance.waiting import until
from tests.pipeline.node import Node
from worker.accounts.queries import accounts, pools
from worker.audit.verify import verify
from worker.core.rules.batch_request import BatchRequest, Priority, Purpose, validate_batch
from worker.node.fetch_stage import FetchStage

ENQUEUE = "SELECT darkroom_enqueue(%s::jsonb, %s::jsonb)"
CHAIR = [{"prompt": "A chair, 100 % oak: no legs", "key": "chair"}]


@contextmanager
def producer(node: Node, role: str = "darkroom_producer") -> Iterator[psycopg.Connection[Any]]:
    """Connect as a service does that has this role alone."""
    url = node.services.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        connection.execute("RESET ROLE")
        connection.execute(f"SET ROLE {role}")
        connection.commit()
        yield connection


def enqueue(connection: psycopg.Connection[Any], batch: object, requests: object) -> Any:
    return connection.execute(ENQUEUE, (json.dumps(batch), json.dumps(requests))).fetchone()


def status(connection: psycopg.Connection[Any], token: str) -> Any:
    (found,) = connection.execute("SELECT darkroom_batch(%s)", (token,)).fetchone() or (None,)
    return found


@contextmanager
def taking_in(node: Node) -> Iterator[None]:
    # The server dates what it keeps; the clock of the test stands still before that.
    node.clock.now = datetime.now(UTC)
    at_work = FetchStage(node.services, json.loads)
    at_work.start()
    try:
        yield
    finally:
        at_work.stop()


def taken_in(node: Node) -> bool:
    return node.query("SELECT count(*) AS n FROM waiting_message") == [{"n": 0}]


def test_a_batch_is_enqueued_with_the_producers_own_commit_and_not_before(node: Node) -> None:
    with producer(node) as connection:
        enqueue(connection, {"token": "order-1"}, CHAIR)
        connection.rollback()
        unknown = status(connection, "order-1")
        enqueue(connection, {"token": "order-1", "owner": "shop"}, CHAIR)
        connection.commit()
        waiting = status(connection, "order-1")
        with taking_in(node):
            until(lambda: taken_in(node), "the batch is written")
        written = status(connection, "order-1")

    assert unknown is None
    assert waiting == {"token": "order-1", "state": "waiting"}
    assert (written["state"], written["size"], written["jobs"]) == ("open", 1, {"pending": 1})
    assert node.query("SELECT key, prompt FROM job") == [{"key": "chair", "prompt": CHAIR[0]["prompt"]}]


def test_the_same_token_again_adds_nothing_before_and_after_it_was_taken_in(node: Node) -> None:
    with producer(node) as connection, taking_in(node):
        for _ in range(3):
            enqueue(connection, {"token": "once"}, CHAIR)
            connection.commit()
            node.clock.now = datetime.now(UTC)
            until(lambda: taken_in(node), "it is taken in")

    assert node.query("SELECT count(*) AS n FROM job") == [{"n": 1}]


def test_a_batch_with_faults_is_refused_and_found_by_its_token(node: Node) -> None:
    with producer(node) as connection:
        enqueue(connection, {"token": "wrong"}, [*CHAIR, {"prompt": ""}, {"prompt": "A lamp", "image_sise": "1:1"}])
        connection.commit()
        with taking_in(node):
            until(lambda: taken_in(node), "it is refused")
        found = status(connection, "wrong")

    assert found["state"] == "refused"
    assert [fault["line"] for fault in found["faults"]] == [2, 3]


@pytest.mark.parametrize(
    ("batch", "requests", "reason"),
    [
        ([], [], "batch must be an object"),
        ({}, [], "batch needs a token"),
        ({"token": ""}, [], "batch needs a token"),
        ({"token": 5}, [], "batch needs a token"),
        ({"token": "t"}, {}, "requests must be an array"),
        ({"token": "t"}, [{}] * 10_001, "10001 requests are more than 10000"),
        ({"token": "t"}, [{"prompt": "x" * (16 << 20)}], "more than 16 MiB"),
    ],
)
def test_what_cannot_be_a_batch_is_an_error_in_the_producers_transaction(
    node: Node, batch: object, requests: object, reason: str
) -> None:
    with producer(node) as connection, pytest.raises(psycopg.DatabaseError, match=reason):
        enqueue(connection, batch, requests)


def test_ten_thousand_requests_fit_into_one_statement(node: Node) -> None:
    with producer(node) as connection:
        enqueue(connection, {"token": "many"}, [{"prompt": f"Chair {n}"} for n in range(10_000)])
        connection.commit()
        with taking_in(node):
            until(lambda: taken_in(node), "they are written")

    assert node.query("SELECT count(*) AS n FROM job") == [{"n": 10_000}]


def test_the_statement_of_the_document_for_sqlalchemy_enqueues_in_the_sessions_transaction(node: Node) -> None:
    engine = create_engine(node.services.database.url)
    statement = text("SELECT darkroom_enqueue(CAST(:batch AS jsonb), CAST(:requests AS jsonb))")
    values = {"batch": json.dumps({"token": "session"}), "requests": json.dumps(CHAIR)}

    with Session(engine) as session:
        session.execute(text("SET LOCAL ROLE darkroom_producer"))
        session.execute(statement, values)
        session.commit()

    with producer(node) as connection:
        assert status(connection, "session") == {"token": "session", "state": "waiting"}


@pytest.mark.parametrize("statement", ["SELECT * FROM job", "SELECT * FROM waiting_message", "DELETE FROM batch"])
def test_a_producer_may_do_nothing_else(node: Node, statement: str) -> None:
    with producer(node) as connection, pytest.raises(errors.InsufficientPrivilege):
        connection.execute(statement)


@pytest.mark.parametrize("role", ["darkroom_app", "darkroom_audit"])
def test_no_other_role_enqueues_in_sql(node: Node, role: str) -> None:
    with producer(node, role) as connection, pytest.raises(errors.InsufficientPrivilege):
        enqueue(connection, {"token": "t"}, CHAIR)


def test_the_functions_of_the_inbox_are_known_to_the_check_of_the_books(node: Node) -> None:
    with node.services.database.transaction() as tx:
        found = verify(tx)

    assert [check.name for check in found.checks if not check.ok] == []


@pytest.fixture
def bound(node: Node, owner: Engine) -> Iterator[Callable[[str | None], psycopg.Connection[Any]]]:
    """Return what opens a session of a login that is bound to the owner `shop`, with this highest priority."""
    login = f"darkroom_test_producer_{os.getpid()}"
    with owner.begin() as tx:
        tx.execute(text(f"CREATE ROLE {login} LOGIN PASSWORD 'here' IN ROLE darkroom_producer"))
    url = node.services.database.url.set(drivername="postgresql", username=login, password="here")
    with ExitStack() as opened:

        def connect(max_priority: str | None) -> psycopg.Connection[Any]:
            with owner.begin() as tx:
                values = {"login": login, "max_priority": max_priority}
                tx.execute(text("INSERT INTO producer_login VALUES (:login, 'shop', :max_priority)"), values)
            return opened.enter_context(psycopg.connect(url.render_as_string(hide_password=False), autocommit=True))

        yield connect
    with owner.begin() as tx:
        tx.execute(text(f"DROP ROLE {login}"))


Bound = Callable[[str | None], psycopg.Connection[Any]]


def test_a_bound_login_enqueues_for_its_owner_alone(node: Node, bound: Bound) -> None:
    connection = bound(None)
    enqueue(connection, {"token": "unnamed"}, CHAIR)
    enqueue(connection, {"token": "named", "owner": "shop"}, CHAIR)
    with pytest.raises(errors.InsufficientPrivilege, match="for the owner 'shop' and no other"):
        enqueue(connection, {"token": "other", "owner": "rival"}, CHAIR)
    with taking_in(node):
        until(lambda: taken_in(node), "they are written")

    assert node.query("SELECT token, owner FROM batch ORDER BY token") == [
        {"token": "named", "owner": "shop"},
        {"token": "unnamed", "owner": "shop"},
    ]
    assert status(connection, "named")["state"] == "open"


def test_the_same_token_again_of_a_bound_login_adds_nothing(node: Node, bound: Bound) -> None:
    connection = bound(None)
    for _ in range(2):
        enqueue(connection, {"token": "once"}, CHAIR)

    assert node.query("SELECT count(*) AS n FROM waiting_message") == [{"n": 1}]


def test_a_bound_login_sees_no_batch_of_another_owner(node: Node, bound: Bound) -> None:
    with producer(node) as other:
        enqueue(other, {"token": "taken", "owner": "rival"}, CHAIR)
        other.commit()
        with taking_in(node):
            until(lambda: taken_in(node), "it is written")
        enqueue(other, {"token": "waiting", "owner": "rival"}, CHAIR)
        other.commit()
        seen = status(other, "waiting")

    connection = bound(None)
    assert seen["state"] == "waiting"
    assert [status(connection, token) for token in ("taken", "waiting")] == [None, None]


@pytest.mark.parametrize("ceiling", [None, *Priority])
def test_a_bound_login_asks_for_its_priority_at_most_as_the_rules_read_it(
    ceiling: Priority | None, node: Node, bound: Bound
) -> None:
    connection, order = bound(ceiling), list(Priority)
    asked: list[dict[str, object]] = [{"priority": each} for each in (*Priority, *range(10), "7", None, "")]
    asked += [{"purpose": each} for each in (*Purpose, None)]
    asked += [{"purpose": "single", "priority": "bulk"}, {"purpose": "bulk", "priority": "interactive"}]

    for number, batch in enumerate(asked):
        rules = validate_batch(batch)
        assert isinstance(rules, BatchRequest)
        is_permitted = ceiling is None or order.index(rules.priority) >= order.index(ceiling)
        assert _is_taken(connection, {"token": f"t{number}", **batch}) is is_permitted, batch


def _is_taken(connection: psycopg.Connection[Any], batch: dict[str, object]) -> bool:
    try:
        enqueue(connection, batch, CHAIR)
    except errors.InsufficientPrivilege:
        return False
    return True


def test_who_binds_a_login_is_in_the_log_of_changes(node: Node, bound: Bound) -> None:
    bound("bulk")

    found = node.query("SELECT field, after FROM change WHERE subject LIKE 'producer:%' ORDER BY field")
    assert found == [{"field": "max_priority", "after": "bulk"}, {"field": "owner", "after": "shop"}]


def waiting_for(node: Node) -> list[str]:
    """Return for which account each message waits."""
    rows = node.query("SELECT a.name FROM waiting_message w JOIN account a ON a.id = w.account_id ORDER BY w.id")
    return [row["name"] for row in rows]


def test_with_several_accounts_a_message_waits_for_the_nodes_of_the_one_that_it_names(node: Node) -> None:
    with node.services.database.transaction() as tx:
        shop = accounts.ensure(tx, account_id=node.services.new_id(), name="shop", now=node.clock())
        pools.set_pools(tx, shop, ["bulk"])

    with producer(node) as connection:
        enqueue(connection, {"token": "by name", "account": "shop"}, CHAIR)
        enqueue(connection, {"token": "by pool", "pool": "bulk"}, CHAIR)
        connection.execute('SELECT darkroom_enqueue(\'{"token": "by argument"}\', \'[{"prompt": "x"}]\', \'default\')')
        connection.commit()
        with pytest.raises(psycopg.DatabaseError, match="2 accounts are called anything"):
            enqueue(connection, {"token": "by nothing"}, CHAIR)

    assert waiting_for(node) == ["shop", "shop", "default"]


@pytest.mark.parametrize("named", [{"account": "rich"}, {"pool": "bulk"}])
def test_a_bound_login_spends_from_no_account_but_its_owners(
    named: dict[str, str], node: Node, owner: Engine, bound: Bound
) -> None:
    connection = bound(None)
    with owner.begin() as tx:
        for name in ("rich", "shops"):
            account_id = accounts.ensure(tx, account_id=node.services.new_id(), name=name, now=node.clock())
            pools.set_pools(tx, account_id, ["bulk"])
        pools.set_usual(tx, "shop", account_id=account_id, pool=None)

    with pytest.raises(errors.InsufficientPrivilege, match="for the owner 'shop', whose account pays"):
        enqueue(connection, {"token": "named", **named}, CHAIR)
    enqueue(connection, {"token": "unnamed"}, CHAIR)

    assert waiting_for(node) == ["shops"]
