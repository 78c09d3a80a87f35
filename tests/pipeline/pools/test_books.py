"""The books of a batch over a pool: each credit is one account's, and what does not fit together is named."""

import hashlib
from typing import Any

import pytest
from sqlalchemy import text

from tests.archive.conftest import archive, broken, reader, seal
from tests.pipeline.pools.conftest import NAMES, Fleet
from worker.audit import erasing
from worker.audit.evidence import printed
from worker.audit.queries import flows
from worker.audit.queries.erasures import Target
from worker.audit.queries.flows import Scope
from worker.audit.reports import ReportQuery
from worker.audit.rules.reporting import Format, ReportName


@pytest.fixture
def books(fleet: Fleet) -> Fleet:
    """Return accounts that have made the images of one batch, and of one that is a single account's."""
    fleet.submit(9, name="pooled")
    fleet.any.submit({"key": "plain", "prompt": "A lamp"}, account="studio", name="plain")
    fleet.limit(window=3)
    fleet.run()
    return fleet


def spent(fleet: Fleet) -> dict[str, int]:
    """Return what the books say that each account has spent."""
    asked = flows.per_account(Scope(as_of=fleet.any.clock()))
    with fleet.any.services.database.transaction() as tx:
        return {row.account: row.spent for row in tx.execute(text(asked.sql), dict(asked.values))}


def charged(fleet: Fleet) -> dict[str, int]:
    return {name: fleet.providers[name].wallet()["charged"] for name in NAMES}


def trial_balance(fleet: Fleet) -> Any:
    node = fleet.any
    asked = ReportQuery(report=ReportName.TRIAL_BALANCE, as_of=node.clock())
    return printed(node.services.database, asked, Format.JSON, reader(node))


def tampered(fleet: Fleet, statement: str) -> set[str]:
    """Return which checks do not hold after a superuser's change past every trigger and foreign key."""
    with fleet.any.services.database.engine.begin() as tx:
        tx.exec_driver_sql("SET LOCAL ROLE NONE")
        tx.exec_driver_sql("SET LOCAL session_replication_role = replica")
        tx.exec_driver_sql(statement)
    return set(broken(fleet.any))


def test_what_each_account_has_spent_is_what_its_provider_charged_before_and_after_a_seal(books: Fleet) -> None:
    before = spent(books)

    seal(books.any)

    assert before == spent(books) == charged(books)
    assert len(set(filter(None, books.accounts()))) == len(NAMES)
    assert broken(books.any) == {}


def test_an_auditors_closing_of_the_books_adds_up_by_account_too(books: Fleet) -> None:
    with books.any.services.database.engine.begin() as tx:
        tx.exec_driver_sql("SET LOCAL ROLE NONE")
        tx.exec_driver_sql("SELECT close_books()")

    assert spent(books) == charged(books)
    assert broken(books.any) == {}


def test_a_trial_balance_is_the_same_when_its_batches_are_in_the_archive(books: Fleet) -> None:
    seal(books.any)
    before = trial_balance(books)

    archived = [each.name for each in archive(books.any)]

    assert archived == ["pooled", "plain"]
    assert books.any.query("SELECT count(*) AS jobs FROM job") == [{"jobs": 0}]
    assert trial_balance(books) == before
    assert spent(books) == charged(books)
    assert broken(books.any) == {}


OTHER_OF_ALL = """
    UPDATE generation g SET account_id = (SELECT id FROM account WHERE id <> g.account_id LIMIT 1)
    FROM batch b WHERE b.id = g.batch_id AND b.name = 'plain'"""
OTHER_OF_POOL = """
    UPDATE generation g SET account_id = (
        SELECT m.account_id FROM batch_account m WHERE m.batch_id = g.batch_id AND m.account_id <> g.account_id LIMIT 1)
    FROM batch b WHERE b.id = g.batch_id AND b.name = 'pooled'"""


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE generation SET account_id = gen_random_uuid()", "one_batch"),
        (OTHER_OF_ALL, "one_batch"),
        (OTHER_OF_POOL, "one_account"),
        ("UPDATE job SET account_id = NULL", "one_account"),
        ("UPDATE job SET account_id = (SELECT id FROM account LIMIT 1) WHERE key = 'plain'", "one_account"),
        ("DELETE FROM batch_account", "pools"),
        ("UPDATE batch SET pool = NULL WHERE pool IS NOT NULL", "pools"),
        ("UPDATE batch SET pool = 'bulk' WHERE pool IS NULL", "pools"),
        ("UPDATE batch SET pool = 'other' WHERE pool IS NOT NULL", "sealed_facts"),
        ("UPDATE pool_rollup SET credits = credits + 1", "pool_rollup"),
        ("DELETE FROM pool_rollup", "pool_rollup"),
    ],
)
def test_accounts_that_do_not_fit_together_are_named(books: Fleet, change: str, check: str) -> None:
    seal(books.any)

    assert check in tampered(books, change)


@pytest.mark.parametrize("is_archived", [False, True])
def test_an_erased_prompt_of_a_pool_is_forgotten_at_every_account(books: Fleet, is_archived: bool) -> None:  # noqa: FBT001 - a case
    """The hash of a prompt that failed is kept for the account at which it failed, whichever of the pool that is."""
    node = books.any
    seal(node)
    node.query("""
        INSERT INTO prompt_failure
            (account_id, model, prompt_hash, failures, first_failed_at, last_failed_at, last_code)
        SELECT a.id, j.model, sha256(convert_to(j.prompt, 'UTF8')), 1, now(), now(), 'x' FROM account a, job j
        RETURNING failures""")
    [batch] = node.query("SELECT id FROM batch WHERE name = 'pooled'")
    if is_archived:
        archive(node)

    whole = Target(subject=f"batch:{batch['id']}", batch_id=batch["id"])
    erasing.erase(node.services.database, node.services.store, whole, node.author("request 12"), approve_above=None)

    left = "SELECT encode(prompt_hash, 'hex') AS hash FROM prompt_failure GROUP BY prompt_hash"
    assert node.query(left) == [{"hash": hashlib.sha256(b"A lamp").hexdigest()}]
