"""One decision on many images is previewed, started and followed, in the console and over HTTP; nobody is overruled."""

import pytest
import requests
from sqlalchemy import text

from tests.catalog.team import Team
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.web.console.catalog import team, web
from tests.web.console.pages import get, names_of, signed_in, text_of
from tests.web.serving import Web
from worker.batches import bulk_operations
from worker.node.maintenance.batches import BULK_OPERATIONS
from worker.web.rules.identity import Right

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "team", "web"]


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=30)


def previewed(browser: requests.Session, web: Web, **fields: str) -> str:
    """Preview a decision; return the path of its page."""
    answer = browser.post(f"{web.url}/operations/decide", data=fields, timeout=30, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def saved(team: Team) -> list[tuple[str, str, str, str | None]]:
    rows = team.node.query("""
        SELECT i.sku, d.actor, d.verdict, d.reason FROM catalog_decision d JOIN catalog_render r ON r.id = d.render_id
        JOIN catalog_item i ON i.id = r.item_id WHERE d.outcome IS NULL ORDER BY i.sku""")
    return [(row["sku"], row["actor"], row["verdict"], row["reason"]) for row in rows]


def test_a_previewed_decision_is_saved_on_the_images_that_were_shown_and_applied_with_the_others(
    team: Team, web: Web
) -> None:
    reviewer = signed_in(web, "reviewer")
    path = previewed(reviewer, web, catalog="mugs", verdict="reject", sku="mug-0*", reason="too  dark")

    preview, before = get(reviewer, web, path), saved(team)
    done = post(reviewer, web, f"{path}/start")
    between = saved(team)
    applied = post(reviewer, web, "/catalogs/mugs/review/apply")

    skus = ["mug-01", "mug-02", "mug-03"]
    assert (names_of(preview), before) == (skus, [])
    assert "Reaches 3 images; nothing is spent" in text_of(preview)
    assert "/thumbnail/" in preview.text
    assert "3 decisions saved" in text_of(done)
    assert between == [(sku, "web:reviewer", "reject", "too dark") for sku in skus]
    assert applied.status_code == 200
    assert saved(team) == []
    assert "Reject: sku mug-0*, catalog mugs" in text_of(get(reviewer, web, "/operations"))


def test_an_image_that_another_person_has_decided_on_or_looks_at_is_skipped_with_the_reason(
    team: Team, web: Web
) -> None:
    ann, mia = signed_in(web), signed_in(web, "reviewer")
    path = previewed(ann, web, catalog="mugs", verdict="reject", all="1")
    ids = {sku: str(each.render_id) for sku, each in team.candidates().items()}
    headers = {"HX-Request": "true"}
    fields = {"image": ids["mug-01"], "seen": "0", "verdict": "accept"}
    mia.post(f"{web.url}/catalogs/mugs/review/decide", data=fields, headers=headers, timeout=30)
    get(mia, web, f"/catalogs/mugs/review?image={ids['mug-02']}")

    done = text_of(post(ann, web, f"{path}/start"))

    assert "Done 1 of 3, 2 skipped" in done
    assert "web:reviewer accepted it meanwhile" in done
    assert "web:reviewer is looking at this image" in done
    assert [(sku, by) for sku, by, _, _ in saved(team)] == [("mug-01", "web:reviewer"), ("mug-03", "web:ann")]


def test_what_could_not_go_live_is_skipped_and_not_accepted(team: Team, web: Web) -> None:
    ann = signed_in(web)
    path = previewed(ann, web, catalog="mugs", verdict="accept", all="1")
    with web.context.database.engine.begin() as tx:
        tx.execute(text("SET LOCAL ROLE NONE"))
        tx.execute(text("""UPDATE catalog_item SET fields = fields || '{"colour": "gold"}' WHERE sku = 'mug-02'"""))

    done = text_of(post(ann, web, f"{path}/start"))

    assert "the item has changed since the image was requested" in done
    assert [sku for sku, _, _, _ in saved(team)] == ["mug-01", "mug-03"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"catalog": "mugs", "verdict": "accept"}, "must name a condition beside the catalog"),
        ({"catalog": "mugs", "verdict": "accept", "all": "1", "sku": "*"}, "must name a condition"),
        ({"catalog": "mugs", "all": "1"}, "say the verdict"),
        ({"catalog": "mugs", "all": "1", "verdict": "perhaps"}, "verdict"),
        ({"verdict": "accept", "all": "1"}, "filter.catalog"),
        ({"catalog": "mugs", "verdict": "accept", "plan": "the last"}, "filter.plan"),
    ],
)
def test_an_unclear_decision_is_said_on_a_page(web: Web, fields: dict[str, str], said: str) -> None:
    answer = post(signed_in(web, "reviewer"), web, "/operations/decide", **fields)

    assert (answer.status_code, said in text_of(answer)) == (422, True)


def test_who_reviews_decides_and_who_controls_does_not(team: Team, web: Web) -> None:
    path = previewed(signed_in(web, "reviewer"), web, catalog="mugs", verdict="reject", all="1")
    operator = signed_in(web, "operator")

    assert "<dialog" not in get(operator, web, path).text
    for what in ("/operations/decide", f"{path}/start", f"{path}/cancel"):
        assert post(operator, web, what, catalog="mugs", verdict="reject", all="1").status_code == 403
    assert post(signed_in(web, "viewer", "reviewer"), web, "/operations", action="pause", all="1").status_code == 403
    assert saved(team) == []


def test_a_decision_over_http_is_saved_by_a_node_that_goes_on_with_it(team: Team, web: Web) -> None:
    token, path = web.token("sorter", Right.READ, Right.REVIEW), f"{web.url}/api/v1/bulk-operations"
    body = {"action": "decide", "verdict": "accept", "filter": {"catalog": "mugs", "as_ordered": True}}

    made = requests.post(path, json=body, headers=token, timeout=30)
    operation = made.json()["id"]
    bulk_operations.start(web.context.database, operation, web.by, approve_above=None)
    BULK_OPERATIONS.run(team.node.services)

    shown = requests.get(f"{path}/{operation}", headers=token, timeout=30).json()
    items = requests.get(f"{path}/{operation}/items", headers=token, timeout=30).json()["items"]
    assert made.status_code == 201
    assert (shown["state"], shown["batches"], shown["done"], shown["verdict"]) == ("done", 3, 3, "accept")
    assert (shown["credits"], shown["filter"]) == (0, {"catalog": "mugs", "as_ordered": True})
    assert [each["seen"]["sku"] for each in items] == ["mug-01", "mug-02", "mug-03"]
    assert {by for _, by, _, _ in saved(team)} == {"token:sorter@tester"}


@pytest.mark.parametrize(
    ("rights", "owner", "status"),
    [((Right.READ, Right.CONTROL), None, 403), ((Right.READ, Right.REVIEW), "shop", 403)],
)
def test_a_token_without_the_right_or_of_one_owner_decides_nothing(
    web: Web, rights: tuple[Right, ...], owner: str | None, status: int
) -> None:
    token = web.token("sorter", *rights, owner=owner)
    body = {"action": "decide", "verdict": "accept", "filter": {"catalog": "mugs", "all": True}}

    answer = requests.post(f"{web.url}/api/v1/bulk-operations", json=body, headers=token, timeout=30)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "body",
    [
        {"action": "decide", "verdict": "accept", "filter": {"catalog": "mugs", "all": True, "owner": "shop"}},
        {"action": "decide", "verdict": "accept", "filter": {"catalog": "mugs", "all": True}, "code": "timeout"},
        {"action": "pause", "verdict": "accept", "filter": {"all": True}},
        {"action": "pause", "filter": {"owner": "shop", "sku": "*"}},
    ],
)
def test_a_field_that_says_nothing_about_the_action_is_refused(web: Web, body: dict[str, object]) -> None:
    answer = requests.post(f"{web.url}/api/v1/bulk-operations", json=body, headers=web.token("all"), timeout=30)

    assert (answer.status_code, "says nothing about" in answer.text) == (422, True)
