"""One fleet for several accounts: each node serves those whose keys it has, and none holds another one up."""

from collections.abc import Iterator

import pytest

from tests.acceptance import manifests
from tests.acceptance.books import check_images, check_jobs, check_proofs
from tests.acceptance.waiting import until
from tests.acceptance.world import ON_ONE_BROKER, World
from tests.fixtures.provider import Provider, running

pytestmark = pytest.mark.acceptance

JOBS = 30
OF_ACCOUNT = """
    SELECT a.name, count(*)::int AS jobs, count(*) FILTER (WHERE j.state = 'succeeded')::int AS done
    FROM job j JOIN batch b ON b.id = j.batch_id JOIN account a ON a.id = b.account_id GROUP BY a.name"""
SPENT = """
    SELECT coalesce(sum(CASE WHEN e.target = 'spent' THEN e.credits END), 0)::int
        - coalesce(sum(CASE WHEN e.source = 'spent' THEN e.credits END), 0)::int AS credits
    FROM credit_entry e JOIN generation g ON g.id = e.generation_id JOIN account a ON a.id = g.account_id
    WHERE a.name = :name"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"


@pytest.fixture
def studio(world: World) -> Provider:
    """Return a second account of the provider; the Darkroom has the accounts ``shop`` and ``studio``."""
    other = world.provider.sibling("studio")
    world.environment |= {
        "RIVYA_API_KEY": "",
        "DARKROOM_ACCOUNTS": "shop,studio",
        "RIVYA_API_KEY__SHOP": world.provider.key,
        "RIVYA_API_KEY__STUDIO": other.key,
    }
    return other


@pytest.fixture
def pool(world: World, studio: Provider) -> dict[str, Provider]:
    """Return three accounts of one pool; the Darkroom has them as ``club``, ``shop`` and ``studio``."""
    club = world.provider.sibling("club")
    world.environment |= {
        "DARKROOM_ACCOUNTS": "club,shop,studio",
        "RIVYA_API_KEY__CLUB": club.key,
        "DARKROOM_POOLS": "bulk",
        "DARKROOM_MAX_IN_FLIGHT": "5",
    }
    return {"club": club, "shop": world.provider, "studio": studio}


@pytest.fixture
def slow_provider() -> Iterator[Provider]:
    """Yield another provider, which takes longer for each create than a test waits."""
    with running() as provider:
        provider.reset(create_takes_s=35)
        yield provider


def done(world: World, account: str) -> int:
    """Count the images of an account."""
    return sum(row["done"] for row in world.query(OF_ACCOUNT) if row["name"] == account)


def spent(world: World, account: str) -> int:
    credits_: int = world.query(SPENT, name=account)[0]["credits"]
    return credits_


def submit_to(world: World, *accounts: str, jobs: int = JOBS) -> None:
    for account in accounts:
        world.submit(manifests.plain(jobs), token=f"for {account}", account=account)


def test_a_node_works_for_each_account_with_its_key_and_the_books_agree_for_each(
    world: World, studio: Provider
) -> None:
    world.node()
    submit_to(world, "shop", "studio")

    world.wait_until_done()

    assert (done(world, "shop"), done(world, "studio")) == (JOBS, JOBS)
    assert spent(world, "shop") == world.provider.wallet()["charged"] > 0
    assert spent(world, "studio") == studio.wallet()["charged"] > 0
    check_jobs(world)
    check_images(world)
    check_proofs(world)


@ON_ONE_BROKER
def test_the_jobs_of_one_batch_are_made_by_all_accounts_of_its_pool_and_the_books_agree_for_each(
    world: World, pool: dict[str, Provider]
) -> None:
    world.provider.set(latency_median_s=0.5)
    world.node()
    until(lambda: world.count("account", "pools = '{bulk}'") == len(pool), "the node has said its pools")
    world.submit(manifests.plain(JOBS), token="spread", pool="bulk")

    world.wait_until_done()

    charged = {name: account.wallet()["charged"] for name, account in pool.items()}
    assert {name: spent(world, name) for name in pool} == charged
    assert min(charged.values()) > 0
    check_jobs(world)
    check_images(world)
    check_proofs(world)


@ON_ONE_BROKER
def test_no_key_of_an_account_is_in_the_database_or_in_a_log(world: World, studio: Provider) -> None:
    node = world.node()
    submit_to(world, "shop", "studio", jobs=3)
    world.wait_until_done()

    tables = [row["relname"] for row in world.query(TABLES)]
    rows = [world.query(f"SELECT string_agg(t::text, ' ') AS rows FROM {table} t")[0]["rows"] for table in tables]
    everything = " ".join((*filter(None, rows), node.words()))

    assert "for studio" in everything
    assert world.provider.key not in everything
    assert studio.key not in everything


@ON_ONE_BROKER
def test_a_node_without_an_accounts_key_leaves_its_jobs_to_a_node_that_has_it(world: World, studio: Provider) -> None:
    world.node(RIVYA_API_KEY__STUDIO="")
    submit_to(world, "shop", "studio")

    until(lambda: done(world, "shop") == JOBS, "the first account's jobs are done")
    begun = world.count("generation g JOIN account a ON a.id = g.account_id", "a.name = 'studio'")
    world.node(RIVYA_API_KEY__SHOP="")
    world.wait_until_done()

    assert begun == 0
    assert spent(world, "studio") == studio.wallet()["charged"]


@ON_ONE_BROKER
def test_two_nodes_with_a_key_each_do_their_own_accounts_jobs_beside_each_other(world: World, studio: Provider) -> None:
    world.node(RIVYA_API_KEY__STUDIO="")
    world.node(RIVYA_API_KEY__SHOP="")
    submit_to(world, "shop", "studio")

    # Shorter than a lease: no step of an account went to the node that cannot do it.
    world.wait_until_done(timeout_s=18)

    assert spent(world, "shop") == world.provider.wallet()["charged"]
    assert spent(world, "studio") == studio.wallet()["charged"]


@pytest.mark.parametrize("trouble", ["revoked", "no credits"])
@ON_ONE_BROKER
def test_a_paused_account_holds_up_no_other(world: World, studio: Provider, trouble: str) -> None:
    if trouble == "revoked":
        studio.revoke()
    else:
        studio.fund(0)
    world.node()
    submit_to(world, "studio", "shop")

    until(lambda: done(world, "shop") == JOBS, "the other account's jobs are done")
    # A wallet that was read as empty before the first create stops the creates without a pause.
    stopped = "name = 'studio' AND (pause_reason IS NOT NULL OR wallet_left = 0)"
    until(lambda: world.count("account", stopped) == 1, "it does no paid work")

    assert done(world, "studio") == 0
    assert studio.wallet()["charged"] == 0
    assert world.count("account", "name <> 'studio' AND pause_reason IS NOT NULL") == 0


@ON_ONE_BROKER
def test_a_provider_that_hangs_for_one_account_takes_no_threads_of_another(
    world: World, studio: Provider, slow_provider: Provider
) -> None:
    world.environment |= {"RIVYA_BASE_URL__STUDIO": slow_provider.base_url, "RIVYA_API_KEY__STUDIO": slow_provider.key}
    world.node(DARKROOM_CONCURRENCY="3")
    submit_to(world, "studio")
    until(lambda: world.count("generation", "state = 'sending'") >= 3, "all threads of the first wait for its provider")

    submit_to(world, "shop")
    until(lambda: done(world, "shop") == JOBS, "the other account's jobs are done", timeout_s=25)

    assert done(world, "studio") == 0


def test_after_kill_9_the_books_of_each_account_are_exact(world: World, studio: Provider) -> None:
    world.provider.set(latency_median_s=0.3, slow_s=2.0, faults={"create": {"slow": 0.2}})
    killed = world.node()
    submit_to(world, "shop", "studio")
    until(lambda: world.count("generation", "state = 'sending'") >= 3 and world.count("result") >= 3, "it is at work")

    killed.kill()
    world.provider.set(faults={})
    world.pass_time()
    world.node()
    world.wait_until_done_in_haste()

    assert (done(world, "shop"), done(world, "studio")) == (JOBS, JOBS)
    assert spent(world, "shop") == world.provider.wallet()["charged"]
    assert spent(world, "studio") == studio.wallet()["charged"]
    check_proofs(world)


@ON_ONE_BROKER
def test_a_node_with_another_accounts_key_is_refused_that_account_and_serves_its_others(
    world: World, studio: Provider
) -> None:
    world.provider.set(latency_median_s=600)
    world.node()
    submit_to(world, "studio", jobs=5)
    until(lambda: world.count("generation", "state = 'accepted'") >= 3, "work is open under the first key")
    stranger = world.provider.sibling("stranger")

    misled = world.node(RIVYA_API_KEY__STUDIO=stranger.key)
    world.provider.set(latency_median_s=0)
    world.provider.advance(3_600)
    submit_to(world, "shop")
    world.wait_until_done()

    assert "account.not_served" in misled.words()
    assert "message.of_another_account" not in misled.words()
    assert stranger.wallet()["charged"] == 0
    assert spent(world, "studio") == studio.wallet()["charged"] > 0
