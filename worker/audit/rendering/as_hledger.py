"""An export as a journal of plain-text accounting: one transaction per entry, for hledger and its kin."""

import re
from collections.abc import Mapping
from typing import Any

from worker.audit.rendering.cells import Unfit, exact, instant
from worker.audit.reports.report import Report
from worker.ledger.rules.entries import CreditAccount

COMMODITY = "credits"
_ACCOUNTS = {
    CreditAccount.CAP: "equity:cap",
    CreditAccount.HELD: "assets:held",
    CreditAccount.RESERVED: "assets:reserved",
    CreditAccount.SPENT: "expenses:spent",
}
"""Kinds of account that hledger knows: the cap is where credits come from, so that it falls below zero."""


def as_hledger(report: Report) -> bytes:
    """Return the journal, every account declared; raise Unfit for a report that is no export."""
    if report.name != "export":
        raise Unfit("only an export can be a journal: `darkroom audit export --format hledger`")
    (section,) = report.sections
    names = [column.name for column in section.columns]
    entries = [dict(zip(names, row, strict=True)) for row in section.rows]
    batches = {entry["batch_id"]: entry for entry in entries}
    head = [
        f"; {report.title}, as of {instant(report.as_of)}",
        f"commodity 1000. {COMMODITY}",
        *(_declared(account, batch) for batch in batches.values() for account in CreditAccount),
    ]
    return "\n".join([*head, "", *(_transaction(entry) for entry in entries)]).encode()


def account(name: str, batch_id: object) -> str:
    """Return the journal's account of a batch."""
    return f"{_ACCOUNTS[CreditAccount(name)]}:{batch_id}"


def _declared(name: CreditAccount, batch: Mapping[str, Any]) -> str:
    tags = f"batch: {_value(batch['batch'])}, owner: {_value(batch['owner'])}"
    return f"account {account(name, batch['batch_id'])}  ; {tags}"


def _transaction(entry: Mapping[str, Any]) -> str:
    tags = {
        "entry": entry["id"],
        "kind": entry["kind"],
        "batch": entry["batch"],
        "owner": entry["owner"],
        "job": entry["job_id"],
        "key": entry["key"],
        "model": entry["model"],
        "generation": entry["generation_id"],
        "posted": instant(entry["posted_at"]),
    }
    tags |= {name: entry[name] for name in ("actor", "reason") if entry[name] is not None}
    lines = [
        f"{entry['posted_at']:%Y-%m-%d} * ({entry['id']}) {entry['kind']}",
        *(f"    ; {name}: {_value(value)}" for name, value in tags.items()),
        f"    {account(entry['target'], entry['batch_id'])}  {entry['credits']} {COMMODITY}",
        f"    {account(entry['source'], entry['batch_id'])}  {-entry['credits']} {COMMODITY}",
    ]
    return "\n".join(lines) + "\n"


def _value(cell: Any) -> str:
    """Return a tag's value: a comma or a line's end would end it."""
    return re.sub(r"[,;\s\x00-\x1f]+", " ", exact(cell)).strip()
