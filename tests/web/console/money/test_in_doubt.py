"""What is in doubt is shown with its evidence, and decided by who may, with a reason."""

import pytest
from sqlalchemy import text

from tests.web.api.client import client
from tests.web.console.batches.test_batches import submitted
from tests.web.console.batches.test_job import begin, jobs_of
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.web.context import WebContext

WHY = {"reason": "the provider's invoice"}


def doubted(web: Web) -> str:
    """Leave one generation in doubt; its id is that of its job."""
    batch = submitted(client(web, "doubter"), "doubted", owner="studio")
    [job] = jobs_of(web, batch)
    begin(web, job)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("DELETE FROM step WHERE job_id = :id"), {"id": job})
        tx.execute(text("UPDATE job SET state = 'in_doubt', ended_at = now() WHERE id = :id"), {"id": job})
        tx.execute(
            text("""
                UPDATE generation SET state = 'in_doubt', ended_at = now(), error_code = 'no_answer',
                    first_sent_at = admitted_at, last_sent_at = admitted_at, provider_id = NULL WHERE id = :id"""),
            {"id": job},
        )
        tx.execute(text("UPDATE batch SET committed = 4 WHERE id = :id"), {"id": batch})
        tx.execute(
            text("""INSERT INTO owner_month (owner, month, committed)
                VALUES ('studio', date_trunc('month', now() AT TIME ZONE 'UTC'), 4)""")
        )
    return job


def state_of(web: Web, generation: str) -> tuple[str, int]:
    with web.context.database.transaction() as tx:
        row = tx.execute(
            text("""
                SELECT g.state, (SELECT coalesce(sum(credits), 0) FROM credit_entry WHERE generation_id = g.id
                    AND target = 'spent') AS spent FROM generation g WHERE id = :id"""),
            {"id": generation},
        ).one()
        return row.state, int(row.spent)


def test_the_evidence_is_shown_to_who_may_read_and_the_decisions_to_who_may_decide(web: Web) -> None:
    doubted(web)

    reader, decider = (get(signed_in(web, role), web, "/in-doubt") for role in ("viewer", "finance"))

    assert "At stake 4 credits held" in text_of(reader)
    assert "It was not charged" not in reader.text
    assert "It was not charged" in decider.text


@pytest.mark.parametrize(
    ("fields", "state"),
    [({"decision": "not-charged"}, ("void", 0)), ({"decision": "charged", "credits": "3"}, ("failed", 3))],
)
def test_a_decision_moves_the_credits_and_carries_name_and_reason(
    web: Web, fields: dict[str, str], state: tuple[str, int]
) -> None:
    generation, browser = doubted(web), signed_in(web, "finance")

    answer = browser.post(f"{web.url}/in-doubt/{generation}", data={**fields, **WHY}, timeout=10)

    assert (state_of(web, generation), "Nothing is in doubt" in answer.text) == (state, True)
    assert "by web:finance: the provider's invoice" in text_of(get(browser, web, f"/jobs/{generation}"))


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"decision": "not-charged"}, 422),
        ({"decision": "charged", "credits": "many", **WHY}, 422),
        ({"decision": "charged", "credits": "0", **WHY}, 422),
        ({"decision": "perhaps", **WHY}, 422),
        ({"decision": "charged", "credits": "5", **WHY}, 409),
    ],
)
def test_a_decision_without_reason_or_with_impossible_credits_changes_nothing(
    web: Web, fields: dict[str, str], status: int
) -> None:
    generation = doubted(web)

    answer = signed_in(web, "finance").post(f"{web.url}/in-doubt/{generation}", data=fields, timeout=10)

    assert (answer.status_code, state_of(web, generation)) == (status, ("in_doubt", 0))


def test_who_may_only_read_decides_nothing(web: Web) -> None:
    generation = doubted(web)

    answer = signed_in(web, "operator").post(
        f"{web.url}/in-doubt/{generation}", data={"decision": "not-charged", **WHY}, timeout=10
    )

    assert (answer.status_code, state_of(web, generation)) == (403, ("in_doubt", 0))


def test_what_was_decided_meanwhile_is_said(web: Web) -> None:
    generation, browser = doubted(web), signed_in(web)
    decision = {"decision": "not-charged", **WHY}
    browser.post(f"{web.url}/in-doubt/{generation}", data=decision, timeout=10)

    again = browser.post(f"{web.url}/in-doubt/{generation}", data=decision, timeout=10)

    assert (again.status_code, "not in doubt" in again.text) == (409, True)


def test_what_is_dear_takes_two_people(context: WebContext) -> None:
    with serving(with_settings(context, approve_above=2)) as web:
        generation, first = doubted(web), signed_in(web, "finance")
        second = web.browser(web.user("ann", "finance"))
        decision = {"decision": "not-charged", **WHY}

        asked = first.post(f"{web.url}/in-doubt/{generation}", data=decision, timeout=10)
        between = state_of(web, generation)
        second.post(f"{web.url}/in-doubt/{generation}", data=decision, timeout=10)

        assert (asked.status_code, between, state_of(web, generation)) == (409, ("in_doubt", 0), ("void", 0))
