"""The jobs of one batch are spread over the accounts of its pool, and each stays with the account that began it."""

from datetime import timedelta

import pytest

from tests.archive.conftest import LATER, broken
from tests.fixtures import pictures
from tests.pipeline.pools.conftest import NAMES, Fleet
from worker.batches import deadlines
from worker.batches.queries import explaining
from worker.engine import dispatch
from worker.intake.write import RequestsRefused

MEMBERS = """
    SELECT a.name FROM batch_account m JOIN account a ON a.id = m.account_id
    WHERE m.batch_id = :batch ORDER BY a.name"""
ATTEMPTS = """
    SELECT j.line, array_agg(a.name ORDER BY g.number) AS accounts FROM generation g
    JOIN job j ON j.id = g.job_id JOIN account a ON a.id = g.account_id GROUP BY j.line ORDER BY j.line"""


def charged(fleet: Fleet) -> dict[str, int]:
    """Return what each account at the provider was charged."""
    return {name: provider.wallet()["charged"] for name, provider in fleet.providers.items()}


def test_all_accounts_of_a_pool_make_the_images_of_one_batch(fleet: Fleet) -> None:
    receipt = fleet.submit(12)
    fleet.limit(window=4)

    fleet.run()

    assert fleet.any.jobs() == ["succeeded"] * 12
    assert [row["name"] for row in fleet.any.query(MEMBERS, batch=receipt.batch_id)] == list(NAMES)
    assert set(fleet.accounts()) == set(NAMES)
    assert charged(fleet) == {name: 4 * fleet.accounts().count(name) for name in NAMES}
    assert broken(fleet.any) == {}


def test_a_job_belongs_to_no_account_before_one_begins_it(fleet: Fleet) -> None:
    fleet.submit(3)
    fleet.limit(window=1)
    before = fleet.accounts()

    dispatch.run(fleet.nodes["studio"].services)

    assert (before, fleet.accounts()) == ([None] * 3, ["studio", None, None])


def test_each_attempt_at_a_job_is_made_by_the_same_account(fleet: Fleet) -> None:
    fleet.submit(3)
    fleet.limit(window=1)
    for provider in fleet.providers.values():
        provider.script(("create", 1, "fail_generation"))

    fleet.run()

    found = [row["accounts"] for row in fleet.any.query(ATTEMPTS)]
    assert fleet.any.jobs() == ["succeeded"] * 3
    assert any(len(each) > 1 for each in found)
    assert all(len(set(each)) == 1 for each in found)
    assert broken(fleet.any) == {}


def test_a_job_that_one_account_has_begun_is_not_taken_by_another(fleet: Fleet) -> None:
    fleet.submit(2)
    fleet.limit(window=1)
    fleet.providers["shop"].fund(0)
    fleet.nodes["shop"].round()
    fleet.nodes["shop"].run_for(timedelta(seconds=1))
    begun = fleet.accounts()

    fleet.run(["club", "studio"])

    assert begun == ["shop", None]
    assert fleet.states("shop") == ["pending"]
    assert fleet.any.jobs() == ["pending", "succeeded"]


def test_a_paused_account_holds_up_only_what_it_has_begun_and_makes_it_when_it_works_again(fleet: Fleet) -> None:
    fleet.submit(12)
    fleet.limit(window=2)
    fleet.providers["shop"].revoke()
    fleet.nodes["shop"].round()
    shop = fleet.accounts().count("shop")

    fleet.run(["club", "studio"])
    others = [state for name in ("club", "studio") for state in fleet.states(name)]
    fleet.providers["shop"].revoke(is_revoked=False)
    fleet.nodes["shop"].run_for(timedelta(hours=1))

    assert (shop, others) == (2, ["succeeded"] * 10)
    assert fleet.states("shop") == ["succeeded"] * 2
    assert broken(fleet.any) == {}


def test_jobs_of_another_account_take_none_of_the_slots_and_end_no_batch(fleet: Fleet) -> None:
    """Else a batch whose last jobs wait for one account would count as empty once another has looked at it."""
    receipt = fleet.submit(1)
    fleet.limit(window=1)
    fleet.providers["shop"].revoke()
    fleet.nodes["shop"].round()

    looks = [dispatch.run(fleet.nodes["club"].services).tickets for _ in range(3)]
    [batch] = fleet.any.query("SELECT has_pending FROM batch WHERE id = :id", id=receipt.batch_id)

    assert (looks, batch["has_pending"]) == ([()] * 3, True)


def test_a_round_that_found_the_batch_with_another_account_looks_again_at_once(fleet: Fleet) -> None:
    """Else its slots would go by until the next look, a second later."""
    receipt = fleet.submit(3)
    club = fleet.nodes["club"]

    with club.services.database.engine.begin() as other:
        other.exec_driver_sql("SELECT 1 FROM batch WHERE id = %(id)s FOR UPDATE", {"id": receipt.batch_id})
        decided = dispatch.run(club.services)

    assert decided.tickets == ()
    assert decided.look_again_at == club.clock() + dispatch.CONTENDED_WAIT
    assert dispatch.run(club.services).tickets != ()


def test_an_account_that_joins_the_pool_later_has_no_part_in_the_batch(fleet: Fleet) -> None:
    fleet.submit(1)
    stranger = fleet.any.query("SELECT count(*) AS accounts FROM batch_account")[0]["accounts"]
    fleet.any.query("UPDATE account SET pools = '{}' WHERE name = 'club' RETURNING id")

    later = fleet.any.submit({"prompt": "Later"}, pool="bulk")

    assert (stranger, len(fleet.any.query(MEMBERS, batch=later.batch_id))) == (3, 2)


def test_a_pool_of_one_account_is_that_account(fleet: Fleet) -> None:
    fleet.any.query("UPDATE account SET pools = '{}' WHERE name <> 'shop' RETURNING id")

    fleet.submit(1)

    [batch] = fleet.any.query("SELECT b.pool, a.name FROM batch b JOIN account a ON a.id = b.account_id")
    assert batch == {"pool": None, "name": "shop"}
    assert fleet.any.query("SELECT * FROM batch_account") == []


def test_while_a_node_of_an_older_version_runs_one_account_of_the_pool_has_all_jobs(fleet: Fleet) -> None:
    """It would take all jobs of the batch for its account's own, whoever began them."""
    fleet.any.query("""
        INSERT INTO node (id, name, started_at, seen_at, clock_offset_s, version, knows)
        VALUES (gen_random_uuid(), 'old', clock_timestamp(), clock_timestamp(), 0, '0.1.0', '0078') RETURNING id""")

    fleet.submit(3)

    assert fleet.any.query("SELECT pool FROM batch") == [{"pool": None}]


def test_accounts_whose_images_lie_in_different_stores_share_no_batch(fleet: Fleet) -> None:
    fleet.any.query("UPDATE account SET store_id = gen_random_uuid() WHERE name <> 'club' RETURNING id")

    with pytest.raises(RequestsRefused) as refused:
        fleet.submit(1)

    [fault] = refused.value.faults
    assert (fault.line, fault.field) == (0, "pool")
    assert "different stores: shop in" in fault.reason


def test_a_deadline_is_kept_by_whichever_account_of_the_pool_has_a_node(fleet: Fleet) -> None:
    fleet.submit(2, deadline="1h")

    ended = [
        deadlines.end_passed(node.services.database, node.services.account_id, now=LATER).failed
        for node in fleet.nodes.values()
    ]

    assert (ended, fleet.any.jobs()) == ([2, 0, 0], ["failed"] * 2)


def test_each_account_uploads_a_reference_to_itself_once(fleet: Fleet) -> None:
    pictures.reference(fleet.any.folder, "chair.png")
    fleet.any.submit(*[{"prompt": f"{n}", "reference": "chair.png"} for n in range(6)], pool="bulk")
    fleet.limit(window=2)

    fleet.run()

    uploads = fleet.any.query("SELECT a.name FROM upload u JOIN account a ON a.id = u.account_id ORDER BY a.name")
    assert fleet.any.jobs() == ["succeeded"] * 6
    assert [row["name"] for row in uploads] == sorted(set(filter(None, fleet.accounts())))
    assert broken(fleet.any) == {}


def test_status_and_explain_name_what_stops_the_same_account_of_a_pool(fleet: Fleet) -> None:
    """All are paused; the first by name is closed to requests too, so that another is nearer to working."""
    receipt = fleet.submit(1)
    fleet.any.query(
        """
        UPDATE account SET paused_at = :now, pause_message = name,
            pause_reason = CASE name WHEN 'club' THEN 'api_key_revoked' ELSE 'insufficient_credits' END,
            blocked_until = CASE name WHEN 'club' THEN timestamptz '9000-01-01' END RETURNING id""",
        now=fleet.any.clock(),
    )

    with fleet.any.services.database.transaction() as tx:
        explained = explaining.batch(tx, receipt.batch_id)
    obstacle = fleet.any.overview().obstacle

    assert explained.pause_reason == "insufficient_credits"
    assert obstacle is not None
    assert "shop" in obstacle.reason
