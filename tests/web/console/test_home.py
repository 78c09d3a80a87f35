"""The home page says how each account does and what it costs."""

import pytest
from sqlalchemy import text

from tests.web.api.client import Client, client
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.accounts.queries import accounts, pools


def test_an_account_without_work_is_idle(web: Web) -> None:
    said = text_of(get(signed_in(web), web, "/"))

    assert "default · Idle. Nothing is open." in said


def test_work_without_a_node_is_named_with_what_to_do(web: Web) -> None:
    client(web).submit(["a vase", "a bowl"])

    said = text_of(get(signed_in(web), web, "/"))

    assert "No worker node runs, and 2 images wait. Start one with `darkroom up`" in said


def test_paused_batches_are_no_work_that_waits_for_a_node(web: Web) -> None:
    shop = client(web)
    shop.post(f"/batches/{shop.submit(['a vase']).json()['batch']}/pause")

    said = text_of(get(signed_in(web), web, "/"))

    assert "default · Idle. 1 image in paused batches." in said


@pytest.fixture
def pool(web: Web) -> Client:
    """Return a client of a web process that knows a pool of two accounts."""
    with web.context.database.transaction() as tx:
        for name in ("club", "shop"):
            account_id = accounts.ensure(tx, account_id=web.context.new_id(), name=name, now=web.context.clock())
            pools.set_pools(tx, account_id, ["bulk"])
    return client(web)


def test_jobs_that_wait_for_any_account_of_a_pool_are_the_pools_and_no_accounts(web: Web, pool: Client) -> None:
    pool.submit(["a vase", "a bowl"], pool="bulk")

    said = text_of(get(signed_in(web), web, "/"))

    assert "Pool bulk · No worker node runs, and 2 images wait." in said
    assert "club · Idle. Nothing of its own is open; 2 images wait in its pools." in said
    assert "shop · Idle. Nothing of its own is open; 2 images wait in its pools." in said
    assert "default · Idle. Nothing is open." in said
    assert "2 waiting" not in said


def test_paused_batches_of_a_pool_are_no_work_that_waits(web: Web, pool: Client) -> None:
    pool.post(f"/batches/{pool.submit(['a vase'], pool='bulk').json()['batch']}/pause")

    said = text_of(get(signed_in(web), web, "/"))

    assert "Pool bulk · Nothing waits for its accounts. 1 image in paused batches." in said
    assert "club · Idle. Nothing is open." in said


def test_a_pause_is_said_with_its_reason_and_since_when(web: Web) -> None:
    with web.context.database.transaction() as tx:
        tx.execute(
            text("UPDATE account SET pause_reason = 'insufficient_credits', paused_at = now() - interval '5 min'")
        )

    said = text_of(get(signed_in(web), web, "/"))

    assert "(5 min ago): insufficient credits. Next step: top up the wallet" in said


def test_what_owners_have_committed_is_shown_against_their_caps(web: Web) -> None:
    with web.context.database.transaction() as tx:
        tx.execute(text("INSERT INTO owner_cap (owner, monthly_cap) VALUES ('shop', 9007199254740993)"))
        tx.execute(
            text("INSERT INTO owner_month (owner, month, committed) VALUES ('shop', date_trunc('month', now()), 400)")
        )

    said = text_of(get(signed_in(web), web, "/"))

    assert "shop 400 of 9,007,199,254,740,993" in said


def test_who_has_no_right_to_money_sees_neither_spend_nor_wallet(web: Web) -> None:
    said = text_of(get(signed_in(web, "operator"), web, "/"))

    assert "Open" in said
    assert "Spend" not in said
    assert "Wallet" not in said
