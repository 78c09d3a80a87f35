"""After a run with faults every report says the same, and the same as the provider's own books."""

from datetime import date, timedelta
from typing import Any

import pytest

from tests.fixtures.provider import Provider
from tests.pipeline.node import Node
from tests.reports.conftest import World, read_wallet
from worker.audit import resolve, sealing
from worker.audit.reports import Report, build
from worker.audit.reports.report import ReportQuery
from worker.audit.reports.statement import statement
from worker.audit.rules.dispute_decision import Signature
from worker.audit.rules.reporting import By, ReportName, SpendBy


def totals(report: Report, section: str) -> dict[str, Any]:
    """Return the totals of a section by column."""
    found = next(each for each in report.sections if each.name == section)
    assert found.totals is not None
    return dict(zip((column.name for column in found.columns), found.totals, strict=True))


def rows(report: Report, section: str) -> list[dict[str, Any]]:
    """Return the rows of a section by column."""
    found = next(each for each in report.sections if each.name == section)
    return [dict(zip((column.name for column in found.columns), row, strict=True)) for row in found.rows]


@pytest.mark.parametrize("by", list(By))
def test_every_statement_closes_with_the_trial_balance(by: By, world: World) -> None:
    closing = totals(world.report(ReportName.STATEMENT, by=by), "statement")
    balance = totals(world.report(ReportName.TRIAL_BALANCE), "batches")

    assert (closing["closing_held"], closing["closing_reserved"], closing["closing_spent"]) == (4, 0, 40)
    assert (balance["held"], balance["reserved"], balance["spent"], balance["sum"]) == (4, 0, 40, 0)


@pytest.mark.parametrize("by", list(SpendBy))
def test_spend_and_outstanding_add_up_to_the_trial_balance(by: SpendBy, world: World) -> None:
    spent = totals(world.report(ReportName.SPEND, by=by), "images" if by is SpendBy.IMAGE else "batches")
    still_open = totals(world.report(ReportName.OUTSTANDING), "ages")

    assert (spent["spent"], spent["still_held"], spent["still_reserved"]) == (40, 4, 0)
    assert (still_open["held"], still_open["reserved"], still_open["outstanding"]) == (4, 0, 4)
    assert spent["hold"] - spent["void"] + spent["reserved_less_hold"] + spent["final_less_reserved"] == 44


def test_what_is_spent_and_what_is_in_doubt_is_what_the_provider_charged(world: World) -> None:
    balance = totals(world.report(ReportName.TRIAL_BALANCE), "batches")

    assert world.provider.wallet()["charged"] == balance["spent"] + balance["held"]


def test_the_reconciliation_leads_from_the_first_reading_to_the_last(world: World) -> None:
    report = world.report(ReportName.RECONCILE)

    (wallet,) = rows(report, "wallets")
    assert (wallet["opening"], wallet["ours"], wallet["ambiguous"], wallet["closing"]) == (10_000, 40, -4, 9_956)
    assert wallet["closing"] == world.provider.wallet()["available"]
    assert (wallet["unexplained"], wallet["outside_spend"], wallet["top_up"]) == (0, 0, 0)


def test_the_bridge_leads_from_the_trial_balance_to_what_the_wallets_show(world: World) -> None:
    (account,) = rows(world.report(ReportName.RECONCILE), "bridge")

    balance = totals(world.report(ReportName.TRIAL_BALANCE), "batches")
    assert (account["reserved"], account["spent"]) == (balance["reserved"], balance["spent"])
    assert (account["ours"], account["before_first"], account["after_last"], account["difference"]) == (40, 0, 0, 0)


def test_the_bridge_has_what_no_interval_shows(own_world: World) -> None:
    own_world.node.submit({"prompt": "After the last reading"})
    own_world.node.run_until_quiet()
    doubtful = own_world.node.query("SELECT id FROM generation WHERE state = 'in_doubt'")[0]["id"]
    services, by = own_world.node.services, Signature(actor="ann", reason="seen")
    resolve.charged(
        services.database,
        doubtful,
        3,
        by,
        new_id=services.new_id,
        approve_above=None,
        now=services.clock(),
        may_exceed=True,
    )
    own_world.close()

    report = own_world.report(ReportName.RECONCILE, from_day=date(2020, 11, 23))

    (account,) = rows(report, "bridge")
    assert (account["spent"], account["ours"], account["other_days"]) == (47, 40, 0)
    assert (account["after_last"], account["corrected"], account["difference"]) == (4, 3, 0)
    corrected = [row["credits"] for row in rows(report, "variances") if row["variance"] == "corrected by a person"]
    assert corrected == [3]


def test_a_ledger_without_readings_is_all_before_the_first(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()
    as_of = sealing.close_books(node.services.database, node.clock())

    with node.services.database.transaction() as tx:
        report = build(tx, ReportQuery(report=ReportName.RECONCILE, as_of=as_of))

    (account,) = rows(report, "bridge")
    assert (account["spent"], account["before_first"], account["difference"]) == (4, 4, 0)


def test_a_hold_of_the_last_hour_that_may_have_been_taken_is_a_candidate_and_no_spend_of_others(
    node: Node, sandbox: Provider
) -> None:
    read_wallet(node)
    node.submit({"prompt": "A chair"})
    sandbox.script(("create", 1, "lost_reply"))
    node.run_for(timedelta(seconds=0.2))
    read_wallet(node)
    as_of = sealing.close_books(node.services.database, node.clock())

    with node.services.database.transaction() as tx:
        report = build(tx, ReportQuery(report=ReportName.RECONCILE, as_of=as_of))

    (wallet,) = rows(report, "wallets")
    assert (wallet["ambiguous"], wallet["in_doubt"], wallet["outside_spend"]) == (-4, 0, 0)
    assert [row["credits"] for row in rows(report, "candidates")] == [-4]


def test_what_is_held_and_never_answered_is_due(world: World) -> None:
    found = rows(world.report(ReportName.RECONCILE), "completeness")

    assert [(row["within"], row["due"], row["matched"]) for row in found] == [("1 h", 47, 43), ("24 h", 43, 43)]


def test_own_books_count_what_no_seal_binds_yet(own_world: World) -> None:
    own_world.node.submit({"prompt": "Later"})
    own_world.node.run_until_quiet()
    between = own_world.node.clock()
    own_world.node.clock.advance(timedelta(hours=1))
    own_world.close()

    found = totals(own_world.report(ReportName.RECONCILE, as_of=between), "own_books")

    assert (found["raw_entries"], found["difference"]) == (38, 0)


def test_a_top_up_and_an_outside_spend_are_told_from_ours(own_world: World) -> None:
    own_world.provider.fund(9_956 + 500)
    own_world.read_wallet()
    own_world.node.clock.pause(600)
    own_world.provider.fund(9_956 + 470)
    own_world.read_wallet()
    own_world.close()

    (wallet,) = rows(own_world.report(ReportName.RECONCILE), "wallets")

    assert (wallet["top_up"], wallet["outside_spend"], wallet["closing"]) == (500, -30, 10_426)


def test_the_roll_up_is_proved_before_the_wallet_is_looked_at(world: World) -> None:
    report = world.report(ReportName.RECONCILE)

    assert report.sections[0].name == "own_books"
    assert {row["difference"] for row in rows(report, "own_books")} == {0}
    assert totals(report, "own_books")["raw_entries"] == 35


def test_every_variance_is_named_with_its_generation(world: World) -> None:
    found = rows(world.report(ReportName.RECONCILE), "variances")

    assert [(row["variance"], row["key"], row["credits"]) for row in found] == [
        ("refunded in full", "chair-0", -4),
        ("final differs from reserved", "chair-1", 1),
        ("paid for, no image stored", "chair-2", 4),
        ("reserved differs from hold", "lamp-0", 1),
        ("reserved differs from hold", "lamp-1", 1),
        ("reserved differs from hold", "lamp-2", 1),
        ("held and never answered", "lost", 4),
    ]


def test_the_oldest_open_amount_comes_first_with_its_age(world: World) -> None:
    (found,) = rows(world.report(ReportName.OUTSTANDING), "generations")

    assert (found["key"], found["age"], found["held"]) == ("lost", "1 h to 24 h", 4)


def test_a_job_shows_every_entry_every_file_and_every_call(world: World) -> None:
    job_id = world.node.query("SELECT id FROM job WHERE key = 'chair-3'")[0]["id"]

    report = world.report(ReportName.JOB, job_id=job_id)

    (generation,) = rows(report, "generations")
    assert [row["kind"] for row in rows(report, "entries")] == ["hold", "reserve", "settle"]
    calls = [(row["kind"], row["outcome"]) for row in rows(report, "calls")]
    assert calls == [("create", "unknown"), ("create", "ok"), ("get", "ok"), ("download", "ok")]
    assert generation["provider_id"] in {task["id"] for task in world.provider.tasks()}
    assert (generation["sends"], generation["spent"], len(rows(report, "files"))) == (2, 4, 1)


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("limits", [{}, {"from_day": date(2020, 11, 23)}, {"owner": "studio"}], ids=str)
def test_the_roll_up_gives_the_same_statement_as_the_entries(by: By, limits: dict[str, Any], world: World) -> None:
    asked = ReportQuery(report=ReportName.STATEMENT, as_of=world.as_of, by=by, **limits)

    with world.node.services.database.transaction() as tx:
        rolled_up, raw = statement(tx, asked), statement(tx, asked, is_raw=True)

    assert rolled_up.sections == raw.sections


def test_a_day_opens_with_what_the_day_before_closed_with(world: World) -> None:
    report = world.report(ReportName.STATEMENT, by=By.DAY, from_day=date(2020, 11, 23))

    (second,) = rows(report, "statement")
    assert (second["day"], second["opening_spent"], second["closing_spent"]) == ("2020-11-23", 25, 40)
