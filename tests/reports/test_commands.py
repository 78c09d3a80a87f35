"""The reports as a person asks for them: files with evidence, believed only while nothing has changed."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Darkroom, run_here
from tests.reports.conftest import World
from worker.audit.evidence import own_sha256
from worker.audit.rules.reporting import Format, ReportName
from worker.cli.audit.files import NO_EVIDENCE

NEEDS_HLEDGER = pytest.mark.skipif(shutil.which("hledger") is None, reason="no hledger here")
AUDIT = "audit"


@pytest.fixture
def darkroom(tmp_path: Path, world: World) -> Darkroom:
    """Return the command on the database of the shared world."""
    url = world.node.services.database.url.render_as_string(hide_password=False)
    return lambda *arguments: run_here(tmp_path, {"DARKROOM_DATABASE_URL": url}, *arguments)


@pytest.fixture
def as_of(world: World) -> str:
    return world.as_of.isoformat()


@pytest.mark.parametrize("name", ["statement", "outstanding", "spend", "trial-balance", "reconcile", "export"])
@pytest.mark.parametrize("form", ["table", "csv", "json", "xlsx"])
def test_a_written_report_stands_up_to_its_check(
    name: str, form: str, darkroom: Darkroom, as_of: str, tmp_path: Path
) -> None:
    written = darkroom(AUDIT, name, "--as-of", as_of, "--format", form, "-o", f"report.{form}")

    checked = darkroom(AUDIT, "check", f"report.{form}")

    assert (written.returncode, checked.returncode) == (0, 0), written.stderr + checked.stdout + checked.stderr
    assert f"report.{form}: ok, {name} as of" in checked.stdout


@pytest.mark.parametrize("key", ["chair-0", "lost"])
def test_a_job_is_found_by_its_idempotency_key(key: str, world: World, darkroom: Darkroom, as_of: str) -> None:
    query = "SELECT idempotency_key AS k, j.id FROM generation g JOIN job j ON j.id = job_id WHERE key = :key LIMIT 1"
    (row,) = world.node.query(query, key=key)

    shown = json.loads(darkroom(AUDIT, "job", row["k"], "--as-of", as_of, "--format", "json").stdout)

    assert shown["parameters"] == {"job_id": str(row["id"])}


@pytest.mark.parametrize(
    ("options", "kept"),
    [((), []), (("-f", "csv"), ["csv"]), (("-o", "spend.txt"), ["table"]), (("-f", "json"), ["json"])],
)
def test_a_report_that_is_taken_out_is_in_the_log_of_changes(
    options: tuple[str, ...], kept: list[str], world: World, darkroom: Darkroom, as_of: str
) -> None:
    before = len(exports(world))

    assert darkroom(AUDIT, "spend", "--owner", "shop", "--as-of", as_of, *options).returncode == 0

    found = exports(world)[before:]
    assert [each["subject"] for each in found] == ["report:spend"] * len(kept)
    assert [str(each["after"]).partition(" as of ")[0] for each in found] == kept
    assert all(each["actor"].startswith("cli:") and each["after"].endswith(", by batch, owner shop") for each in found)


def exports(world: World) -> list[dict[str, Any]]:
    return world.node.query("SELECT subject, after, actor FROM change WHERE field = 'exported' ORDER BY id")


def test_a_changed_report_is_found_without_the_books(darkroom: Darkroom, as_of: str, tmp_path: Path) -> None:
    darkroom(AUDIT, "spend", "--as-of", as_of, "--format", "csv", "-o", "spend.csv")
    report = tmp_path / "spend.csv"
    report.write_bytes(report.read_bytes().replace(b"shop", b"ship"))

    checked = darkroom(AUDIT, "check", "spend.csv", "--offline")

    assert checked.returncode == 1
    assert "the body was changed" in checked.stdout


def test_a_report_that_was_changed_with_its_evidence_is_found_by_the_books(
    darkroom: Darkroom, as_of: str, tmp_path: Path
) -> None:
    darkroom(AUDIT, "spend", "--as-of", as_of, "--format", "csv", "-o", "spend.csv", "--owner", "shop")
    _forge(tmp_path / "spend.csv")

    offline, checked = darkroom(AUDIT, "check", "spend.csv", "--offline"), darkroom(AUDIT, "check", "spend.csv")

    assert (offline.returncode, checked.returncode) == (0, 1)
    assert "regenerated from the ledger, the report has different bytes" in checked.stdout


@pytest.mark.parametrize(("name", "value"), [("report", "statement"), ("seal", None), ("control_totals", {})])
def test_evidence_that_was_changed_is_found_without_the_books(
    name: str, value: object, darkroom: Darkroom, as_of: str, tmp_path: Path
) -> None:
    darkroom(AUDIT, "spend", "--as-of", as_of, "--format", "csv", "-o", "spend.csv")
    beside = tmp_path / "spend.csv.evidence.json"
    beside.write_text(json.dumps({**json.loads(beside.read_text()), name: value}))

    checked = darkroom(AUDIT, "check", "spend.csv", "--offline")

    assert checked.returncode == 1
    assert "the evidence was changed" in checked.stdout


@pytest.mark.parametrize("form", ["csv", "json"])
def test_rows_are_counted_again_without_the_books(form: str, darkroom: Darkroom, as_of: str, tmp_path: Path) -> None:
    darkroom(AUDIT, "spend", "--as-of", as_of, "--format", form, "-o", "spend")
    _forge(tmp_path / "spend", old=b"25", new=b"52")

    checked = darkroom(AUDIT, "check", "spend", "--offline")

    assert checked.returncode == 1
    assert "counted again, the rows and control totals are" in checked.stdout


def test_a_json_report_with_anything_added_is_found(darkroom: Darkroom, as_of: str, tmp_path: Path) -> None:
    printed = darkroom(AUDIT, "trial-balance", "--as-of", as_of, "--format", "json").stdout
    (tmp_path / "balance.json").write_text(printed.replace("{", '{"spent": 4000, "spent": 0,', 1) + " ")

    checked = darkroom(AUDIT, "check", "balance.json", "--offline")

    assert checked.returncode == 1
    assert "the file was changed" in checked.stdout


def test_a_copy_without_evidence_says_so(darkroom: Darkroom, as_of: str) -> None:
    assert NO_EVIDENCE in darkroom(AUDIT, "spend", "--as-of", as_of, "--format", "csv").stderr
    assert NO_EVIDENCE not in darkroom(AUDIT, "spend", "--as-of", as_of, "--format", "json").stderr


def test_a_name_that_several_batches_have_is_no_name_for_money(own_world: World, tmp_path: Path) -> None:
    own_world.node.submit({"prompt": "More"}, name="chairs", owner="shop")
    url = own_world.node.services.database.url.render_as_string(hide_password=False)

    asked = [
        run_here(tmp_path, {"DARKROOM_DATABASE_URL": url}, *words)
        for words in ((AUDIT, "spend", "--batch", "chairs"), ("cap", "chairs", "9"))
    ]

    assert [done.returncode for done in asked] == [1, 1]
    assert all("several batches are called 'chairs': give the id" in done.stderr for done in asked)


def test_changes_say_who_decided_what_and_why(own_world: World, tmp_path: Path) -> None:
    environment = {"DARKROOM_DATABASE_URL": own_world.node.services.database.url.render_as_string(hide_password=False)}
    run_here(tmp_path, environment, "cap", "lamps", "90", "--by", "ann", "--reason", "spring")
    run_here(tmp_path, environment, "cap", "--owner", "shop", "--monthly", "500", "--by", "bob")

    printed = run_here(tmp_path, environment, AUDIT, "changes", "--subject", "batch:", "--format", "json", "-o", "c")
    checked = run_here(tmp_path, environment, AUDIT, "check", "c")

    (change,) = json.loads((tmp_path / "c").read_text())["sections"]["changes"]["rows"]
    assert (change["field"], change["before"], change["after"]) == ("credit_cap", None, "90")
    assert (change["actor"], change["reason"]) == ("ann", "spring")
    assert change["login"] == own_world.node.services.database.url.username
    assert (printed.returncode, checked.returncode) == (0, 0)


def test_json_on_standard_output_carries_its_evidence(darkroom: Darkroom, as_of: str, tmp_path: Path) -> None:
    printed = darkroom(AUDIT, "trial-balance", "--as-of", as_of, "--format", "json").stdout
    (tmp_path / "balance.json").write_text(printed)

    checked = darkroom(AUDIT, "check", "balance.json", "--json")

    evidence = json.loads(printed)["evidence"]
    assert json.loads(checked.stdout) == {
        "ok": True,
        "file": "balance.json",
        "compared_with_books": True,
        "faults": [],
    }
    assert evidence["control_totals"]["batches.spent"] == 40
    assert evidence["queries"][0]["sql"].lstrip().startswith("SELECT")
    assert len(evidence["seal"]["hash"]) == 64


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("statement", "--as-of", "yesterday"), "is not a time: write 2026-11-30T18:00:00Z"),
        (("statement", "--as-of", "2026-11-30T18:00:00"), "has no time zone: write 2026-11-30T18:00:00Z for UTC"),
        (("statement", "--as-of", "2999-01-01"), "name an earlier --as-of"),
        (("statement", "--from", "2026-12-01", "--to", "2026-11-01"), "lies before --from"),
        (("statement", "--format", "hledger"), "only an export can be a journal"),
        (("statement", "--format", "xlsx"), "name one with -o FILE.xlsx"),
        (("spend", "--batch", "autumn"), "there is no batch 'autumn'"),
        (("job", "nobody"), "nothing found for 'nobody'"),
        (("check", "missing.csv"), "is not there: `audit check` needs the report and its evidence"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_next_step(
    arguments: tuple[str, ...], said: str, darkroom: Darkroom
) -> None:
    refused = darkroom(AUDIT, *arguments)

    assert refused.returncode != 0
    assert said in refused.stderr


def test_a_text_that_a_spreadsheet_would_carry_out_is_disarmed(own_world: World, tmp_path: Path) -> None:
    own_world.node.submit({"key": "x", "prompt": "x"}, name="=1+1", owner="shop")
    own_world.node.run_until_quiet()
    url = own_world.node.services.database.url.render_as_string(hide_password=False)
    instant = own_world.close().isoformat()

    printed = run_here(
        tmp_path, {"DARKROOM_DATABASE_URL": url}, AUDIT, "spend", "--as-of", instant, "--format", "csv"
    ).stdout

    assert ",'=1+1," in printed


@pytest.mark.parametrize(
    ("decision", "spent"), [(("--charged", "4"), 44), (("--not-charged",), 40)], ids=["charged", "not charged"]
)
def test_what_a_person_decided_is_in_the_reports_with_its_name(
    decision: tuple[str, ...], spent: int, own_world: World, tmp_path: Path
) -> None:
    url = own_world.node.services.database.url.render_as_string(hide_password=False)
    (row,) = own_world.node.query("SELECT id FROM generation WHERE state = 'in_doubt'")
    signed = ("--by", "A. Auditor", "--reason", "Asked the provider")

    run_here(tmp_path, {"DARKROOM_DATABASE_URL": url}, "resolve", str(row["id"]), *decision, *signed)

    own_world.close()
    evidence = own_world.printed(ReportName.TRIAL_BALANCE, Format.CSV).evidence
    assert (evidence["control_totals"]["batches.spent"], evidence["control_totals"]["batches.held"]) == (spent, 0)
    assert b"A. Auditor,Asked the provider" in own_world.printed(ReportName.EXPORT, Format.CSV).body
    assert evidence["control_totals"]["batches.sum"] == 0


def test_a_charge_that_a_person_found_still_explains_the_fall_of_the_wallet(own_world: World, tmp_path: Path) -> None:
    url = own_world.node.services.database.url.render_as_string(hide_password=False)
    (row,) = own_world.node.query("SELECT id FROM generation WHERE state = 'in_doubt'")
    signed = ("--by", "A. Auditor", "--reason", "Asked the provider")

    run_here(tmp_path, {"DARKROOM_DATABASE_URL": url}, "resolve", str(row["id"]), "--charged", "4", *signed)

    own_world.close()
    totals = own_world.printed(ReportName.RECONCILE, Format.JSON).evidence["control_totals"]
    assert (totals["wallets.in_doubt"], totals["wallets.outside_spend"], totals["wallets.unexplained"]) == (-4, 0, 0)


@NEEDS_HLEDGER
def test_hledger_takes_the_journal_and_sees_the_same_balances(
    darkroom: Darkroom, as_of: str, tmp_path: Path, ledger_balances: Callable[[Path], dict[str, int]]
) -> None:
    darkroom(AUDIT, "export", "--as-of", as_of, "--format", "hledger", "-o", "books.journal")

    found = ledger_balances(tmp_path / "books.journal")

    assert found == {"assets:held": 4, "equity:cap": -44, "expenses:spent": 40}


@NEEDS_HLEDGER
def test_the_journal_is_strictly_correct(darkroom: Darkroom, as_of: str, tmp_path: Path) -> None:
    darkroom(AUDIT, "export", "--as-of", as_of, "--format", "hledger", "-o", "books.journal")

    checked = _hledger(tmp_path / "books.journal", "check", "--strict", "ordereddates")

    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.fixture
def ledger_balances() -> Callable[[Path], dict[str, int]]:
    """Ask hledger for the balances of the kinds of account."""

    def ask(journal: Path) -> dict[str, int]:
        lines = _hledger(journal, "balance", "--depth", "2", "--no-total", "--flat", "-O", "csv").stdout.splitlines()
        pairs = (line.replace('"', "").split(",") for line in lines[1:])
        return {account: int(amount.split()[0]) for account, amount in pairs}

    return ask


def _hledger(journal: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(journal.parent)}
    return subprocess.run(
        ["hledger", "-f", str(journal), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _forge(report: Path, old: bytes = b"chairs", new: bytes = b"tables") -> None:
    """Change a report, and make its evidence fit."""
    body = report.read_bytes().replace(old, new)
    beside = report.with_name(report.name + ".evidence.json")
    evidence = json.loads(beside.read_text())
    evidence["body"] = {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    evidence["evidence_sha256"] = own_sha256(evidence)
    report.write_bytes(body)
    beside.write_text(json.dumps(evidence))
