"""The gauges of the fleet say what the rows say, and an outage of the database is a gauge, too."""

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from tests.pipeline.node import Node
from worker.core.db.session import Database
from worker.metrics import collector
from worker.metrics.queries import fleet
from worker.metrics.queries import fleet as facts
from worker.metrics.rules.demand import Demand, demand


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def registry(node: Node) -> CollectorRegistry:
    return collector.registry(node.services.database, node.clock)


def demanded(node: Node) -> Demand:
    with node.services.database.transaction() as tx:
        [found] = facts.read_demand(tx, now=node.clock())
    return demand(found, now=node.clock())


def set_account(node: Node, change: str) -> None:
    with node.services.database.transaction() as tx:
        tx.execute(text(f"UPDATE account SET {change}"))


def test_jobs_and_credits_are_counted_by_state(node: Node) -> None:
    node.submit({"prompt": "A chair"}, {"prompt": "A sofa"})
    node.run_until_quiet()
    node.submit({"prompt": "A lamp"}, {"prompt": "A desk"})
    node.round()

    found = registry(node)

    assert value(found, "darkroom_jobs", state="active") == 2
    assert value(found, "darkroom_credits", account="default", state="spent") == 8
    held = value(found, "darkroom_credits", account="default", state="held")
    reserved = value(found, "darkroom_credits", account="default", state="reserved")
    assert (held or 0) + (reserved or 0) == 8
    assert value(found, "darkroom_in_flight", account="default") == 2
    assert value(found, "darkroom_books_difference_credits") == 0
    assert value(found, "darkroom_database_up") == 1


def test_books_that_do_not_balance_show_the_difference(node: Node) -> None:
    node.submit({"prompt": "A chair"})
    node.run_until_quiet()
    with node.services.database.transaction() as tx:
        tx.execute(text("UPDATE batch SET committed = committed + 4"))

    assert value(registry(node), "darkroom_books_difference_credits") == 4


def test_a_paused_account_is_1_for_its_reason_alone(node: Node) -> None:
    set_account(node, "pause_reason = 'operator', paused_at = clock_timestamp() - interval '1 hour'")

    found = registry(node)

    assert value(found, "darkroom_account_paused", account="default", reason="operator") == 1
    assert value(found, "darkroom_account_paused", account="default", reason="insufficient_credits") == 0
    assert value(found, "darkroom_account_paused_seconds", account="default") == pytest.approx(3600, abs=60)


def test_a_doubt_keeps_its_hold_and_is_counted(unknown: Node) -> None:
    found = registry(unknown)

    assert value(found, "darkroom_in_doubt", account="default") == 1
    assert value(found, "darkroom_credits", account="default", state="reserved") == 4


def test_a_database_that_does_not_answer_is_a_gauge_and_no_error() -> None:
    nowhere = Database("postgresql+psycopg://127.0.0.1:1/none")

    found = list(collector.FleetCollector(nowhere, lambda: None).collect())  # type: ignore[arg-type,return-value]

    assert [(each.name, each.samples[0].value) for each in found] == [("darkroom_database_up", 0)]


def test_scrapes_within_five_seconds_share_one_reading(node: Node) -> None:
    now_s = 0.0
    collected = collector.FleetCollector(node.services.database, node.clock, now_s=lambda: now_s)

    first, second = list(collected.collect()), list(collected.collect())
    now_s = 6.0
    third = list(collected.collect())

    assert first[0] is second[0]
    assert first[0] is not third[0]


def test_a_query_of_the_gauges_is_given_up_after_seconds(database: Database) -> None:
    with database.transaction() as tx:
        fleet.limit(tx)

        assert tx.execute(text("SHOW statement_timeout")).scalar_one() == f"{fleet.TIMEOUT_S}s"


def test_demand_counts_due_steps_and_admissible_jobs(node: Node) -> None:
    set_account(node, "rate = 0.25")
    node.submit(*({"prompt": f"Chair {number}"} for number in range(30)))

    found = demanded(node)

    assert (found.jobs_admissible, found.steps_due, found.bound_by) == (30, 0, "rate")
    assert found.requests_per_minute == found.rate_per_minute == 15


def test_a_backlog_behind_the_window_is_no_demand(node: Node) -> None:
    set_account(node, "max_in_flight = 5, rate = 100")
    node.submit(*({"prompt": f"Chair {number}"} for number in range(30)))

    assert (demanded(node).jobs_admissible, demanded(node).bound_by) == (5, "window")


def test_a_batch_counts_as_far_as_its_cap(node: Node) -> None:
    set_account(node, "rate = 100")
    node.submit(*({"prompt": f"Chair {number}"} for number in range(30)), credit_cap=12)

    assert demanded(node).jobs_admissible == 3


def test_a_paused_batch_and_one_past_its_deadline_are_no_demand(node: Node) -> None:
    late, paused = node.submit({"prompt": "A chair"}), node.submit({"prompt": "A sofa"})
    assert demanded(node).jobs_admissible == 2
    with node.services.database.transaction() as tx:
        tx.execute(text("UPDATE batch SET state = 'paused' WHERE id = :id"), {"id": paused.batch_id})
        passed = {"now": node.clock(), "id": late.batch_id}
        tx.execute(text("UPDATE batch SET deadline_at = :now WHERE id = :id"), passed)

    assert demanded(node).jobs_admissible == 0
