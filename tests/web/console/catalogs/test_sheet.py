"""The offline review sheet in the console: packed to be sent, its decisions checked whole and applied as by command."""

import io
import json
import zipfile

import pytest
import requests

from tests.catalog.team import Team, accept
from tests.pipeline.conftest import clock, folder, node, node_for, process, sandbox
from tests.web.console.catalog import team, web
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web

__all__ = ["clock", "folder", "node", "node_for", "process", "sandbox", "team", "web"]

PATH = "/catalogs/mugs/review"
EARLY, LATE = "2030-01-01T08:00:00.000Z", "2030-01-01T09:00:00.000Z"


def saved(team: Team, at: str = EARLY, *, about: str = "mugs", **verdicts: str) -> bytes:
    """Return a file as the sheet saves it; verdicts by SKU with an underscore, such as ``mug_01="accept"``."""
    ids = {sku.replace("-", "_"): (sku, str(each.render_id)) for sku, each in team.candidates().items()}
    decisions = [
        {"sku": ids[name][0], "render": ids[name][1], "decision": verdict} for name, verdict in verdicts.items()
    ]
    document = {"darkroom": "decisions", "version": 1, "catalog": about, "saved_at": at, "decisions": decisions}
    return json.dumps(document).encode()


def send(browser: requests.Session, web: Web, *contents: bytes, status: int = 200) -> requests.Response:
    """Send the form of the page with these files."""
    parts = [("files", (f"decisions-{at}.json", each)) for at, each in enumerate(contents, start=1)]
    answer = browser.post(f"{web.url}{PATH}/files", files=parts or [("files", ("", b""))], timeout=30)
    assert answer.status_code == status, answer.text
    return answer


def verdicts(team: Team) -> list[tuple[str, str]]:
    """Return who rejected what, and what is live."""
    rows = team.node.query("""
        SELECT i.sku, j.actor FROM catalog_rejection j JOIN catalog_render r ON r.id = j.render_id
        JOIN catalog_item i ON i.id = r.item_id""")
    return [*((sku, "live") for sku in sorted(team.live())), *((row["sku"], row["actor"]) for row in rows)]


def test_a_file_that_a_sheet_saved_takes_effect_in_the_name_of_who_sends_it(team: Team, web: Web) -> None:
    answer = send(signed_in(web), web, saved(team, mug_01="accept", mug_03="reject"))

    assert "1 image went live, 1 image was rejected." in text_of(answer)
    assert verdicts(team) == [("mug-01", "live"), ("mug-03", "web:ann")]
    assert "1 image for 4 credits, with the prompts that came with the rejections" in text_of(answer)


def test_of_two_files_the_one_that_was_saved_later_counts(team: Team, web: Web) -> None:
    send(signed_in(web), web, saved(team, LATE, mug_01="accept"), saved(team, EARLY, mug_01="reject", mug_02="accept"))

    assert verdicts(team) == [("mug-01", "live"), ("mug-02", "live")]


def test_a_file_that_is_sent_twice_takes_effect_once_and_the_page_says_so(team: Team, web: Web) -> None:
    browser, file = signed_in(web), saved(team, mug_01="accept", mug_03="reject")
    send(browser, web, file)

    again = text_of(send(browser, web, file))

    assert "0 images went live, 0 images were rejected, 2 decided the same way before." in again
    assert "Everything in it was decided before: is this the file that was saved last?" in again
    assert team.node.query("SELECT count(*) AS n FROM catalog_rejection") == [{"n": 1}]
    assert team.node.query("SELECT count(*) AS n FROM catalog_plan WHERE applied_at IS NULL") == [{"n": 1}]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (b"not JSON", "It is not JSON"),
        (b"{}", "It is not a file of decisions"),
        (b'{"darkroom": "decisions", "version": 2}', "Its version is '2', and only 1 can be read"),
        (b'{"darkroom": "decisions", "version": 1, "catalog": "cups"}', "It is about the catalog 'cups', not 'mugs'"),
    ],
)
def test_one_file_that_cannot_be_used_and_nothing_of_any_is_decided(
    team: Team, web: Web, bad: bytes, said: str
) -> None:
    answer = text_of(send(signed_in(web), web, saved(team, mug_01="accept"), bad, status=422))

    assert "Nothing was decided" in answer
    assert f"'decisions-2.json' cannot be used {said}" in answer
    assert verdicts(team) == []


def test_every_fault_of_a_file_is_said(team: Team, web: Web) -> None:
    document = json.loads(saved(team, mug_01="accept"))
    document["decisions"] += [{"sku": "x", "render": "?"}, "nothing", *document["decisions"]]

    answer = text_of(send(signed_in(web), web, json.dumps(document).encode(), status=422))

    assert 'Decision 2 needs "render" (an id) and "decision" (accept or reject).' in answer
    assert "Decision 3 is not an object." in answer
    assert "is decided twice." in answer
    assert verdicts(team) == []


def test_a_decision_that_cannot_take_effect_is_named_with_its_reason_and_the_others_do(team: Team, web: Web) -> None:
    file = saved(team, mug_01="accept", mug_02="accept")
    team.decide(*accept([team.candidates()["mug-01"]]), by="carl")
    team.stock({"mug-01": "red", "mug-02": "purple", "mug-03": "green"})
    document = json.loads(file)
    document["decisions"].append({"sku": "mug-03", "render": str(team.candidates()["mug-03"].render_id)} | REJECT)

    answer = text_of(send(signed_in(web), web, json.dumps(document).encode()))

    assert "0 images went live, 1 image was rejected, 1 decided the same way before." in answer
    assert "mug-02 the item has changed since the image was requested" in answer


REJECT = {"decision": "reject", "reason": "too dark"}


def test_a_form_without_a_file_says_what_is_missing(web: Web) -> None:
    assert "Choose the file that the sheet has saved." in text_of(send(signed_in(web), web, status=422))


def test_who_may_not_review_is_offered_no_upload_and_refused(team: Team, web: Web) -> None:
    viewer, file = signed_in(web, "viewer"), saved(team, mug_01="accept")

    refused = send(viewer, web, file, status=403)

    assert "Not for you" in refused.text
    assert "Offline sheet" not in get(viewer, web, PATH).text
    assert "Offline sheet" in get(signed_in(web, "reviewer"), web, PATH).text
    assert verdicts(team) == []


def test_decisions_that_are_saved_in_the_console_give_way_to_those_of_the_file(team: Team, web: Web) -> None:
    browser, image = signed_in(web, "reviewer"), str(team.candidates()["mug-01"].render_id)
    fields = {"image": image, "seen": "0", "verdict": "reject"}
    assert browser.post(f"{web.url}{PATH}/decide", data=fields, timeout=30).ok

    send(browser, web, saved(team, mug_01="accept"))

    assert verdicts(team) == [("mug-01", "live")]
    assert team.node.query("SELECT outcome FROM catalog_decision") == [{"outcome": "replaced"}]


def test_the_sheet_is_packed_with_its_images_and_the_download_is_in_the_log_of_changes(team: Team, web: Web) -> None:
    answer = get(signed_in(web, "reviewer"), web, f"{PATH}/sheet.zip")

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        page, images = archive.read("mugs-review/mugs-review.html").decode(), archive.namelist()
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mugs-review.zip"'
    assert all(str(each.render_id) in page for each in team.candidates().values())
    assert len(images) == 4
    assert team.node.query("SELECT actor, after FROM change WHERE field = 'exported'") == [
        {"actor": "web:reviewer", "after": "sheet of the images that wait"}
    ]
    assert list(team.node.services.store.spool.path.glob("*review*")) == []


def test_a_sheet_is_for_who_may_review_and_for_a_catalog_that_there_is(web: Web) -> None:
    get(signed_in(web, "viewer"), web, f"{PATH}/sheet.zip", status=403)
    get(signed_in(web), web, "/catalogs/nothing/review/sheet.zip", status=404)
