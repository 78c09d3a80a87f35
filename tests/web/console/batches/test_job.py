"""A job's page: what happens next, and its life so far."""

from uuid import UUID

import pytest
from sqlalchemy import text

from tests.web.api.client import client, end_jobs
from tests.web.console.batches.test_batches import submitted
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.batches import explaining
from worker.node.queries import nodes
from worker.node.queries.nodes import Beat

NOBODY = "01a226fb-54b2-7744-9e6d-edb8c238260d"


def jobs_of(web: Web, batch: str) -> list[str]:
    with web.context.database.transaction() as tx:
        found = tx.execute(text("SELECT id FROM job WHERE batch_id = :id ORDER BY line"), {"id": batch}).scalars()
        return [str(each) for each in found]


def begin(web: Web, job: str) -> None:
    """Write what a node has written when the provider was asked once and did not answer."""
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        for statement in _BEGUN:
            tx.execute(text(statement), {"job": job})


_BEGUN = (
    """
    INSERT INTO generation (id, job_id, batch_id, account_id, number, idempotency_key, body, state, held, sends,
        answers, admitted_at, provider_id)
    SELECT j.id, j.id, j.batch_id, b.account_id, 1, 'darkroom-' || j.id, 'x', 'sending', 4, 1, 0,
        now() - interval '1 min', 'task-17'
    FROM job j JOIN batch b ON b.id = j.batch_id WHERE j.id = :job""",
    """
    INSERT INTO credit_entry (batch_id, generation_id, kind, source, target, credits, posted_at)
    SELECT batch_id, id, 'hold', 'cap', 'held', 4, admitted_at FROM generation WHERE id = :job""",
    """
    INSERT INTO call (started_at, account_id, generation_id, kind, send, is_late, outcome, message, recorded_at)
    SELECT now() - interval '50 s', account_id, id, 'create', 1, false, 'unknown', 'no answer within 40 s', now()
    FROM generation WHERE id = :job""",
    "UPDATE job SET state = 'active', generations = 1 WHERE id = :job",
    """
    INSERT INTO step (job_id, generation_id, account_id, kind, due_at, attempts, error, since)
    SELECT id, id, account_id, 'submit', now() + interval '5 min', 1, 'no answer within 40 s', now()
    FROM generation WHERE id = :job""",
)


def test_every_call_and_entry_is_in_the_timeline_in_its_order(web: Web) -> None:
    [job] = jobs_of(web, submitted(client(web), "vases"))
    begin(web, job)

    said = text_of(get(signed_in(web), web, f"/jobs/{job}"))

    places = [
        said.index(each)
        for each in (
            "Ledger: hold 4 credits from cap to held, attempt 1",
            "Asked the provider to render it attempt 1 · no answer was seen · unknown · no answer within 40 s",
        )
    ]
    assert places == sorted(places)
    assert "Submitted with the batch vases" in said


def test_waiting_for_a_node_is_told_from_being_lost(web: Web) -> None:
    [job] = jobs_of(web, submitted(client(web), "vases"))
    begin(web, job)

    said = text_of(get(signed_in(web), web, f"/jobs/{job}"))

    assert "Active: it needs you" in said
    assert "No worker node of this database is alive; nothing of it is known to be at the provider yet" in said
    assert "To do: start a worker node: darkroom up" in said


def test_the_page_says_what_the_command_says(web: Web) -> None:
    batch = submitted(client(web), "vases")
    [job] = jobs_of(web, batch)
    begin(web, job)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE step SET attempts = 2, error = 'a `<b>` came'"))
        nodes.beat(tx, Beat(node_id=UUID(NOBODY), name="n", version="1", round_age_s=1, clock_offset_s=0))
    with web.context.database.transaction() as tx:
        found = explaining.explain_job(tx, UUID(job), nodes=1, now=web.context.clock())
    assert found is not None

    page = get(signed_in(web), web, f"/jobs/{job}")

    said = text_of(page)
    assert f"Active: {found.verdict.words}" in said
    assert found.why[1:].replace("`", "") in said
    assert f"Next: {found.next}, in 4 min" in said or f"Next: {found.next}, in 5 min" in said
    assert "<code>&lt;b&gt;</code>" in page.text


def test_what_keeps_a_pending_job_is_said_with_the_next_step(web: Web) -> None:
    shop = client(web)
    batch = submitted(shop, "vases")
    shop.post(f"/batches/{batch}/pause", json={"reason": "a sale"})
    [job] = jobs_of(web, batch)

    said = text_of(get(signed_in(web), web, f"/jobs/{job}"))

    assert "Pending: it needs you It is not begun: batch paused by token:shop@tester: a sale; nothing is held" in said
    assert "To do: darkroom resume" in said


def test_a_job_that_has_failed_says_with_what(web: Web) -> None:
    batch = submitted(client(web), "vases")
    end_jobs(web.context.database, batch, [1])
    [job] = jobs_of(web, batch)

    said = text_of(get(signed_in(web), web, f"/jobs/{job}"))

    assert "with made_up" in said
    assert "Retry it on its batch's page" in said


@pytest.mark.parametrize("job", [NOBODY, "nonsense"])
def test_a_job_that_there_is_not_is_said_on_a_page(web: Web, job: str) -> None:
    assert "there is no such job" in get(signed_in(web), web, f"/jobs/{job}", status=404).text
