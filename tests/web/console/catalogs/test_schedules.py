"""Schedules are made, changed, paused, run and removed in the console, by who may; each change is in the audit log."""

import pytest
import requests

from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web
from worker.catalog import importing
from worker.catalog.items import Item
from worker.catalog.queries import schedules
from worker.catalog.queries.schedules import ScheduleRow

RECIPE = {"prompt": "A {{ colour }} mug", "review": "none"}
WEEKLY = {
    "name": "weekly",
    "catalog": "mugs",
    "often": "mondays",
    "at": "02:00",
    "cron": "",
    "tz": "Europe/Paris",
    "cap": "400",
    "overlap": "skip",
    "missed": "run_once",
}


def stock(web: Web, name: str = "mugs", colours: tuple[str, ...] = ("red", "blue")) -> None:
    """Import a catalog without references."""
    items = [
        Item(sku=colour, fields={"sku": colour, "colour": colour}, references=(), line=line)
        for line, colour in enumerate(colours, start=1)
    ]
    wanted = importing.checked_recipe(RECIPE, "recipe")
    importing.import_items(
        web.context.database, name, wanted, items, (), now=web.context.clock(), new_id=web.context.new_id
    )


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=30)


def kept(web: Web) -> list[ScheduleRow]:
    with web.context.database.transaction() as tx:
        return schedules.every(tx)


@pytest.fixture
def operator(web: Web) -> requests.Session:
    stock(web)
    return signed_in(web, "operator")


def test_a_schedule_is_made_by_who_is_signed_in_and_is_in_the_audit_log(web: Web, operator: requests.Session) -> None:
    made = post(operator, web, "/schedules", **WEEKLY)

    [row] = kept(web)
    assert (row.name, row.cron, row.tz, row.credit_cap) == ("weekly", "0 2 * * 1", "Europe/Paris", 400)
    assert row.created_by == "web:operator"
    assert "The schedule is saved. Schedules" in text_of(made)
    assert "Every Monday at 02:00 Europe/Paris" in text_of(made)
    assert "schedule:weekly" in text_of(get(signed_in(web, "finance"), web, "/audit-log"))


def test_the_next_runs_are_said_in_words_before_anything_is_saved(web: Web, operator: requests.Session) -> None:
    asked = {**WEEKLY, "often": "cron", "cron": "0 12 24 12 *", "tz": "UTC"}

    shown = get(operator, web, "/schedules/new", params=asked)

    assert "24 December" in text_of(shown)
    assert "12:00 (+0000)" in text_of(shown)
    assert 'value="0 12 24 12 *"' in shown.text
    assert kept(web) == []


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"often": "cron", "cron": "every day"}, 422, "must have five fields"),
        ({"at": "soon"}, 422, "must have five fields"),
        ({"tz": "Mars/Base"}, 422, "the time zone 'Mars/Base' is not known"),
        ({"cap": "much"}, 422, "how many credits one run may commit"),
        ({"cap": "0"}, 422, "how many credits one run may commit"),
        ({"catalog": "plates"}, 422, "Choose the catalog"),
        ({"overlap": "perhaps"}, 422, "Choose what happens when runs overlap"),
        ({"name": ""}, 422, "the name"),
    ],
)
def test_what_cannot_be_a_schedule_is_said_beside_what_was_typed(
    web: Web, operator: requests.Session, fields: dict[str, str], status: int, said: str
) -> None:
    answer = post(operator, web, "/schedules", **{**WEEKLY, **fields})

    assert (answer.status_code, said in text_of(answer)) == (status, True)
    assert 'value="Europe/Paris"' in answer.text or fields.get("tz") == "Mars/Base"
    assert kept(web) == []


def test_a_name_is_taken_once(web: Web, operator: requests.Session) -> None:
    first, second = (post(operator, web, "/schedules", **WEEKLY) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 422)
    assert "there is a schedule &#39;weekly&#39; already" in second.text


def test_who_changes_a_schedule_answers_for_its_next_plans(web: Web, operator: requests.Session) -> None:
    post(operator, web, "/schedules", **WEEKLY)
    [row], admin = kept(web), signed_in(web)

    form = get(admin, web, f"/schedules/{row.id}/edit")
    post(admin, web, f"/schedules/{row.id}", **{**WEEKLY, "often": "daily", "cap": "1,000", "reason": "more items"})

    [after] = kept(web)
    assert '<option value="mondays" selected>' in form.text
    assert (after.id, after.cron, after.credit_cap, after.created_by) == (row.id, "0 2 * * *", 1000, "web:ann")
    assert after.claimed_until > row.claimed_until
    log = text_of(get(admin, web, "/audit-log"))
    assert "more items" in log
    assert "0 2 * * 1 Europe/Paris, cap 400" in log


def test_a_schedule_is_paused_resumed_and_removed(web: Web, operator: requests.Session) -> None:
    post(operator, web, "/schedules", **WEEKLY)
    path = f"/schedules/{kept(web)[0].id}"

    paused = text_of(post(operator, web, f"{path}/pause"))
    is_paused = kept(web)[0].paused_at is not None
    post(operator, web, f"{path}/resume")
    is_on = kept(web)[0].paused_at is None
    gone = text_of(post(operator, web, f"{path}/remove", reason="the season is over"))
    late = post(operator, web, f"{path}/pause")

    assert "none while it is paused" in paused
    assert (is_paused, is_on, kept(web), late.status_code) == (True, True, [], 404)
    assert "No schedule yet" in gone
    log = text_of(get(signed_in(web), web, "/audit-log"))
    assert "the season is over" in log
    assert log.count("paused_at") == 2


def test_a_run_is_asked_for_and_cancelled_with_a_reason(web: Web, operator: requests.Session) -> None:
    post(operator, web, "/schedules", **WEEKLY)
    path = f"/schedules/{kept(web)[0].id}"

    asked = post(operator, web, f"{path}/run")
    second = text_of(post(operator, web, f"{path}/run"))
    run = asked.text.partition("/schedules/runs/")[2].partition("/")[0]
    silent = post(operator, web, f"/schedules/runs/{run}/cancel")
    cancelled = text_of(post(operator, web, f"/schedules/runs/{run}/cancel", reason="wrong prices"))

    assert "A run was asked for" in text_of(asked)
    assert "asked for by web:operator" in text_of(asked)
    assert "The run was skipped" in second
    assert silent.status_code == 422
    assert "ended by web:operator: wrong prices" in cancelled


def test_who_may_only_read_sees_schedules_and_changes_none(web: Web, operator: requests.Session) -> None:
    post(operator, web, "/schedules", **WEEKLY)
    path, reader = f"/schedules/{kept(web)[0].id}", signed_in(web, "viewer")

    assert "<dialog" not in get(reader, web, "/schedules").text
    for each in ("/schedules", path, f"{path}/pause", f"{path}/resume", f"{path}/run", f"{path}/remove"):
        assert post(reader, web, each, **WEEKLY).status_code == 403
    get(reader, web, "/schedules/new", status=403)
    assert kept(web)[0].paused_at is None


@pytest.mark.parametrize("schedule", ["nonsense", "01a226fb-54b2-7744-9e6d-edb8c238260d"])
def test_a_schedule_that_there_is_not_is_said_on_a_page(web: Web, operator: requests.Session, schedule: str) -> None:
    answer = get(operator, web, f"/schedules/{schedule}/edit", status=404)

    assert "there is no such schedule" in text_of(answer)
