"""Each form of the console that is sent twice does one thing: a double click, or an answer that is loaded again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import pytest
import requests
from sqlalchemy import text

from tests.web.api.client import client, end_jobs
from tests.web.console.batches.test_batches import submitted
from tests.web.console.batches.test_operations import ordered
from tests.web.console.catalogs.test_schedules import stock
from tests.web.console.money.test_finance import charged
from tests.web.console.money.test_in_doubt import doubted
from tests.web.console.pages import get, signed_in
from tests.web.serving import Web
from worker.web.console import routes

FORM = "01a226fb-54b2-7744-9e6d-edb8c238260d"
_persons = count()
WHY = {"reason": "the sale begins"}


@dataclass(frozen=True, kw_only=True)
class Sent:
    """A form: how its address is made ready, and its fields."""

    path: Callable[[Web], str]
    fields: Mapping[str, str] = field(default_factory=dict)


def at(path: str) -> Callable[[Web], str]:
    """Return the address, for which nothing has to be made ready."""
    return lambda web: path  # noqa: ARG005 - as those that need it


def of_batch(what: str, *, before: str = "", is_failed: bool = False) -> Callable[[Web], str]:
    def path(web: Web) -> str:
        batch = submitted(client(web), "vases", owner="studio")
        if is_failed:
            end_jobs(web.context.database, batch, [1])
        if before:
            first(web, f"/batches/{batch}/{before}", {})
        return f"/batches/{batch}/{what}"

    return path


def first(web: Web, path: str, fields: Mapping[str, str]) -> requests.Response:
    """Send a form that comes before, by another person each time."""
    person = web.browser(web.user(f"person-{next(_persons)}", "operator", "finance"))
    answer = person.post(web.url + path, data=fields, timeout=30)
    assert answer.ok, answer.text
    return answer


def of_operation(what: str) -> Callable[[Web], str]:
    def path(web: Web) -> str:
        submitted(client(web), "vases", owner="studio")
        return ordered(signed_in(web, "operator"), web, {"action": "pause", "owner": "studio"}) + what

    return path


def of_plan(what: str) -> Callable[[Web], str]:
    def path(web: Web) -> str:
        stock(web)
        return first(web, "/catalogs/mugs/plan", {}).url.removeprefix(web.url) + what

    return path


def of_catalog(path: str) -> Callable[[Web], str]:
    def ready(web: Web) -> str:
        stock(web)
        return path

    return ready


NEW_SCHEDULE = {"name": "nightly", "catalog": "mugs", "often": "mondays", "at": "02:00", "tz": "UTC", "cap": "40"} | {
    "overlap": "queue",
    "missed": "skip",
}


def of_schedule(what: str, *, before: str = "") -> Callable[[Web], str]:
    def path(web: Web) -> str:
        stock(web)
        first(web, "/schedules", NEW_SCHEDULE)
        with web.context.database.transaction() as tx:
            schedule = tx.execute(text("SELECT id FROM schedule")).scalar_one()
        if before:
            first(web, f"/schedules/{schedule}/{before}", {})
        return f"/schedules/{schedule}{what}"

    return path


def of_run(web: Web) -> str:
    of_schedule("", before="run")(web)
    with web.context.database.transaction() as tx:
        return f"/schedules/runs/{tx.execute(text('SELECT id FROM schedule_run')).scalar_one()}/cancel"


def of_hook(what: str) -> Callable[[Web], str]:
    def path(web: Web) -> str:
        answer = signed_in(web).post(f"{web.url}/settings/hooks", data=NEW_HOOK, timeout=30)
        assert answer.ok, answer.text
        with web.context.database.transaction() as tx:
            return f"/settings/hooks/{tx.execute(text('SELECT id FROM hook')).scalar_one()}{what}"

    return path


def of_account(path: str, *, before: str = "") -> Callable[[Web], str]:
    def ready(web: Web) -> str:
        submitted(client(web), "vases")
        if before:
            first(web, f"/accounts/{before}", {"account": web.context.settings.account})
        return path

    return ready


def of_doubt(web: Web) -> str:
    return f"/in-doubt/{doubted(web)}"


def of_user(path: str) -> Callable[[Web], str]:
    def ready(web: Web) -> str:
        web.token("till")
        web.user("mia", "viewer")
        return path

    return ready


NEW_HOOK = {"target": "https://hooks.example.com/x", "event-batch.done": "1"}
ACCOUNT = {"account": "default"}
FORMS: dict[str, Sent] = {
    "/batches/{batch_id}/pause": Sent(path=of_batch("pause")),
    "/batches/{batch_id}/resume": Sent(path=of_batch("resume", before="pause")),
    "/batches/{batch_id}/cancel": Sent(path=of_batch("cancel")),
    "/batches/{batch_id}/retry": Sent(path=of_batch("retry", is_failed=True)),
    "/batches/{batch_id}/cap": Sent(path=of_batch("cap"), fields={"credits": "9"}),
    "/batches/{batch_id}/deadline": Sent(path=of_batch("deadline"), fields={"when": "6h"}),
    "/batches/{batch_id}/priority": Sent(path=of_batch("priority"), fields={"priority": "refresh", "weight": "3"}),
    "/operations": Sent(path=of_account("/operations"), fields={"action": "pause", "all": "1"}),
    "/operations/decide": Sent(
        path=of_catalog("/operations/decide"), fields={"catalog": "mugs", "verdict": "accept", "all": "1"}
    ),
    "/operations/{operation_id}/start": Sent(path=of_operation("/start")),
    "/operations/{operation_id}/cancel": Sent(path=of_operation("/cancel")),
    "/in-doubt/{generation_id}": Sent(path=of_doubt, fields={"decision": "charged", "credits": "4", **WHY}),
    "/money/cap": Sent(path=at("/money/cap"), fields={"owner": "studio", "credits": "400"}),
    "/catalogs/{name:path}/remove": Sent(path=of_catalog("/catalogs/mugs/remove")),
    "/catalogs/{name:path}/plan": Sent(path=of_catalog("/catalogs/mugs/plan"), fields={"cap": "4"}),
    "/plans/{plan_id}/approve": Sent(path=of_plan("/approve")),
    "/plans/{plan_id}/refuse": Sent(path=of_plan("/refuse"), fields=WHY),
    "/plans/{plan_id}/apply": Sent(path=of_plan("/apply")),
    "/schedules": Sent(path=of_catalog("/schedules"), fields=NEW_SCHEDULE),
    "/schedules/{schedule_id}": Sent(path=of_schedule(""), fields=NEW_SCHEDULE | {"cap": "80"}),
    "/schedules/{schedule_id}/pause": Sent(path=of_schedule("/pause")),
    "/schedules/{schedule_id}/resume": Sent(path=of_schedule("/resume", before="pause")),
    "/schedules/{schedule_id}/run": Sent(path=of_schedule("/run")),
    "/schedules/{schedule_id}/remove": Sent(path=of_schedule("/remove")),
    "/schedules/runs/{run_id}/cancel": Sent(path=of_run, fields=WHY),
    "/accounts/pause": Sent(path=of_account("/accounts/pause"), fields=ACCOUNT),
    "/accounts/resume": Sent(path=of_account("/accounts/resume", before="pause"), fields=ACCOUNT),
    "/accounts/limits": Sent(path=of_account("/accounts/limits"), fields={**ACCOUNT, "max_in_flight": "9"}),
    "/accounts/owner": Sent(path=of_account("/accounts/owner"), fields={"owner": "mia", "pays": "account:default"}),
    "/settings/users": Sent(path=at("/settings/users"), fields={"name": "mia", "role-viewer": "1"}),
    "/settings/users/set": Sent(path=of_user("/settings/users/set"), fields={"name": "mia", "role-finance": "1"}),
    "/settings/users/link": Sent(path=of_user("/settings/users/link"), fields={"name": "mia"}),
    "/settings/tokens": Sent(
        path=at("/settings/tokens"), fields={"name": "till", "all_owners": "1", "right-read": "1"}
    ),
    "/settings/tokens/revoke": Sent(path=of_user("/settings/tokens/revoke"), fields={"name": "till"}),
    "/settings/hooks": Sent(path=at("/settings/hooks"), fields=NEW_HOOK),
    "/settings/hooks/{hook_id}/rotate": Sent(path=of_hook("/rotate"), fields={"seen": ""}),
    "/settings/hooks/{hook_id}/test": Sent(path=of_hook("/test")),
    "/settings/hooks/{hook_id}/enable": Sent(path=of_hook("/enable")),
    "/settings/hooks/{hook_id}/remove": Sent(path=of_hook("/remove")),
    "/settings/hooks/{hook_id}/replay": Sent(path=of_hook("/replay")),
}
"""Every form that the test sends twice."""
WEBHOOK = "test_a_webhook_that_is_asked_for_twice_is_registered_and_given_a_secret_once"
ELSEWHERE = {
    "/batches/new/{token}": "test_two_clicks_make_one_batch_and_both_lead_to_it",
    "/batches/new/{token}/check": "test_a_check_says_what_the_lines_become_and_keeps_nothing",
    "/money/check": "test_a_report_is_checked_with_its_evidence_and_one_that_was_changed_is_told",
    "/money/close": "it closes the books once more, up to the later instant, and nothing else",
    "/money/correct": "test_a_correction_that_is_sent_twice_is_one_entry",
    "/catalogs/{name:path}/import": "an import of what is there changes nothing",
    "/catalogs/{name:path}/rollback": "what is shown already stays, as the answer says",
    "/catalogs/{name:path}/accept": "test_a_rejected_image_is_accepted_after_all_from_its_history",
    "/catalogs/{name:path}/review/files": "test_a_file_that_is_sent_twice_takes_effect_once_and_the_page_says_so",
    "/catalogs/{name:path}/review/decide": "its number is that of the decision that the page showed: a copy is refused",
    "/catalogs/{name:path}/review/undo": "it takes back one decision each time; the script sends one at a time",
    "/catalogs/{name:path}/review/claim": "it renews, however often",
    "/catalogs/{name:path}/review/apply": "test_applying_publishes_what_was_accepted",
    "/accounts/same-key": "test_a_new_key_of_the_same_account_is_taken_on_a_persons_word_with_a_reason",
    "/accounts/{account:path}/webhooks": WEBHOOK,
    "/accounts/{account:path}/webhooks/test": "it asks for one more test event, which changes nothing",
    "/accounts/{account:path}/webhooks/rotate": WEBHOOK,
    "/accounts/{account:path}/webhooks/remove": "test_a_webhook_is_added_tested_given_a_new_secret_and_removed",
}
"""Forms that take files, that need a provider or images, or that change nothing: the test that holds them, or why."""


def rows(web: Web) -> dict[str, int]:
    """Return how many rows each table has; sessions are the visits themselves."""
    with web.context.database.transaction() as tx:
        tables = tx.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'web_session'")
        ).scalars()
        return {name: int(tx.execute(text(f'SELECT count(*) FROM "{name}"')).scalar_one()) for name in list(tables)}


def test_every_form_of_the_console_is_sent_twice_by_a_test() -> None:
    posted = {getattr(each, "path", "") for each in routes.routes() if "POST" in (getattr(each, "methods", None) or ())}

    assert set(FORMS) | set(ELSEWHERE) == posted
    assert set(FORMS) & set(ELSEWHERE) == set()


@pytest.mark.parametrize("name", FORMS)
def test_a_form_that_is_sent_twice_does_one_thing(web: Web, name: str) -> None:
    path, browser = FORMS[name].path(web), signed_in(web, "admin")
    fields = {**FORMS[name].fields, "form": FORM}

    once = browser.post(web.url + path, data=fields, timeout=30, allow_redirects=False)
    after = rows(web)
    twice = browser.post(web.url + path, data=fields, timeout=30, allow_redirects=False)

    assert once.status_code in {200, 303}, once.text
    assert twice.status_code in {200, 303, 404, 409, 422}, twice.text
    assert rows(web) == after


def test_a_form_that_was_sent_says_so_and_a_new_copy_of_it_is_carried_out(web: Web) -> None:
    browser = signed_in(web)
    stock(web)
    page = get(browser, web, "/catalogs").text
    assert 'name="form" value="' in page

    def planned(form: str) -> requests.Response:
        return browser.post(f"{web.url}/catalogs/mugs/plan", data={"form": form}, timeout=30, allow_redirects=False)

    first_, copy, another = planned(FORM), planned(FORM), planned(FORM.replace("d", "e"))

    assert [each.status_code for each in (first_, copy, another)] == [303, 409, 303]
    assert "This form was sent before, and what it asks for was done once." in copy.text
    assert planned("no id").status_code == 400


def test_a_correction_that_is_sent_twice_is_one_entry(web: Web) -> None:
    generation, browser = charged(web)
    fields = {"generation": generation, "spent": "3", "form": FORM, **WHY}

    browser.post(f"{web.url}/money/correct", data=fields, timeout=30)
    after = rows(web)
    browser.post(f"{web.url}/money/correct", data=fields, timeout=30)

    assert rows(web) == after
