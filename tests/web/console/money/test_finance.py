"""What finance does in the console: monthly caps, corrections by two people, closed books, reports of any instant."""

import io
import json
import zipfile
from collections.abc import Iterator

import pytest
import requests
from sqlalchemy import text

from tests.web.api.client import client
from tests.web.console.batches.test_batches import submitted
from tests.web.console.money.test_in_doubt import doubted
from tests.web.console.money.test_money import spend
from tests.web.console.pages import get, signed_in, text_of
from tests.web.serving import Web, serving, with_settings
from worker.ledger.queries import budgets
from worker.web.context import WebContext

WHY = {"reason": "the provider's invoice"}


def post(browser: requests.Session, web: Web, path: str, **fields: str) -> requests.Response:
    return browser.post(web.url + path, data=fields, timeout=60)


def cap_of(web: Web, owner: str = "studio") -> int | None:
    with web.context.database.transaction() as tx:
        return budgets.owner_cap(tx, owner)


def charged(web: Web) -> tuple[str, requests.Session]:
    """Leave a generation that has ended and cost 4 credits; return its id, and the browser of who decided that."""
    generation, browser = doubted(web), signed_in(web, "finance")
    post(browser, web, f"/in-doubt/{generation}", decision="charged", credits="4", **WHY)
    return generation, browser


def spent_by(web: Web, generation: str) -> int:
    with web.context.database.transaction() as tx:
        query = text("""
            SELECT coalesce(sum(CASE WHEN target = 'spent' THEN credits WHEN source = 'spent' THEN -credits END), 0)
            FROM credit_entry WHERE generation_id = :id""")
        return int(tx.execute(query, {"id": generation}).scalar_one())


@pytest.fixture
def careful(context: WebContext) -> Iterator[Web]:
    """Yield a server where whatever is about more than 2 credits takes two people."""
    with serving(with_settings(context, approve_above=2)) as found:
        yield found


def test_a_monthly_cap_is_set_and_lifted_exactly_and_is_in_the_audit_log(web: Web) -> None:
    finance = signed_in(web, "finance")

    shown = text_of(post(finance, web, "/money/cap", owner="studio", credits="999,007,199,254,741", **WHY))
    before = cap_of(web)
    post(finance, web, "/money/cap", owner="studio", credits="")

    assert before == 999_007_199_254_741
    assert "The monthly cap is set" in shown
    assert "of 999,007,199,254,741" in shown
    assert cap_of(web) is None
    assert "the provider's invoice" in text_of(get(finance, web, "/audit-log"))


def test_a_dear_cap_is_raised_by_two_people(careful: Web) -> None:
    ann, bob = signed_in(careful), signed_in(careful, "finance")
    post(ann, careful, "/money/cap", owner="studio", credits="1")

    first = post(ann, careful, "/money/cap", owner="studio", credits="9")
    between = cap_of(careful)
    waiting = text_of(get(bob, careful, "/money"))
    post(bob, careful, "/money/cap", owner="studio", credits="9")

    assert (first.status_code, between, cap_of(careful)) == (409, 1, 9)
    assert "cap 9 owner:studio web:ann" in waiting


def test_a_cost_is_corrected_with_name_and_reason(web: Web) -> None:
    generation, finance = charged(web)

    done = post(finance, web, "/money/correct", generation=generation[:13], spent="3", reason="the invoice says 3")

    assert "The cost is corrected" in text_of(done)
    assert spent_by(web, generation) == 3
    assert "the invoice says 3" in text_of(get(finance, web, "/audit-log"))


def test_a_dear_correction_takes_two_people(careful: Web) -> None:
    generation = doubted(careful)
    ann, bob = signed_in(careful), signed_in(careful, "finance")
    for each in (ann, bob):
        post(each, careful, f"/in-doubt/{generation}", decision="charged", credits="4", **WHY)

    first = post(ann, careful, "/money/correct", generation=generation, spent="3", **WHY)
    again = post(ann, careful, "/money/correct", generation=generation, spent="3", **WHY)
    between = spent_by(careful, generation)
    second = post(bob, careful, "/money/correct", generation=generation, spent="3", **WHY)

    assert [each.status_code for each in (first, again, second)] == [409, 409, 200]
    assert (between, spent_by(careful, generation)) == (4, 3)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"spent": "3"}, 422),
        ({"spent": "three", **WHY}, 422),
        ({"spent": "5", **WHY}, 409),
        ({"spent": "3", "generation": "01a226fb-54b2-7744-9e6d-edb8c238260d", **WHY}, 404),
        ({"spent": "3", "generation": "01", **WHY}, 404),
    ],
)
def test_a_correction_that_cannot_be_changes_nothing(web: Web, fields: dict[str, str], status: int) -> None:
    generation, finance = charged(web)

    answer = post(finance, web, "/money/correct", **{"generation": generation, **fields})

    assert (answer.status_code, spent_by(web, generation)) == (status, 4)


def test_more_than_was_held_is_corrected_where_that_is_said(web: Web) -> None:
    generation, finance = charged(web)

    post(finance, web, "/money/correct", generation=generation, spent="5", over="1", **WHY)

    assert spent_by(web, generation) == 5


def test_the_books_are_closed_and_checked(web: Web) -> None:
    spend(web)
    finance = signed_in(web, "finance")

    before = text_of(get(finance, web, "/money"))
    closed = text_of(post(finance, web, "/money/close"))
    checked = text_of(get(finance, web, "/money/verify"))

    assert "Never closed yet" in before
    assert "The books are closed up to" in closed
    assert "by seal 1" in closed
    assert "the four accounts" in checked or "holds" in checked


def test_a_report_is_of_an_owner_of_lines_and_of_an_instant_and_its_download_is_in_the_audit_log(web: Web) -> None:
    spend(web)
    finance = signed_in(web, "finance")

    answer = get(
        finance, web, "/money/report?report=statement&format=json&by=owner&owner=studio&as_of=2026-01-31&subject=x"
    )

    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        _, evidence = archive.namelist()
        proof = json.loads(archive.read(evidence))
    assert proof["as_of"].startswith("2026-01-31T23:59:59")
    assert "report:statement" in text_of(get(finance, web, "/audit-log"))


_WITHOUT_ZONE = json.dumps(
    {
        "body": {"sha256": "", "bytes": 0},
        "queries": [],
        "evidence_sha256": "",
        "rows": 0,
        "control_totals": {},
        "format": "table",
        "report": "changes",
        "as_of": "2026-01-01T00:00:00",
        "parameters": {},
    }
).encode()


def check(browser: requests.Session, web: Web, report: bytes, evidence: bytes | None = None) -> requests.Response:
    """Send a report as the form does; a field without a file has an empty name."""
    files = {"manifest": ("r", report), "evidence": ("e.json" if evidence else "", evidence or b"")}
    return browser.post(f"{web.url}/money/check", files=files, timeout=60)


def test_a_report_is_checked_with_its_evidence_and_one_that_was_changed_is_told(web: Web) -> None:
    spend(web)
    finance = signed_in(web, "finance")
    archive = get(finance, web, "/money/report?report=spend&format=csv").content
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        report, evidence = (packed.read(name) for name in packed.namelist())

    whole = text_of(check(finance, web, archive))
    apart = text_of(check(finance, web, report, evidence))
    changed = text_of(check(finance, web, report.replace(b"studio", b"mia"), evidence))

    assert "As printed: spend as of" in whole
    assert "As printed: spend as of" in apart
    assert "Not as printed: spend as of" in changed
    assert "The body was changed" in changed


@pytest.mark.parametrize(
    ("report", "evidence"),
    [
        (b"a,b", None),
        (b"a,b", b"{"),
        (b"a,b", b"[]"),
        (b"a,b", b"[" * 100_000),
        (b"a,b", b"{}"),
        (b"PK\x05\x06" + b"\0" * 18, None),
        (b"", _WITHOUT_ZONE),
    ],
)
def test_what_is_no_report_with_evidence_is_said_and_never_a_failure_of_the_server(
    web: Web, report: bytes, evidence: bytes | None
) -> None:
    answer = check(signed_in(web, "finance"), web, report, evidence)

    assert (answer.status_code, "not an evidence file" in text_of(answer)) == (422, True)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("report=job&format=csv&job=JOB", 200),
        ("report=export&format=hledger", 200),
        ("report=spend&format=csv&by=image", 200),
        ("report=changes&format=csv&subject=user:", 200),
        ("report=job&format=csv&job=nothing", 404),
        ("report=statement&format=csv&as_of=yesterday", 422),
        ("report=statement&format=csv&as_of=2026-01-31T10:00", 422),
        ("report=statement&format=csv&from=yesterday", 422),
    ],
)
def test_every_report_of_the_commands_is_there(web: Web, query: str, status: int) -> None:
    generation, finance = charged(web)

    get(finance, web, "/money/report?" + query.replace("JOB", generation), status=status)


def test_what_finance_does_is_for_who_has_the_right(web: Web) -> None:
    submitted(client(web), "vases", owner="studio")
    operator = signed_in(web, "operator")

    for path in ("/money/cap", "/money/correct", "/money/close"):
        assert post(operator, web, path, owner="studio", credits="1", generation="x", spent="1").status_code == 403
    get(operator, web, "/money/verify", status=403)
    get(operator, web, "/money/check", status=403)
    assert check(operator, web, b"a").status_code == 403
