"""The review of a catalog over HTTP: the page, what it posts, and requests that no page of ours sent."""

import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import requests

from tests.catalog.team import Team, accept
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.pipeline.node import Node
from tests.web.console import catalog
from tests.web.console.pages import get, links_of, signed_in, text_of
from tests.web.serving import Web
from worker.catalog.importing import checked_recipe
from worker.catalog.queries import catalogs

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox"]

PATH = "/catalogs/mugs/review"
FAR = "01900000-0000-7000-8000-000000000000"


@pytest.fixture
def team(node: Node) -> Team:
    """Return a team with three images that wait; the first item shows one already."""
    return catalog.waiting(node, 3, live=1)


@pytest.fixture
def web(team: Team, database_url: str, tmp_path: Path) -> Iterator[Web]:
    """Yield a web process that shows them."""
    with catalog.shown(team.node, database_url, tmp_path) as found:
        yield found


def image_of(answer: requests.Response) -> str:
    found = re.search(r'data-image="([^"]*)"', answer.text)
    assert found, answer.text
    return found[1]


def post(browser: requests.Session, web: Web, what: str, status: int = 200, **fields: object) -> requests.Response:
    """Post as the page's script does; the answer has this status."""
    headers = {"HX-Request": "true"}
    answer = browser.post(f"{web.url}{PATH}/{what}", data=fields, headers=headers, timeout=30, allow_redirects=False)
    assert answer.status_code == status, answer.text
    return answer


def renders(team: Team) -> dict[str, str]:
    return {sku: str(each.render_id) for sku, each in team.candidates().items()}


def decisions(team: Team) -> list[tuple[str, str, str | None]]:
    rows = team.node.query("SELECT actor, verdict, outcome FROM catalog_decision ORDER BY decided_at")
    return [(row["actor"], row["verdict"], row["outcome"]) for row in rows]


def test_the_list_says_what_is_live_and_what_waits(team: Team, web: Web) -> None:
    said = text_of(get(signed_in(web), web, "/catalogs"))

    assert "Live 1 Being rendered 0 Undecided 3 Decided, to apply 0" in said


def test_an_image_stands_beside_the_live_one_and_the_difference_of_their_prompts(team: Team, web: Web) -> None:
    answer = get(signed_in(web), web, PATH)

    assert "Undecided 3 Accepted 0 Rejected 0 All 3" in text_of(answer)
    assert re.findall(r"<(ins|del)>([^<]*)<", answer.text) == [
        ("del", "a table"),
        ("ins", "an oak table, soft light"),
    ]
    assert f"/pictures/{renders(team)['mug-01']}" in links_of(answer)
    assert f"/pictures/{team.live_renders()['mug-01']}" in links_of(answer)


def test_a_decision_is_saved_and_the_next_image_follows(team: Team, web: Web) -> None:
    browser, ids = signed_in(web), renders(team)
    first = image_of(get(browser, web, PATH))

    second = post(browser, web, "decide", image=first, seen=0, verdict="accept")
    third = post(browser, web, "decide", image=image_of(second), seen=0, verdict="reject", reason=" too  dark ")

    assert [first, image_of(second), image_of(third)] == [ids["mug-01"], ids["mug-02"], ids["mug-03"]]
    assert "Undecided 1 Accepted 1 Rejected 1 All 3" in text_of(third)
    assert decisions(team) == [("web:ann", "accept", None), ("web:ann", "reject", None)]
    assert "too dark" in text_of(get(browser, web, f"{PATH}?show=rejected"))


def test_without_a_script_a_decision_leads_to_the_next_image(team: Team, web: Web) -> None:
    browser, ids = signed_in(web), renders(team)

    answer = browser.post(
        f"{web.url}{PATH}/decide", data={"image": ids["mug-01"], "seen": 0, "verdict": "accept"}, timeout=30
    )

    assert (answer.status_code, image_of(answer)) == (200, ids["mug-02"])


def test_undo_shows_the_image_again(team: Team, web: Web) -> None:
    browser, ids = signed_in(web), renders(team)
    post(browser, web, "decide", image=ids["mug-01"], seen=0, verdict="accept")

    undone = post(browser, web, "undo", image=ids["mug-02"])
    again = post(browser, web, "undo", image=ids["mug-01"])

    assert image_of(undone) == ids["mug-01"]
    assert "Nothing is left to undo" in again.text
    assert decisions(team) == [("web:ann", "accept", "undone")]


def test_applying_publishes_what_was_accepted(team: Team, web: Web) -> None:
    browser, ids = signed_in(web), renders(team)
    post(browser, web, "decide", image=ids["mug-02"], seen=0, verdict="accept")
    post(browser, web, "decide", image=ids["mug-03"], seen=0, verdict="reject", prompt="A bright mug")

    said = text_of(post(browser, web, "apply"))

    assert "1 image went live, 1 image was rejected." in said
    assert sorted(team.live()) == ["mug-01", "mug-02"]
    assert team.node.query("SELECT actor, prompt FROM catalog_rejection") == [
        {"actor": "web:ann", "prompt": "A bright mug"}
    ]


def test_the_rejected_are_planned_priced_and_rendered_at_once_by_who_may_submit(team: Team, web: Web) -> None:
    browser, ids = signed_in(web), renders(team)
    post(browser, web, "decide", image=ids["mug-03"], seen=0, verdict="reject", prompt="A bright mug")

    page = post(browser, web, "apply")
    path = re.findall(r'action="(/plans/[^"]+/apply)"', page.text)[0]
    done = browser.post(web.url + path, timeout=30)

    assert "1 image for 4 credits, with the prompts that came with the rejections" in text_of(page)
    assert "/batches/" in done.url
    planned = team.node.query("SELECT prompt FROM job WHERE state = 'pending'")
    assert planned == [{"prompt": "A bright mug"}]


def test_a_rejected_image_is_accepted_after_all_from_its_history(team: Team, web: Web) -> None:
    reviewer, ids = signed_in(web, "reviewer"), renders(team)
    post(reviewer, web, "decide", image=ids["mug-03"], seen=0, verdict="reject")
    applied = post(reviewer, web, "apply")

    shown = text_of(get(reviewer, web, "/catalogs/mugs/history?sku=mug-03"))
    accepted = reviewer.post(f"{web.url}/catalogs/mugs/accept", data={"sku": "mug-03"}, timeout=30)
    again = reviewer.post(f"{web.url}/catalogs/mugs/accept", data={"sku": "mug-03"}, timeout=30)

    assert "/apply" not in applied.text.partition("<main")[2]
    assert "Accept the last one" in shown
    assert "The image is live." in text_of(accepted) or "the image is live." in text_of(accepted)
    assert "mug-03" in team.live()
    assert (again.status_code, "none waits" in text_of(again)) == (409, True)


def test_a_prompt_that_was_not_edited_is_not_kept_as_one(team: Team, web: Web) -> None:
    image = team.candidates()["mug-02"]

    post(
        signed_in(web),
        web,
        "decide",
        image=image.render_id,
        seen=0,
        verdict="reject",
        prompt=image.new.parts["prompt"] + " \r\n",
    )

    assert team.node.query("SELECT prompt FROM catalog_decision") == [{"prompt": None}]


def test_a_decision_on_an_image_that_another_decided_meanwhile_says_who_and_is_not_saved(team: Team, web: Web) -> None:
    ann, bob, ids = signed_in(web), web.browser(web.user("bob", "reviewer")), renders(team)
    post(bob, web, "decide", image=ids["mug-02"], seen=0, verdict="reject")

    answer = post(ann, web, "decide", 409, image=ids["mug-02"], seen=0, verdict="accept")

    assert "web:bob rejected it meanwhile: your decision was not saved." in text_of(answer)
    assert image_of(answer) == ids["mug-02"]
    assert 'data-seen="1"' in answer.text
    assert decisions(team) == [("web:bob", "reject", None)]


def test_two_reviewers_get_different_images_and_cannot_decide_each_others(team: Team, web: Web) -> None:
    ann, bob, ids = signed_in(web), web.browser(web.user("bob", "reviewer")), renders(team)

    first, second = image_of(get(ann, web, PATH)), image_of(get(bob, web, PATH))
    renewed = [post(each, web, "claim", status, image=first, seen=0) for each, status in ((ann, 204), (bob, 409))]
    refused = post(bob, web, "decide", 409, image=first, seen=0, verdict="accept")

    assert (first, second) == (ids["mug-01"], ids["mug-02"])
    assert len(renewed) == 2
    assert "web:ann is looking at this image" in text_of(refused)
    assert "web:bob reviews too" in text_of(get(ann, web, f"{PATH}/tally"))


def test_live_figures_claim_nothing(team: Team, web: Web) -> None:
    get(signed_in(web), web, f"{PATH}/tally")

    assert team.node.query("SELECT 1 FROM catalog_claim") == []


@pytest.mark.parametrize("what", ["decide", "undo", "claim", "apply"])
def test_who_may_only_read_decides_and_claims_nothing(team: Team, web: Web, what: str) -> None:
    viewer, image = signed_in(web, "viewer"), renders(team)["mug-01"]

    page = get(viewer, web, PATH)
    post(viewer, web, what, 403, image=image, seen=0, verdict="accept")

    assert "Deciding takes the role of a reviewer." in text_of(page)
    assert "<form" not in page.text.split('id="stage"')[1].split("<dialog")[0]
    assert (decisions(team), team.node.query("SELECT 1 FROM catalog_claim")) == ([], [])


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_sites_page_posts_is_refused(team: Team, web: Web, site: str) -> None:
    browser = signed_in(web)
    browser.headers["Sec-Fetch-Site"] = site

    answers = [
        post(browser, web, what, 403, image=renders(team)["mug-01"], seen=0, verdict="accept")
        for what in ("decide", "undo", "claim", "apply")
    ]

    assert {each.json()["type"] for each in answers} == {"urn:darkroom:error:foreign_request"}
    assert (decisions(team), team.node.query("SELECT 1 FROM catalog_claim")) == ([], [])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"image": FAR}, 404),
        ({"image": "nonsense"}, 404),
        ({"image": ""}, 404),
        ({"verdict": "publish"}, 400),
        ({"verdict": ""}, 400),
        ({"seen": "-1"}, 400),
        ({"seen": "9" * 40}, 400),
        ({"seen": "7"}, 409),
        ({"show": "sideways"}, 404),
        ({"verdict": "reject", "reason": "x" * 1_001}, 422),
        ({"verdict": "reject", "prompt": "x" * 40_000}, 409),
        ({"reason": "x" * 100_000}, 413),
        ({str(number): "x" for number in range(60)}, 400),
    ],
)
def test_a_forged_decision_is_refused(team: Team, web: Web, fields: dict[str, str], status: int) -> None:
    sent = {"image": renders(team)["mug-02"], "seen": "0", "verdict": "accept", **fields}

    post(signed_in(web), web, "decide", status, **sent)

    assert decisions(team) == []


def test_an_image_of_another_catalog_is_not_decided_here(team: Team, web: Web) -> None:
    browser, image = signed_in(web), renders(team)["mug-02"]
    services = team.node.services
    with services.database.transaction() as tx:
        recipe = checked_recipe(team.recipe, "recipe")
        catalogs.save(
            tx, catalog_id=services.new_id(), name="a/b", wanted=recipe, recipe_hash="0" * 64, now=team.clock()
        )

    other = browser.post(
        f"{web.url}/catalogs/a/b/review/decide", data={"image": image, "seen": 0, "verdict": "accept"}, timeout=30
    )

    assert other.status_code == 404
    assert "Nothing waits for review" in text_of(get(browser, web, "/catalogs/a/b/review"))
    assert decisions(team) == []


@pytest.mark.parametrize(
    "path",
    [
        "/catalogs/nothing/review",
        f"{PATH}?show=sideways",
        f"{PATH}?after=nonsense",
        f"{PATH}?image={FAR}",
        f"{PATH}?image=nonsense",
        f"/pictures/{FAR}",
        "/pictures/nonsense",
        "/pictures/references/nonsense",
        f"/pictures/references/{'0' * 64}",
        "/catalogs/%00/review",
    ],
)
def test_what_there_is_not_is_said_on_a_page(web: Web, path: str) -> None:
    assert "There is no such page" in get(signed_in(web), web, path, status=404).text


def test_an_image_is_sent_once_and_kept_for_ever(team: Team, web: Web) -> None:
    browser, image = signed_in(web), team.candidates()["mug-02"]

    answer = get(browser, web, f"/pictures/{image.render_id}")
    again = get(browser, web, f"/pictures/{image.render_id}", 304, headers={"If-None-Match": answer.headers["ETag"]})

    assert answer.content == team.node.services.store.read(image.new.path)
    assert answer.headers["Content-Type"].startswith("image/")
    assert answer.headers["Cache-Control"] == again.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert get(requests.Session(), web, f"/pictures/{image.render_id}", 303).headers["Location"] == "/sign-in"


def test_a_reference_stands_beside_the_image_and_is_sent_as_it_is_stored(web: Web) -> None:
    browser = signed_in(web)

    [path] = [each for each in links_of(get(browser, web, PATH)) if each.startswith("/pictures/references/")]

    assert sha256(get(browser, web, path).content).hexdigest() == path.rpartition("/")[2]


def test_an_image_whose_bytes_were_changed_is_not_shown(team: Team, web: Web) -> None:
    image = team.candidates()["mug-02"]
    Path(team.node.services.store.location(image.new.path)).write_bytes(b"something else")

    assert "not those of the image" in get(signed_in(web), web, f"/pictures/{image.render_id}", 503).text


def test_an_image_that_cannot_go_live_says_so_and_cannot_be_accepted(team: Team, web: Web) -> None:
    browser, image = signed_in(web), renders(team)["mug-02"]
    team.stock({"mug-01": "red", "mug-02": "purple", "mug-03": "green"})

    page = get(browser, web, f"{PATH}?image={image}")
    refused = post(browser, web, "decide", 409, image=image, seen=0, verdict="accept")

    assert "It cannot be accepted: the item has changed since" in text_of(page)
    assert "the item has changed since" in text_of(refused)
    assert decisions(team) == []


def test_an_image_that_was_decided_from_a_file_says_by_whom(team: Team, web: Web) -> None:
    image = team.candidates()["mug-02"]
    team.decide(*accept([image]), by="carl")

    said = text_of(get(signed_in(web), web, f"{PATH}?image={image.render_id}"))

    assert "This image waits no longer: carl made it live." in said
