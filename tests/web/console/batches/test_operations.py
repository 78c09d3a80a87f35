"""An action on many batches is previewed, started and followed in the console, by who may control batches."""

import pytest
import requests
from sqlalchemy import text

from tests.web.api.client import client, end_jobs
from tests.web.console.batches.test_batch import state_of
from tests.web.console.batches.test_batches import submitted
from tests.web.console.pages import get, names_of, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.web.context import WebContext

PAUSE = {"action": "pause", "owner": "studio", "reason": "the sale"}


def ordered(browser: requests.Session, web: Web, fields: dict[str, str]) -> str:
    """Order a preview; return the path of its page."""
    answer = browser.post(f"{web.url}/operations", data=fields, timeout=30, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def test_a_previewed_action_is_done_when_it_is_started_and_only_to_what_was_shown(web: Web) -> None:
    shop, browser = client(web), signed_in(web, "operator")
    meant, other = submitted(shop, "meant", owner="studio"), submitted(shop, "other", owner="shop")
    path = ordered(browser, web, PAUSE)
    late = submitted(shop, "late", owner="studio")

    preview = get(browser, web, path)
    before = state_of(web, meant)
    done = browser.post(f"{web.url}{path}/start", timeout=30)

    assert names_of(preview) == ["meant"]
    assert "Reaches 1 job, 4 credits" in text_of(preview)
    assert (before, "Done 1 of 1" in text_of(done)) == ("open", True)
    assert [state_of(web, each) for each in (meant, other, late)] == ["paused", "open", "open"]
    listed = text_of(get(browser, web, "/operations"))
    assert "Pause: owner studio web:operator: the sale done" in listed


def test_a_discarded_preview_changes_nothing(web: Web) -> None:
    batch, browser = submitted(client(web), "meant", owner="studio"), signed_in(web, "operator")
    path = ordered(browser, web, PAUSE)

    browser.post(f"{web.url}{path}/cancel", timeout=30)
    late = browser.post(f"{web.url}{path}/start", timeout=30)

    assert (late.status_code, "is cancelled already" in text_of(late)) == (409, True)
    assert state_of(web, batch) == "open"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"action": "pause"}, "must name a condition"),
        ({"action": "pause", "all": "1", "owner": "studio"}, "must name a condition"),
        ({"action": "explode", "all": "1"}, "action"),
        ({"action": "reprioritise", "all": "1"}, "neither priority nor weight"),
        ({"action": "pause", "since": "yesterday"}, "filter.since"),
    ],
)
def test_an_unclear_order_is_said_on_a_page(web: Web, fields: dict[str, str], said: str) -> None:
    answer = signed_in(web, "operator").post(f"{web.url}/operations", data=fields, timeout=30)

    assert (answer.status_code, said in text_of(answer)) == (422, True)


def test_who_may_only_read_sees_actions_and_can_order_none(web: Web) -> None:
    submitted(client(web), "meant", owner="studio")
    path = ordered(signed_in(web, "operator"), web, PAUSE)
    reader = signed_in(web, "viewer")

    assert "<dialog" not in get(reader, web, path).text
    for target in ("/operations", f"{path}/start", f"{path}/cancel"):
        assert reader.post(web.url + target, data=PAUSE, timeout=30).status_code == 403


def test_a_dear_retry_is_started_by_a_second_person(context: WebContext) -> None:
    with serving(with_settings(context, approve_above=3)) as web:
        batch, mia, rita = submitted(client(web), "meant", owner="studio"), signed_in(web, "operator"), signed_in(web)
        end_jobs(web.context.database, batch, [1])
        path = ordered(mia, web, {"action": "retry", "owner": "studio"})
        first = mia.post(f"{web.url}{path}/start", timeout=30)
        second = rita.post(f"{web.url}{path}/start", timeout=30)

    assert (first.status_code, "another person starts it" in text_of(first)) == (409, True)
    assert "Done 1 of 1" in text_of(second)


@pytest.mark.parametrize("operation", ["nonsense", "01a226fb-54b2-7744-9e6d-edb8c238260d"])
def test_an_operation_that_there_is_not_is_said_on_a_page(web: Web, operation: str) -> None:
    answer = get(signed_in(web), web, f"/operations/{operation}", status=404)

    assert "there is no such" in text_of(answer)


def test_a_weight_is_given_to_many_batches(web: Web) -> None:
    batch, browser = submitted(client(web), "meant", owner="studio"), signed_in(web, "operator")

    path = ordered(browser, web, {"action": "reprioritise", "owner": "studio", "weight": "7"})
    browser.post(f"{web.url}{path}/start", timeout=30)

    with web.context.database.transaction() as tx:
        assert tx.execute(text("SELECT weight FROM batch WHERE id = :id"), {"id": batch}).scalar_one() == 7
