"""A catalog's plan is made, approved by a second person, refused and rendered in the console."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.catalog.team import RECIPE, Team
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]


@pytest.fixture
def team(node: Node) -> Team:
    """Return a team whose catalog of two items has no image yet; more than 3 credits need an approval."""
    made = Team(node=node, recipe={**RECIPE, "approve_above_credits": 3})
    made.stock({"a": "red", "b": "blue"})
    return made


@pytest.fixture
def web(team: Team, database_url: str, tmp_path: Path) -> Iterator[Web]:
    with catalog.shown(team.node, database_url, tmp_path) as found:
        yield found


def planned(browser: requests.Session, web: Web) -> str:
    """Plan a refresh; return the path of the plan's page."""
    answer = browser.post(f"{web.url}/catalogs/mugs/plan", timeout=30, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=30)


def test_a_dear_plan_is_rendered_once_another_person_has_approved_it(team: Team, web: Web) -> None:
    mia, rita = signed_in(web, "operator", "finance"), signed_in(web, "finance")
    path = planned(mia, web)

    shown = text_of(get(mia, web, path))
    early = post(mia, web, f"{path}/apply")
    own = post(mia, web, f"{path}/approve")
    approved = post(rita, web, f"{path}/approve")
    done = post(mia, web, f"{path}/apply")

    assert "Renders 2 images of 2 items Costs 8 credits" in shown
    assert "Approval by another person than web:operator-finance" in shown
    assert [each.status_code for each in (early, own, approved, done)] == [409, 409, 200, 200]
    assert "by web:finance" in text_of(approved)
    assert "/batches/" in done.url
    assert team.node.jobs() == ["pending", "pending"]
    assert "applied" in text_of(get(mia, web, path))


def test_a_plan_is_made_with_the_options_of_the_command_and_shown_page_by_page(
    team: Team, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.web.console.catalog.plan._SHOWN", 1)
    team.recipe = RECIPE
    team.stock({"a": "red", "b": "blue", "c": "grey"})
    mia = signed_in(web, "operator")

    capped = post(mia, web, "/catalogs/mugs/plan", force="a\n\n b \n", older_than="90", cap="8", sample="1")
    second = text_of(get(mia, web, f"/plans/{capped.url.rpartition('/')[2]}?from=1"))
    refused = [
        post(mia, web, "/catalogs/mugs/plan", **{name: value}).status_code
        for name, value in (("force", "z"), ("older_than", "0"), ("cap", "few"), ("sample", "0"))
    ]

    said = text_of(capped)
    assert "Renders 2 images of 3 items Costs 8 credits Sample 1 image first" in said
    assert "Also older images made before 20" in said
    assert "Most credits 8 Rendered even if nothing changed a, b" in said
    assert "1 to 1 of 2 After" in said
    assert "Before 2 to 2 of 2" in second
    assert refused == [422] * 4


def test_rendering_a_plan_twice_is_the_same_as_once(team: Team, web: Web) -> None:
    admin = signed_in(web)
    path = planned(admin, web)
    post(signed_in(web, "finance"), web, f"{path}/approve")

    first, second = (post(admin, web, f"{path}/apply").url for _ in range(2))

    assert first == second
    assert len(team.node.jobs()) == 2


def test_a_refused_plan_says_who_and_why_and_is_not_rendered(team: Team, web: Web) -> None:
    admin, finance = signed_in(web), signed_in(web, "finance")
    path = planned(admin, web)

    silent = post(finance, web, f"{path}/refuse")
    refused = post(finance, web, f"{path}/refuse", reason="too expensive")
    late = post(admin, web, f"{path}/apply")

    assert [each.status_code for each in (silent, refused, late)] == [422, 200, 409]
    assert "by web:finance: too expensive" in text_of(refused)
    assert team.node.jobs() == []


def test_who_may_only_read_changes_nothing(team: Team, web: Web) -> None:
    path, reader = planned(signed_in(web), web), signed_in(web, "viewer")

    assert "<button" not in get(reader, web, path).text.partition("<main")[2].partition("Sign out")[0]
    for what in ("/catalogs/mugs/plan", f"{path}/approve", f"{path}/refuse", f"{path}/apply"):
        assert post(reader, web, what, reason="no").status_code == 403


@pytest.mark.parametrize("plan", ["nonsense", "01a226fb-54b2-7744-9e6d-edb8c238260d"])
def test_a_plan_that_there_is_not_is_said_on_a_page(web: Web, plan: str) -> None:
    assert "there is no such plan" in text_of(get(signed_in(web), web, f"/plans/{plan}", status=404))
