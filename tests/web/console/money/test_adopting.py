"""A generation in doubt is left with the provider's task that it is, in the console, with the provider's word."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from tests.fixtures.provider import Provider
from tests.pipeline.conftest import clock, folder, lost, node, node_for, process, sandbox
from tests.pipeline.doubts import doubtful
from tests.pipeline.node import Node
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.settings import Settings
from worker.web import server

__all__ = ["clock", "folder", "lost", "node", "node_for", "process", "sandbox"]

WHY = {"decision": "adopt", "reason": "it is in the account's history"}


@pytest.fixture
def web(lost: Node, sandbox: Provider, database_url: str, tmp_path: Path) -> Iterator[Web]:
    settings = Settings.model_validate({}).model_copy(
        update={
            "database_url": SecretStr(database_url),
            "home": tmp_path,
            "store": str(lost.folder),
            "base_url": sandbox.base_url,
            "api_key": SecretStr(sandbox.key),
        }
    )
    opened = server.context(settings)
    with serving(opened) as found:
        yield found
    opened.database.close()


def sent_now(web: Web) -> None:
    """Date what the node sent by the clock of the provider, which is the real one."""
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("UPDATE generation SET first_sent_at = now(), last_sent_at = now()"))


def test_a_doubt_is_left_with_its_task_in_the_name_of_who_is_signed_in(web: Web, lost: Node, sandbox: Provider) -> None:
    sent_now(web)
    finance, task = signed_in(web, "finance"), sandbox.tasks()[0]["id"]
    shown = get(finance, web, "/in-doubt")

    done = finance.post(f"{web.url}/in-doubt/{doubtful(lost)}", data={**WHY, "task": task}, timeout=30)

    assert "It is a task of the provider" in text_of(shown)
    assert "to the provider Sent Call Outcome Answer" in text_of(shown)
    assert "Decided: it is that task" in text_of(done)
    assert lost.jobs() == ["active"]
    signed = lost.query("SELECT actor, reason FROM credit_entry WHERE kind = 'reserve'")
    assert signed == [{"actor": "web:finance", "reason": WHY["reason"]}]


def test_another_task_is_refused_with_the_reason_and_a_misdated_one_is_taken_by_force(
    web: Web, lost: Node, sandbox: Provider
) -> None:
    finance, task, path = signed_in(web, "finance"), sandbox.tasks()[0]["id"], f"{web.url}/in-doubt/{doubtful(lost)}"
    unknown = finance.post(path, data={**WHY, "task": "task_of_another"}, timeout=30)
    misdated = finance.post(path, data={**WHY, "task": task}, timeout=30)
    before = lost.jobs()
    forced = finance.post(path, data={**WHY, "task": task, "force": "1"}, timeout=30)

    assert (unknown.status_code, "knows no such task" in text_of(unknown)) == (409, True)
    assert (misdated.status_code, "it was created" in text_of(misdated)) == (409, True)
    assert (before, forced.status_code, lost.jobs()) == (["in_doubt"], 200, ["active"])


def test_a_dear_task_is_taken_by_two_people(web: Web, lost: Node, sandbox: Provider) -> None:
    sent_now(web)
    task = sandbox.tasks()[0]["id"]
    with serving(with_settings(web.context, approve_above=2)) as careful:
        path = f"{careful.url}/in-doubt/{doubtful(lost)}"
        first = signed_in(careful, "finance").post(path, data={**WHY, "task": task}, timeout=30)
        before = lost.jobs()
        second = signed_in(careful).post(path, data={**WHY, "task": task}, timeout=30)

    assert (first.status_code, before) == (409, ["in_doubt"])
    assert (second.status_code, lost.jobs()) == (200, ["active"])


def test_without_a_key_of_the_provider_it_is_said_what_is_missing(web: Web, lost: Node) -> None:
    with serving(with_settings(web.context, api_key=None)) as keyless:
        path = f"{keyless.url}/in-doubt/{doubtful(lost)}"
        answer = signed_in(keyless, "finance").post(path, data={**WHY, "task": "task_1"}, timeout=30)

    assert (answer.status_code, "RIVYA_API_KEY" in text_of(answer)) == (503, True)
