"""A batch's page splits its time into our queue, the provider, the detection of the end, and the download."""

from pathlib import Path

from sqlalchemy import text

from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.console.pages import get, signed_in, text_of
from worker.batches.queries import throughput

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]


def test_the_clocks_of_a_batch_are_shown_apart_where_the_provider_dates_the_end(
    node: Node, sandbox: Provider, database_url: str, tmp_path: Path
) -> None:
    sandbox.set(latency_median_s=0.2)
    receipt = node.submit({"prompt": "A vase"}, {"prompt": "A bowl"})
    node.run_until_quiet()
    kept = node.query("SELECT took_ms BETWEEN 1 AND 4000 AS is_kept FROM generation")

    with catalog.shown(node, database_url, tmp_path) as web:
        browser, path = signed_in(web, "viewer"), f"/batches/{receipt.batch_id}"
        with web.context.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            tx.execute(text("UPDATE generation SET took_ms = 2000, ended_at = accepted_at + interval '5 s'"))
        with web.context.database.transaction() as tx:
            found = {each.clock: each for each in throughput.clocks(tx, receipt.batch_id)}
        dated = text_of(get(browser, web, path))
        with web.context.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            tx.execute(text("UPDATE generation SET took_ms = NULL"))
        undated = text_of(get(browser, web, path))

    assert kept == [{"is_kept": True}] * 2
    assert "Where the time goes 2 images of the first attempt" in dated
    assert "At the provider, as it says" in dated
    assert "From its end until it was seen" in dated
    assert (found["provider"].half_s, found["detection"].half_s, found["detection"].images) == (2.0, 3.0, 2)
    assert "At the provider, until its end was seen 5.0 s" in undated
    assert "From its end until it was seen" not in undated


def test_what_a_webhook_says_has_ended_is_counted_apart(node: Node, database_url: str, tmp_path: Path) -> None:
    receipt = node.submit({"prompt": "A vase"}, {"prompt": "A bowl"})
    with catalog.shown(node, database_url, tmp_path) as web:
        browser = signed_in(web, "viewer")
        with web.context.database.engine.begin() as tx:
            tx.execute(text("SET LOCAL ROLE NONE"))
            tx.execute(text(_AT_THE_PROVIDER))
        said = text_of(get(browser, web, f"/batches/{receipt.batch_id}"))
        listed = text_of(get(browser, web, "/batches"))

    assert "1 ended there 1 at the provider 0 in our queue" in said
    assert "1 at the provider · 1 ended there" in listed


_AT_THE_PROVIDER = """
    WITH begun AS (
        INSERT INTO generation (id, job_id, batch_id, account_id, number, idempotency_key, body, state, held, reserved,
            sends, answers, admitted_at, first_sent_at, accepted_at, provider_id)
        SELECT j.id, j.id, j.batch_id, b.account_id, 1, 'darkroom-' || j.id, 'x', 'accepted', 4, 4, 1, 0, now(), now(),
            now(), 'task-' || j.line
        FROM job j JOIN batch b ON b.id = j.batch_id RETURNING id, account_id, provider_id),
    moved AS (UPDATE job SET state = 'active', generations = 1)
    INSERT INTO step (job_id, generation_id, account_id, kind, due_at, since, looked_at, hinted_at)
    SELECT id, id, account_id, 'poll', now() + interval '5 min', now(), now() - interval '1 min',
        CASE WHEN provider_id = 'task-1' THEN now() END
    FROM begun"""
