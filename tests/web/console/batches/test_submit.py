"""A batch is submitted in the browser: checked and priced first, taken once, by who may."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import text

from tests.fixtures import pictures
from tests.web.api.client import client, count
from tests.web.api.test_submit import spooled
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.accounts import choosing
from worker.accounts.queries import accounts, pools
from worker.web.context import WebContext

CSV = b"prompt,key,shelf\na vase,one,a\na bowl,two,b\n"
FAULTY = b"prompt,key\na vase,one\n,two\n"
NO_FILE = ("files", ("", b"", "application/octet-stream"))
"""What a browser sends for a field in which no file is chosen."""


def begun(browser: requests.Session, web: Web) -> str:
    """Return the address of a form of its own."""
    return get(browser, web, "/batches/new", status=303).headers["location"]


def posted(
    browser: requests.Session, web: Web, path: str, lines: bytes = CSV, files: Any = (NO_FILE,), **fields: str
) -> requests.Response:
    """Send the form."""
    parts = [("manifest", ("spring.csv", lines, "text/csv")), *files]
    return browser.post(web.url + path, data=fields, files=parts, timeout=30, allow_redirects=False)


def digest_of(answer: requests.Response) -> str:
    return str(re.findall(r'name="checked" value="([0-9a-f]+)"', answer.text)[0])


def submitted(browser: requests.Session, web: Web, path: str, lines: bytes = CSV, **fields: str) -> requests.Response:
    """Check the form, then submit what was checked."""
    checked = digest_of(posted(browser, web, f"{path}/check", lines, **fields))
    return posted(browser, web, path, lines, checked=checked, **fields)


def test_a_check_says_what_the_lines_become_and_keeps_nothing(web: Web) -> None:
    browser = signed_in(web, "operator")

    answer = posted(browser, web, f"{begun(browser, web)}/check")

    said = text_of(answer)
    assert answer.status_code == 200, said
    for words in ("spring: 2 images for 8 credits", "paid by operator", "Second person not needed", "Takes about"):
        assert words in said
    assert "Columns kept for the results, not used shelf" in said
    assert (count(web.context.database, "batch"), spooled(web)) == (0, [])


def test_what_was_checked_is_submitted_and_leads_to_its_page(web: Web) -> None:
    browser = signed_in(web, "operator")

    answer = submitted(browser, web, begun(browser, web), owner="studio", priority="refresh", credit_cap="4,000")

    page = get(browser, web, answer.headers["location"])
    assert "The batch is submitted" in text_of(page)
    with web.context.database.transaction() as tx:
        row = tx.execute(text("SELECT name, owner, priority, credit_cap, size FROM batch")).one()
        author = tx.execute(text("SELECT actor FROM change WHERE subject LIKE 'batch:%'")).scalar_one()
    assert tuple(row) == ("spring", "studio", "refresh", 4000, 2)
    assert author == "web:operator"


def test_each_fault_has_its_line_and_reason_and_nothing_can_be_submitted(web: Web) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)

    answer = posted(browser, web, f"{path}/check", FAULTY)
    forced = posted(browser, web, path, FAULTY, checked="0" * 64)

    assert "3 two prompt" in text_of(answer)
    assert ('name="checked"' in answer.text, forced.status_code) == (False, 422)
    assert count(web.context.database, "batch") == 0


def test_faulty_lines_are_left_out_when_that_is_said(web: Web) -> None:
    browser = signed_in(web, "operator")

    answer = submitted(browser, web, begun(browser, web), FAULTY, skip_invalid="1")

    assert answer.status_code == 303
    assert (count(web.context.database, "job"), count(web.context.database, "refused_line")) == (1, 1)


def test_references_are_taken_by_the_names_of_the_sent_files(web: Web, tmp_path: Path) -> None:
    sha256 = pictures.reference(tmp_path, "vase.png")
    sent = [("folder", ("refs/vase.png", (tmp_path / "vase.png").read_bytes(), "image/png"))]
    lines, browser = b"prompt,reference\nlike this,refs/vase.png\n", signed_in(web, "operator")
    path = begun(browser, web)

    missing = posted(browser, web, f"{path}/check", lines)
    checked = posted(browser, web, f"{path}/check", lines, sent)
    answer = posted(browser, web, path, lines, sent, checked=digest_of(checked))

    assert "no file with the name 'refs/vase.png' was sent" in text_of(missing)
    assert "References 1 different" in text_of(checked)
    assert answer.status_code == 303
    with web.context.database.transaction() as tx:
        assert tx.execute(text("SELECT reference_hash FROM job")).scalar_one() == sha256


def test_two_clicks_make_one_batch_and_both_lead_to_it(web: Web) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)
    checked = digest_of(posted(browser, web, f"{path}/check"))
    answers: list[requests.Response] = []
    barrier = threading.Barrier(4)

    def click() -> None:
        barrier.wait()
        answers.append(posted(browser, web, path, checked=checked))

    clicks = [threading.Thread(target=click) for _ in range(4)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()

    assert {each.status_code for each in answers} == {303}
    assert len({each.headers["location"] for each in answers}) == 1
    assert (count(web.context.database, "batch"), count(web.context.database, "job")) == (1, 2)


def test_the_page_of_a_form_that_was_submitted_leads_to_its_batch(web: Web) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)
    before = get(browser, web, path)
    batch = submitted(browser, web, path).headers["location"].partition("?")[0]

    assert before.status_code == 200
    assert get(browser, web, path, status=303).headers["location"] == batch


def test_a_form_that_was_submitted_takes_no_other_lines(web: Web) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)
    submitted(browser, web, path)

    answer = submitted(browser, web, path, b"prompt\na chair\n")

    assert (answer.status_code, "was submitted before" in text_of(answer)) == (409, True)
    assert count(web.context.database, "batch") == 1


@pytest.mark.parametrize("changed", [{"lines": CSV + b"a lamp,three,c\n"}, {"owner": "studio"}, {"credit_cap": "8"}])
def test_what_differs_from_what_was_checked_is_shown_and_not_submitted(web: Web, changed: dict[str, Any]) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)
    checked = digest_of(posted(browser, web, f"{path}/check"))

    answer = posted(browser, web, path, checked=checked, **changed)

    assert (answer.status_code, "not those that were checked" in text_of(answer)) == (409, True)
    assert count(web.context.database, "batch") == 0


def test_a_dear_batch_says_before_that_it_waits_for_a_second_person(context: WebContext) -> None:
    with serving(with_settings(context, approve_above=7)) as web:
        browser = signed_in(web, "operator")
        path = begun(browser, web)
        checked = posted(browser, web, f"{path}/check")
        posted(browser, web, path, checked=digest_of(checked))

        with web.context.database.transaction() as tx:
            state = tx.execute(text("SELECT state FROM batch")).scalar_one()

    assert "needed above 7 credits" in text_of(checked)
    assert state == "paused"


@pytest.mark.parametrize(
    ("left", "said"), [(100, "enough for all"), (5, "enough for 1 of 2 images"), (0, "for 0 of 2")]
)
def test_what_the_wallet_allows_is_said_and_its_balance_to_finance_alone(web: Web, left: int, said: str) -> None:
    reader, payer = signed_in(web, "operator"), signed_in(web)
    with web.context.database.engine.begin() as tx:
        tx.execute(text("UPDATE account SET wallet_left = :left, wallet_read_at = now()"), {"left": left})

    answers = [text_of(posted(each, web, f"{begun(each, web)}/check")) for each in (reader, payer)]

    assert [said in each for each in answers] == [True, True]
    assert [f"Wallet {left} credits" in each for each in answers] == [False, True]


def test_the_owner_of_a_used_up_monthly_cap_is_told_so(web: Web) -> None:
    browser = signed_in(web, "operator")
    with web.context.database.engine.begin() as tx:
        tx.execute(text("INSERT INTO owner_cap (owner, monthly_cap) VALUES ('studio', 4)"))

    answer = posted(browser, web, f"{begun(browser, web)}/check", owner="studio")

    assert "Cap of studio this month enough for 1 of 2 images" in text_of(answer)


@pytest.mark.parametrize(
    ("lines", "fields", "said"),
    [
        (b"", {}, "is empty"),
        (b"PK\x03\x04", {}, "export it as CSV"),
        (CSV, {"deadline": "soon"}, "deadline"),
        (CSV, {"credit_cap": "many"}, "credit_cap"),
        (CSV, {"priority": "first"}, "priority"),
    ],
)
def test_what_cannot_be_read_is_said_above_the_form_and_what_was_typed_stays(
    web: Web, lines: bytes, fields: dict[str, str], said: str
) -> None:
    browser = signed_in(web, "operator")

    answer = posted(browser, web, f"{begun(browser, web)}/check", lines, name="my vases", **fields)

    assert (answer.status_code, said in text_of(answer)) == (422, True), text_of(answer)
    assert 'value="my vases"' in answer.text


def test_a_script_is_told_where_the_batch_is(web: Web) -> None:
    browser = signed_in(web, "operator")
    path = begun(browser, web)
    checked = digest_of(posted(browser, web, f"{path}/check"))
    browser.headers["HX-Request"] = "true"

    answer = posted(browser, web, path, checked=checked)

    assert (answer.status_code, answer.headers["hx-redirect"].endswith("?did=submitted")) == (204, True)


@pytest.mark.parametrize("path", ["/batches/new", "/batches/new/01a226fb-54b2-7744-9e6d-edb8c238260d"])
def test_who_may_not_submit_has_neither_the_page_nor_its_button(web: Web, path: str) -> None:
    browser = signed_in(web, "viewer")

    assert "no right to submit" in text_of(get(browser, web, path, status=403))
    assert posted(browser, web, "/batches/new/01a226fb-54b2-7744-9e6d-edb8c238260d").status_code == 403
    assert "/batches/new" not in get(browser, web, "/batches").text


def test_a_form_under_a_name_that_is_no_id_is_refused(web: Web) -> None:
    assert "there is no such" in text_of(get(signed_in(web), web, "/batches/new/nonsense", status=404))


def test_a_batch_of_the_api_is_not_mistaken_for_a_form(web: Web) -> None:
    shop, browser = client(web), signed_in(web, "operator")
    path = begun(browser, web)
    shop.submit(["a lamp"], key=path.rpartition("/")[2], name="lamps")

    answer = submitted(browser, web, path)

    assert answer.status_code == 409
    assert count(web.context.database, "batch") == 1


def test_an_own_column_that_looks_like_another_is_kept_when_the_form_names_it(web: Web) -> None:
    browser, lines = signed_in(web, "operator"), b"prompt,key,size,Seeds\na vase,one,big,7\n"
    path = begun(browser, web)

    refused = text_of(posted(browser, web, f"{path}/check", lines))
    answer = submitted(browser, web, path, lines, allow_extra="size, Seeds")

    assert "Here: name it under Own columns in the form." in refused
    assert answer.status_code == 303
    with web.context.database.transaction() as tx:
        assert tx.execute(text("SELECT extra FROM job")).scalar_one() == {"size": "big", "Seeds": "7"}


@pytest.fixture
def second(web: Web) -> str:
    """Return the name of a second account, of the pool ``night``, whose wallet has 4 credits."""
    with web.context.database.transaction() as tx:
        made = accounts.ensure(tx, account_id=web.context.new_id(), name="second", now=web.context.clock())
        pools.set_pools(tx, made, ["night"])
        now = web.context.clock()
        accounts.record_wallet(tx, reading_id=web.context.new_id(), account_id=made, balance=4, now=now)
    return "second"


@pytest.mark.parametrize("pays", ["account:second", "pool:night"])
def test_an_account_or_a_pool_is_chosen_and_the_check_is_about_its_wallet(web: Web, second: str, pays: str) -> None:
    browser = signed_in(web)
    path = begun(browser, web)

    said = text_of(posted(browser, web, f"{path}/check", pays=pays))
    answer = submitted(browser, web, path, pays=pays)

    assert "paid by ann, account second" in said
    assert "enough for 1 of 2 images" in said
    with web.context.database.transaction() as tx:
        query = text("SELECT a.name FROM batch b JOIN account a ON a.id = b.account_id")
        assert tx.execute(query).scalar_one() == second
    assert answer.status_code == 303


def test_a_check_of_a_pool_is_about_the_wallets_of_all_its_accounts(web: Web, second: str) -> None:
    browser = signed_in(web)
    with web.context.database.transaction() as tx:
        made = accounts.ensure(tx, account_id=web.context.new_id(), name="third", now=web.context.clock())
        pools.set_pools(tx, made, ["night"])
        now = web.context.clock()
        accounts.record_wallet(tx, reading_id=web.context.new_id(), account_id=made, balance=4, now=now)

    said = text_of(posted(browser, web, f"{begun(browser, web)}/check", pays="pool:night"))

    assert f"paid by ann, accounts {second}, third" in said
    assert "enough for all" in said


def test_the_check_is_about_the_account_that_pays_for_the_owner(web: Web, second: str) -> None:
    browser = signed_in(web)
    with web.context.database.transaction() as tx:
        choosing.set_usual(tx, "studio", account=second, pool=None, by=web.by)

    said = text_of(posted(browser, web, f"{begun(browser, web)}/check", owner="studio"))

    assert "paid by studio, account second" in said
    assert "enough for 1 of 2 images" in said


@pytest.mark.parametrize("pays", ["account:nobody", "pool:nobody", "owner:nobody"])
def test_an_account_that_there_is_not_is_said_and_nothing_is_kept(web: Web, pays: str) -> None:
    browser = signed_in(web)

    answer = posted(browser, web, f"{begun(browser, web)}/check", pays=pays)

    assert answer.status_code == 422
    assert "nobody" in answer.text or "Choose an account" in answer.text
    assert count(web.context.database, "batch") == 0
