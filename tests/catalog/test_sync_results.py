"""What comes of an image when its job has ended: live, candidate or failed, whatever happened in between."""

from datetime import timedelta

from tests.catalog.shop import Shop, reasons
from tests.fixtures.provider import Provider
from tests.pipeline import books
from tests.pipeline.conftest import NodeFor
from worker.batches import control
from worker.catalog.publishing import SyncedResults
from worker.catalog.queries import catalogs

RED = {"sku": "c1", "colour": "red"}
BLUE = {"sku": "c2", "colour": "blue"}
HISTORY = "SELECT actor, reason FROM catalog_live ORDER BY from_at, id"


def test_an_image_goes_live_by_itself_without_review(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)
    shop.node.run_until_quiet()

    assert shop.sync_results() == SyncedResults(live=1)
    assert shop.renders() == [("c1", "live")]
    assert shop.node.query(HISTORY) == [{"actor": "darkroom", "reason": "no review"}]


def test_an_image_waits_as_a_candidate_with_review(shop: Shop) -> None:
    shop.bring_in(RED, review="required")
    shop.refresh()

    assert shop.renders() == [("c1", "candidate")]
    assert shop.live() == {}
    assert reasons(shop.plan()) == {"c1": ["(waits for review)"]}


def test_a_second_sync_finds_nothing(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.refresh()

    assert shop.sync_results() == SyncedResults()


def test_what_is_under_way_is_left_alone(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)

    assert shop.sync_results() == SyncedResults()
    assert shop.renders() == [("c1", "planned")]


def test_a_live_image_stays_when_the_next_one_fails_and_the_next_plan_tries_again(
    shop: Shop, sandbox: Provider
) -> None:
    shop.bring_in(RED)
    shop.refresh()
    shop.bring_in({**RED, "colour": "black"})
    sandbox.script(("create", 1, "charge_failed"))
    shop.refresh()
    live = shop.live()

    plan = shop.refresh()

    assert live == {"c1": "A red chair"}
    assert reasons(plan) == {"c1": ["failed before", "prompt changed"]}
    assert shop.live() == {"c1": "A black chair"}
    assert shop.renders() == [("c1", "superseded"), ("c1", "superseded"), ("c1", "live")]
    books.check_all_done(shop.node, sandbox)


def test_a_failed_job_that_is_retried_still_goes_live(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED)
    sandbox.script(("create", 1, "charge_failed"))
    batch_id = shop.apply(shop.plan().id).batch_id
    shop.node.run_until_quiet()
    failed = shop.sync_results()
    assert batch_id is not None
    control.retry_failed(shop.node.services.database, batch_id, shop.node.author(), approve_above=None)
    shop.node.run_until_quiet()

    assert failed == SyncedResults(failed=1)
    assert shop.sync_results() == SyncedResults(live=1)


def test_an_image_of_content_that_changed_meanwhile_never_goes_live(shop: Shop, sandbox: Provider) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)
    shop.bring_in({**RED, "colour": "black"})
    shop.apply(shop.plan().id)
    shop.node.run_until_quiet()

    assert shop.sync_results() == SyncedResults(live=1)
    assert shop.live() == {"c1": "A black chair"}
    assert [state for _, state in shop.renders()] == ["superseded", "live"]
    books.check_all_done(shop.node, sandbox)


def test_an_image_of_an_item_that_was_removed_meanwhile_does_not_go_live(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.apply(shop.plan().id)
    shop.bring_in(BLUE)
    shop.node.run_until_quiet()

    assert shop.sync_results() == SyncedResults(live=1, candidates=1)
    assert shop.live() == {"c2": "A blue chair"}


def test_a_cancelled_job_leaves_the_item_for_the_next_plan(shop: Shop) -> None:
    shop.bring_in(RED)
    batch_id = shop.apply(shop.plan().id).batch_id
    assert batch_id is not None
    control.cancel(shop.node.services.database, batch_id, now=shop.node.clock())

    assert shop.sync_results() == SyncedResults(failed=1)
    assert reasons(shop.plan()) == {"c1": ["failed before"]}


def test_a_catalog_that_is_locked_by_a_change_is_left_for_the_next_time(shop: Shop) -> None:
    shop.bring_in(RED)
    shop.apply(shop.plan().id)
    shop.node.run_until_quiet()

    with shop.node.services.database.transaction() as tx:
        catalogs.lock(tx, shop.row().id)
        meanwhile = shop.sync_results()

    assert (meanwhile, shop.sync_results()) == (SyncedResults(), SyncedResults(live=1))


def test_an_image_in_doubt_is_never_rendered_again_by_itself(node_for: NodeFor, sandbox: Provider) -> None:
    shop = Shop(node=node_for(window=timedelta(seconds=1)))
    shop.bring_in(RED)
    sandbox.script(*(("create", nth, "lost_reply") for nth in range(1, 4)))
    shop.refresh()

    assert shop.node.jobs() == ["in_doubt"]
    assert reasons(shop.plan(forced=["c1"])) == {"c1": ["(being rendered)"]}


def test_an_image_whose_item_was_gone_when_it_came_goes_live_when_the_item_is_back(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.apply(shop.plan().id)
    shop.bring_in(RED)
    shop.node.run_until_quiet()
    meanwhile = shop.sync_results()
    shop.bring_in(RED, BLUE)

    assert (meanwhile, shop.sync_results()) == (SyncedResults(live=1, candidates=1), SyncedResults(live=1))
    assert shop.live() == {"c1": "A red chair", "c2": "A blue chair"}


def test_an_image_whose_item_is_gone_is_not_looked_at_again_and_again(shop: Shop) -> None:
    shop.bring_in(RED, BLUE)
    shop.apply(shop.plan().id)
    shop.bring_in(RED)
    shop.node.run_until_quiet()
    shop.sync_results()

    assert shop.sync_results() == SyncedResults()


def test_an_image_that_waits_for_a_person_still_does_when_the_recipe_no_longer_asks_for_that(shop: Shop) -> None:
    shop.bring_in(RED, review="required")
    shop.refresh()
    shop.bring_in(RED, review="none")

    assert shop.sync_results() == SyncedResults()
    assert reasons(shop.plan()) == {"c1": ["(waits for review)"]}
